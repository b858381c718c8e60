"""Tasks of an export: read the labels, then write, register and verify datasets."""
