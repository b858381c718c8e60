"""Platform adapter for Scale AI."""
