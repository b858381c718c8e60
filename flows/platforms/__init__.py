"""Flows that only one platform has."""
