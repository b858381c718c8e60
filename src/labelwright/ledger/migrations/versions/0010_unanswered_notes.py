"""How many notes of a campaign's labelers have no answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "10"
down_revision = "9"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("unanswered_notes", sa.Integer()))
