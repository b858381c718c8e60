"""Upload into a container by a signed URL."""
