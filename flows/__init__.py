"""Prefect flows, one per module. Each is a recipe of tasks, read from top to bottom."""
