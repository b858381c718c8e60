"""Tasks of the scheduled sweep over all open campaigns."""
