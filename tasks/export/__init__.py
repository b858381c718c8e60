"""Tasks that write, register and verify datasets."""
