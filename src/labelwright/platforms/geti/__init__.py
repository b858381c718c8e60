"""Sonoma Creek 1.x and Intel Geti 2.x."""
