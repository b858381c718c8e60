"""Backup of a Geti project, its comparison and its restore."""
