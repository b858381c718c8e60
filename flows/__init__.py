"""Recipes: verbs of the trade, top to bottom."""
