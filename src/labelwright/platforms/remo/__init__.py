"""Remo 0.3 and 0.6."""
