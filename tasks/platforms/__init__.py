"""Tasks for calls that only one platform has."""
