"""Where datasets go: one small protocol, a local folder by default."""
