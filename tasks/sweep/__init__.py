"""Tasks of a sweep over all open campaigns."""
