"""Checks of images before they are uploaded."""
