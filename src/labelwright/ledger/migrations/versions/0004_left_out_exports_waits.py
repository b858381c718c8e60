"""Shapes that are left out, exports, waits, and images by state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"

Moment = sa.DateTime(timezone=True)


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    plain = sa.String(length) if length else sa.Text()
    return plain.with_variant(sa.String(collation="C"), "postgresql")


def _campaign(*, primary_key: bool = False) -> sa.Column[str]:
    reference = sa.ForeignKey("campaigns.title", ondelete="CASCADE")
    return sa.Column("campaign", _text(200), reference, nullable=False, primary_key=primary_key)


def upgrade() -> None:
    op.create_table(
        "left_out",
        _campaign(primary_key=True),
        sa.Column("kind", _text(20), primary_key=True),
        sa.Column("reason", _text(200), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_table(
        "exports",
        sa.Column("id", sa.Integer, primary_key=True),
        _campaign(),
        sa.Column("name", _text(300), nullable=False),
        sa.Column("version", _text(50), nullable=False),
        sa.Column("store", _text(), nullable=False),
        sa.Column("serial", sa.BigInteger, nullable=False),
        sa.Column("receipt_sha256", _text(64)),
        sa.Column("at", Moment, nullable=False),
        sa.Index("exports_in_order", "campaign", "name", "id"),
    )
    op.create_table(
        "waits",
        sa.Column("name", _text(300), primary_key=True),
        sa.Column("until", Moment, nullable=False),
        sa.Column("reason", _text(), nullable=False),
    )
    op.create_table(
        "image_states",
        _campaign(primary_key=True),
        sa.Column("state", _text(40), primary_key=True),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("listed", sa.JSON, nullable=False),
    )
