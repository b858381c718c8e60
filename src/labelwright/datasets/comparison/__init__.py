"""Compares two versions of datasets, object by object."""
