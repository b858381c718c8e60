"""Images that were reopened, each with the reason that its labeler sees."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Id = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "reopened_images",
        sa.Column("campaign_id", Id, sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
    )
