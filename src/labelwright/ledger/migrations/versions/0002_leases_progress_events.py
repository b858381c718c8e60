"""Leases, progress, events, inbox and drops; images by the platform's id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

Moment = sa.DateTime(timezone=True)


def _campaign() -> sa.Column[str]:
    return sa.Column("campaign", sa.String(200), sa.ForeignKey("campaigns.title", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    op.create_index("images_by_remote_id", "images", ["campaign", "remote_id"])
    op.create_table(
        "progress",
        sa.Column("id", sa.Integer, primary_key=True),
        _campaign(),
        sa.Column("labeler", sa.String(200), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Index("progress_in_order", "campaign", "labeler", "id"),
    )
    op.create_table(
        "events",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        _campaign(),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("occurred_at", Moment, nullable=False),
        sa.Column("emitted_at", Moment, index=True),
        sa.UniqueConstraint("campaign", "kind", "key"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(300), primary_key=True),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("run", sa.String(36)),
        sa.Column("process", sa.String(300), nullable=False),
        sa.Column("taken_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("renewals", sa.Integer, nullable=False),
    )
    op.create_table(
        "inbox",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("event", sa.String(80), nullable=False),
        sa.Column("resource", sa.JSON, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("received_at", Moment, nullable=False),
        sa.Column("emitted_at", Moment, index=True),
        sa.UniqueConstraint("source", "key"),
    )
    op.create_table(
        "drops",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("blob", sa.Text, nullable=False),
        sa.Column("etag", sa.String(200), nullable=False),
        sa.Column("campaign", sa.String(200), nullable=False),
        sa.Column("launched_at", Moment, nullable=False),
    )
