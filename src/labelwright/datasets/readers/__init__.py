"""Readers of labels that people bring or a dataset holds."""
