"""The tables as they were when migrations began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Id = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _people()
    _blobs()
    _image_sets()
    _campaigns()


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", Id, primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("key", sa.String(255), nullable=False, unique=True),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("date_created", sa.String(32), nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("user_id", Id, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("date_created", sa.String(32), nullable=False, index=True),
    )


def _blobs() -> None:
    op.create_table(
        "containers",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", Name, nullable=False, unique=True),
        sa.Column("sealed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "blobs",
        sa.Column("id", Id, primary_key=True),
        sa.Column("container_id", Id, sa.ForeignKey("containers.id"), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("file", sa.String(64), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("md5", sa.String(32)),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("etag", sa.String(40), nullable=False),
        sa.Column("modified", sa.String(40), nullable=False),
        sa.Column("metadata", sa.Text),
        sa.UniqueConstraint("container_id", "name"),
    )
    op.create_table(
        "blocks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("container_id", Id, sa.ForeignKey("containers.id"), nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("block_id", sa.Text, nullable=False),
        sa.Column("file", sa.String(64), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("container_id", "name", "block_id"),
    )


def _image_sets() -> None:
    op.create_table(
        "image_sets",
        sa.Column("id", Id, primary_key=True),
        sa.Column("title", Name, nullable=False, unique=True),
        sa.Column("metadata", sa.Text),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("container", Name, nullable=False, unique=True),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.Column("date_created", sa.String(32), nullable=False),
        sa.Column("date_finished", sa.String(32)),
        sa.Column("sealed_to", Name),
        sa.Column("image_count", Id, nullable=False),
    )
    op.create_table(
        "rejects",
        sa.Column("id", Id, primary_key=True),
        sa.Column("imageset_id", Id, sa.ForeignKey("image_sets.id"), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("id", Id, primary_key=True, autoincrement=False),
        sa.Column("imageset_id", Id, sa.ForeignKey("image_sets.id"), nullable=False),
        sa.Column("position", Id, nullable=False),
        sa.Column("file_name", Name, nullable=False),
        sa.Column("blob", Name, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("filesize", sa.BigInteger, nullable=False),
        sa.Column("filetype", sa.String(16), nullable=False),
        sa.Column("date_taken", sa.String(40)),
        sa.Column("lat", sa.Float),
        sa.Column("lon", sa.Float),
        sa.UniqueConstraint("imageset_id", "position"),
        sa.UniqueConstraint("imageset_id", "file_name"),
    )


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", Id, primary_key=True),
        sa.Column("title", Name, nullable=False, unique=True),
        sa.Column("metadata", sa.Text),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("labeler_id", Id, sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("labels", sa.Text),
        sa.Column("instructions", sa.Text),
        sa.Column("label_translations", sa.Text),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.Column("date_created", sa.String(32), nullable=False),
        sa.Column("date_started", sa.String(32)),
        sa.Column("date_completed", sa.String(32)),
        sa.Column("date_finished", sa.String(32)),
        sa.Column("total", Id, nullable=False),
        sa.Column("done", Id, nullable=False),
        sa.Column("revision", Id, nullable=False),
    )
    op.create_table(
        "campaign_images",
        sa.Column("campaign_id", Id, sa.ForeignKey("campaigns.id"), primary_key=True),
        sa.Column("position", Id, primary_key=True, autoincrement=False),
        sa.Column("image_id", Id, sa.ForeignKey("images.id"), nullable=False, index=True),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("date_labeled", sa.String(32)),
        sa.Column("labeled_by", sa.String(254)),
        sa.Column("objects", sa.Text),
        sa.UniqueConstraint("campaign_id", "image_id"),
        sa.Index("campaign_images_done", "campaign_id", "done", "position"),
    )
