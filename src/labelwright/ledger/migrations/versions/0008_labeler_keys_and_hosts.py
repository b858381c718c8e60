"""Labelers' keys, encrypted or the machine that has them; the machine and the store of each dataset."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8"
down_revision = "7"


def upgrade() -> None:
    op.create_table(
        "labeler_keys",
        sa.Column("connection", _text(200), primary_key=True),
        sa.Column("labeler", _text(254), primary_key=True),
        sa.Column("sealed", _text()),
        sa.Column("proof", _text(200), nullable=False),
        sa.Column("host", _text(300), nullable=False),
        sa.Column("folder", _text(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("datasets", sa.Column("host", _text(300)))
    op.add_column("datasets", sa.Column("store", _text()))
    # Which machine registered a version was not recorded; the store was, with its exports.
    op.execute(
        "UPDATE datasets SET store = (SELECT store FROM exports WHERE exports.campaign = datasets.campaign"
        " AND exports.name = datasets.name AND exports.version = datasets.version AND exports.store <> ''"
        " ORDER BY exports.id DESC LIMIT 1)"
    )


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    plain = sa.String(length) if length else sa.Text()
    return plain.with_variant(sa.String(collation="C"), "postgresql")
