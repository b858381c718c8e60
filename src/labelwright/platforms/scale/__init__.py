"""Scale AI."""
