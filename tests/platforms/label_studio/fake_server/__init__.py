"""A stand-in for Label Studio 1.23, Community Edition."""
