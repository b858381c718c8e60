"""Texts of any length on PostgreSQL, compared byte by byte; SQLite always did both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"

TABLES = (
    *("facts", "campaigns", "images", "rejects", "effects", "moves", "datasets"),
    *("progress", "events", "leases", "inbox", "drops"),
)


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    inspector = sa.inspect(connection)
    # A key and what refers to it must have one type and one collation: the references are dropped meanwhile.
    references = [(table, key["name"] or "") for table in TABLES for key in inspector.get_foreign_keys(table)]
    for table, reference in references:
        op.drop_constraint(reference, table, type_="foreignkey")
    for table in TABLES:
        texts = [column["name"] for column in inspector.get_columns(table) if isinstance(column["type"], sa.String)]
        changes = ", ".join(f'ALTER COLUMN "{name}" TYPE VARCHAR COLLATE "C"' for name in texts)
        if changes:
            op.execute(f"ALTER TABLE {table} {changes}")
    for table, reference in references:
        op.create_foreign_key(reference, table, "campaigns", ["campaign"], ["title"], ondelete="CASCADE")
