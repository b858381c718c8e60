"""Find, check, hash and upload images."""
