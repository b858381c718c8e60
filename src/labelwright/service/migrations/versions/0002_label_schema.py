"""Campaigns keep their whole label schema: geometries, colours, hierarchy, attributes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("label_schema", sa.Text))
