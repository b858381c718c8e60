"""The tables of the ledger. One file on one machine (SQLite), one database for a team."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# Names are compared byte by byte everywhere, so that an order means the same in every database.
_name = String(1024).with_variant(String(1024, collation="C"), "postgresql")


def _campaign() -> ForeignKey:
    return ForeignKey("campaigns.title", ondelete="CASCADE")


campaigns = Table(
    "campaigns",
    metadata,
    Column("title", String(200), primary_key=True),
    Column("state", String(30), nullable=False),
    Column("state_before", String(30), comment="where it stood before it needed attention"),
    Column("reason", Text, comment="why it needs attention"),
    Column("spec", JSON, nullable=False),
    Column("image_set", String(200), comment="the platform's id"),
    Column("remote_id", String(200), comment="the platform's id of the campaign"),
    Column("images", Integer, comment="images in the manifest, once it is complete"),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False, default=0),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("looked_at", DateTime(timezone=True), comment="when its progress was last read"),
)

images = Table(
    "images",
    metadata,
    Column("campaign", String(200), _campaign(), primary_key=True),
    Column("name", _name, primary_key=True),
    Column("position", Integer, comment="1 to n in the manifest's order, once it is complete"),
    Column("location", Text, nullable=False, comment="where it can be read again; holds no secret"),
    Column("stamp", String(80), comment="tells whether a local file was touched since"),
    Column("sha256", String(64), nullable=False),
    Column("md5", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String(20), nullable=False),
    Column("pass", String(32), nullable=False, comment="the stock-taking that saw it last"),
    Column("stored", Integer, nullable=False, default=0, comment="1 when it was seen in the dropbox or the set"),
    Column("remote_id", String(200), comment="the platform's id"),
    Index("images_in_order", "campaign", "position"),
    Index("images_by_remote_id", "campaign", "remote_id"),
)

rejects = Table(
    "rejects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", String(200), _campaign(), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

effects = Table(
    "effects",
    metadata,
    Column("campaign", String(200), _campaign(), primary_key=True),
    Column("step", String(80), primary_key=True),
    Column("item", String(200), primary_key=True),
    Column("intended_at", DateTime(timezone=True), nullable=False),
    Column("done_at", DateTime(timezone=True), comment="empty: nobody knows whether it happened, so look"),
    Column("outcome", Text, comment="the remote id, or what else came back"),
)

moves = Table(
    "moves",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", String(200), _campaign(), nullable=False, index=True),
    Column("was", String(30), nullable=False),
    Column("became", String(30), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("why", Text),
)

datasets = Table(
    "datasets",
    metadata,
    Column("campaign", String(200), _campaign(), primary_key=True),
    Column("name", String(300), primary_key=True),
    Column("version", String(50), primary_key=True),
    Column("location", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", String(200), _campaign(), nullable=False),
    Column("labeler", String(200), nullable=False, default="", comment="empty: all of them together"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Index("progress_in_order", "campaign", "labeler", "id"),
)
"""A row for each change: an unchanged look leaves none."""

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, comment="a UUID: the same when it is sent twice"),
    Column("campaign", String(200), _campaign(), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("key", String(200), nullable=False, comment="tells this change from any other of its kind"),
    Column("payload", JSON, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("emitted_at", DateTime(timezone=True), index=True, comment="empty: still to be sent"),
    UniqueConstraint("campaign", "kind", "key"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("holder", Text, nullable=False, comment="for people"),
    Column("run", String(36), comment="Prefect's id of the flow run"),
    Column("process", String(300), nullable=False, comment="machine, process id and its start"),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("renewals", Integer, nullable=False, default=0),
)

inbox = Table(
    "inbox",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, comment="a UUID: the same when it is sent twice"),
    Column("source", String(300), nullable=False),
    Column("key", String(64), nullable=False, comment="the same for the same thing told twice"),
    Column("event", String(80), nullable=False),
    Column("resource", JSON, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("emitted_at", DateTime(timezone=True), index=True, comment="empty: still to be sent"),
    UniqueConstraint("source", "key"),
)
"""What came from outside."""

drops = Table(
    "drops",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("blob", Text, nullable=False),
    Column("etag", String(200), nullable=False),
    Column("campaign", String(200), nullable=False),
    Column("launched_at", DateTime(timezone=True), nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("value", String(200), nullable=False),
)
"""What the ledger says of itself: the version of its tables."""

SCHEMA_VERSION = "2"
