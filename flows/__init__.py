"""Prefect flows, one per module. Each is a sequence of tasks, read from top to bottom."""
