"""Flows against real servers."""
