"""Servers and processes of one machine."""
