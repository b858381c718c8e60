"""Campaigns, images, rejects, effects, moves and datasets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

Moment = sa.DateTime(timezone=True)
ImageName = sa.String(1024).with_variant(sa.String(1024, collation="C"), "postgresql")


def _campaign(*, primary_key: bool = False, index: bool = False) -> sa.Column[str]:
    reference = sa.ForeignKey("campaigns.title", ondelete="CASCADE")
    return sa.Column(
        "campaign", sa.String(200), reference, nullable=False, primary_key=primary_key, index=index or None
    )


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    op.create_table(
        "campaigns",
        sa.Column("title", sa.String(200), primary_key=True),
        sa.Column("state", sa.String(30), nullable=False),
        sa.Column("state_before", sa.String(30)),
        sa.Column("reason", sa.Text),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("image_set", sa.String(200)),
        sa.Column("remote_id", sa.String(200)),
        sa.Column("images", sa.Integer),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("looked_at", Moment),
    )
    op.create_table(
        "images",
        _campaign(primary_key=True),
        sa.Column("name", ImageName, primary_key=True),
        sa.Column("position", sa.Integer),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("stamp", sa.String(80)),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("md5", sa.String(32), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("format", sa.String(20), nullable=False),
        sa.Column("pass", sa.String(32), nullable=False),
        sa.Column("stored", sa.Integer, nullable=False),
        sa.Column("remote_id", sa.String(200)),
        sa.Index("images_in_order", "campaign", "position"),
    )
    op.create_table(
        "rejects",
        sa.Column("id", sa.Integer, primary_key=True),
        _campaign(index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "effects",
        _campaign(primary_key=True),
        sa.Column("step", sa.String(80), primary_key=True),
        sa.Column("item", sa.String(200), primary_key=True),
        sa.Column("intended_at", Moment, nullable=False),
        sa.Column("done_at", Moment),
        sa.Column("outcome", sa.Text),
    )
    op.create_table(
        "moves",
        sa.Column("id", sa.Integer, primary_key=True),
        _campaign(index=True),
        sa.Column("was", sa.String(30), nullable=False),
        sa.Column("became", sa.String(30), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("why", sa.Text),
    )
    op.create_table(
        "datasets",
        _campaign(primary_key=True),
        sa.Column("name", sa.String(300), primary_key=True),
        sa.Column("version", sa.String(50), primary_key=True),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("registered_at", Moment, nullable=False),
    )
