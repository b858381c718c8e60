"""Where Alembic finds `env.py`, and the template of new revisions."""
