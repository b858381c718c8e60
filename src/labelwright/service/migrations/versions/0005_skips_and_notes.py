"""Images that labelers skip, with their reasons, and notes of labelers to the requester, with the answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Id = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("allow_skip", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("campaigns", sa.Column("skipped", Id, nullable=False, server_default="0"))
    op.create_table(
        "skipped_images",
        sa.Column("campaign_id", Id, sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "notes",
        sa.Column("id", Id, primary_key=True),
        sa.Column("campaign_id", Id, sa.ForeignKey("campaigns.id"), nullable=False),
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), nullable=False),
        sa.Column("shape", sa.Text),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("author", sa.String(254), nullable=False),
        sa.Column("date_created", sa.String(32), nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("answered_by", sa.String(254)),
        sa.Column("date_answered", sa.String(32)),
    )
    op.create_index("notes_of_image", "notes", ["campaign_id", "image_id"])
