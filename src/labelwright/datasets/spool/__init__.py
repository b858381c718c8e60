"""A campaign's labels on disk, page by page, between download and export."""
