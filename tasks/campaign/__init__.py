"""Tasks of a campaign's images, labels and life."""
