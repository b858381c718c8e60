"""Predictions of a model for images of a campaign, which its labelers see as suggestions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Id = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "predictions",
        sa.Column("campaign_id", Id, sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("date_predicted", sa.String(32), nullable=False),
        sa.Column("objects", sa.Text, nullable=False),
    )
