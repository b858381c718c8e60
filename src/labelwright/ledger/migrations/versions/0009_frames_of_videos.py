"""The video of an image that is a frame, its number and its time in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9"
down_revision = "8"


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    plain = sa.String(length) if length else sa.Text()
    return plain.with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("images", sa.Column("video", _text(1024)))
    op.add_column("images", sa.Column("frame", sa.BigInteger()))
    op.add_column("images", sa.Column("time_seconds", sa.Double()))
