"""Statistics and findings of one version of a dataset."""
