"""Tasks, called as the plain functions that they are."""
