"""Runs that took up their work, so that those that were lost before are found."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "7"
down_revision = "6"


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    plain = sa.String(length) if length else sa.Text()
    return plain.with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run", _text(36), primary_key=True),
        sa.Column("began_at", sa.DateTime(timezone=True)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("followed_by", _text(36)),
    )
    # Runs of before are not in the table, though they took up their work.
    facts = sa.table("facts", sa.column("name", sa.String), sa.column("value", sa.String))
    since = {"name": "runs recorded since", "value": datetime.now(UTC).isoformat()}
    op.bulk_insert(facts, [since])
