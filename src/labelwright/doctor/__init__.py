"""Checks of a set-up."""
