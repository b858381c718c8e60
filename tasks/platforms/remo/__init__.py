"""Tasks for Remo's own calls."""
