"""The name of an image as its source has it, and its group in a split."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"


def _text(length: int | None = None) -> sa.types.TypeEngine[str]:
    plain = sa.String(length) if length else sa.Text()
    return plain.with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("images", sa.Column("source_name", _text(1024)))
    op.add_column("images", sa.Column("split_group", _text()))
