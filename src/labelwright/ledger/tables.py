"""The tables of the ledger. One file on one machine (SQLite), one database for a team."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData()

VERSION_TABLE = "labelwright_ledger_version"
"""Alembic's own table, where a ledger was upgraded."""


def encodable(text: str) -> str:
    """The text with unpaired surrogates, which JSON may hold and UTF-8 cannot, replaced by question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def encodable_json(document: Any) -> Any:
    """The JSON document with every text made encodable."""
    if isinstance(document, str):
        return encodable(document)
    if isinstance(document, dict):
        return {encodable_json(key): encodable_json(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [encodable_json(value) for value in document]
    return document


class PortableText(TypeDecorator[str]):
    """Text that is compared byte by byte in every database, so that an order means the same everywhere.

    The length is for people: SQLite ignores it, and on PostgreSQL the column has none. PostgreSQL stores no NUL, and no
    database an unpaired surrogate; messages of servers may hold both, so they are replaced.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        self.length = length
        super().__init__()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(String(collation="C"))
        return dialect.type_descriptor(String(self.length) if self.length else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        value = encodable(value)
        return value.replace("\0", "\ufffd") if dialect.name == "postgresql" else value


def _campaign() -> ForeignKey:
    return ForeignKey("campaigns.title", ondelete="CASCADE")


campaigns = Table(
    "campaigns",
    metadata,
    Column("title", PortableText(200), primary_key=True),
    Column("state", PortableText(30), nullable=False),
    Column("state_before", PortableText(30), comment="before it needed attention"),
    Column("reason", PortableText(), comment="why it needs attention"),
    Column("spec", JSON, nullable=False),
    Column("image_set", PortableText(200), comment="the platform's id"),
    Column("remote_id", PortableText(200), comment="the platform's id of the campaign"),
    Column("images", Integer, comment="images in the manifest, once it is complete"),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False, default=0),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("looked_at", DateTime(timezone=True), comment="when its progress was last read"),
    Column("unanswered_notes", Integer, comment="of labelers; empty while the platform has told none"),
)

images = Table(
    "images",
    metadata,
    Column("campaign", PortableText(200), _campaign(), primary_key=True),
    Column("name", PortableText(1024), primary_key=True),
    Column("position", Integer, comment="1 to n in the manifest's order, once it is complete"),
    Column("location", PortableText(), nullable=False, comment="where it can be read again; holds no secret"),
    Column("stamp", PortableText(80), comment="tells whether a local file was touched since"),
    Column("sha256", PortableText(64), nullable=False),
    Column("md5", PortableText(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", PortableText(20), nullable=False),
    Column("pass", PortableText(32), nullable=False, comment="the inventory pass that saw it last"),
    Column("stored", Integer, nullable=False, default=0, comment="1 when it was seen in the dropbox or the set"),
    Column("remote_id", PortableText(200), comment="the platform's id"),
    Column("source_name", PortableText(1024), comment="as the source has it, where it differs from the name"),
    Column("split_group", PortableText(), comment="images of one group are in one part of a split"),
    Column("video", PortableText(1024), comment="of a frame: the video's file name"),
    Column("frame", BigInteger, comment="its number in the video, from 0"),
    Column("time_seconds", Double, comment="its time in the video, from its first frame"),
    Index("images_in_order", "campaign", "position"),
    Index("images_by_remote_id", "campaign", "remote_id"),
)

rejects = Table(
    "rejects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", PortableText(200), _campaign(), nullable=False, index=True),
    Column("name", PortableText(), nullable=False),
    Column("reason", PortableText(), nullable=False),
)

effects = Table(
    "effects",
    metadata,
    Column("campaign", PortableText(200), _campaign(), primary_key=True),
    Column("step", PortableText(80), primary_key=True),
    Column("store", PortableText(80), primary_key=True),
    Column("workspace", PortableText(200), primary_key=True),
    Column("folder", PortableText(80), primary_key=True, comment="the last characters of the store's folder of images"),
    Column("earlier_item", PortableText(200), primary_key=True, comment="of a step of an earlier version"),
    Column("batch", Integer, primary_key=True, autoincrement=False),
    Column("first_image", Integer, primary_key=True, autoincrement=False, comment="its position in the manifest"),
    Column("last_image", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, primary_key=True, autoincrement=False, comment="changes of state before it"),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("intended_at", DateTime(timezone=True), nullable=False),
    Column("done_at", DateTime(timezone=True), comment="empty: not known whether it happened"),
    Column("outcome", PortableText(), comment="the remote id, or what else came back"),
)
"""Between step and intended_at: the fields of `effects.EffectItem`; 0 and "" where a step does not use the column."""

moves = Table(
    "moves",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", PortableText(200), _campaign(), nullable=False, index=True),
    Column("was", PortableText(30), nullable=False),
    Column("became", PortableText(30), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("why", PortableText()),
)

image_states = Table(
    "image_states",
    metadata,
    Column("campaign", PortableText(200), _campaign(), primary_key=True),
    Column("state", PortableText(40), primary_key=True),
    Column("images", Integer, nullable=False, comment="how many are in this state"),
    Column("listed", JSON, nullable=False, comment="name and reason of the first of them"),
)
"""Images that will not be labeled without somebody's action."""

datasets = Table(
    "datasets",
    metadata,
    Column("campaign", PortableText(200), _campaign(), primary_key=True),
    Column("name", PortableText(300), primary_key=True),
    Column("version", PortableText(50), primary_key=True),
    Column("location", PortableText(), nullable=False),
    Column("content_hash", PortableText(64), nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
    Column("host", PortableText(300), comment="the machine that registered it last; empty: not known"),
    Column("store", PortableText(), comment="the store's identity; empty: not known"),
)

exports = Table(
    "exports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", PortableText(200), _campaign(), nullable=False),
    Column("name", PortableText(300), nullable=False),
    Column("version", PortableText(50), nullable=False),
    Column("store", PortableText(), nullable=False, default="", comment="which store counted the export"),
    Column("serial", BigInteger, nullable=False, default=0, comment="the store's number of the export; 0: it has none"),
    Column("receipt_sha256", PortableText(64), comment="of the receipt's file; empty: not known"),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("exports_in_order", "campaign", "name", "id"),
)
"""A row each time another version of a dataset becomes the newest: the last row of a name is the newest version."""

progress = Table(
    "progress",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", PortableText(200), _campaign(), nullable=False),
    Column("labeler", PortableText(200), nullable=False, default="", comment="empty: all of them together"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Index("progress_in_order", "campaign", "labeler", "id"),
)
"""A row for each change of the progress."""

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", PortableText(36), nullable=False, comment="a UUID: the same when it is sent twice"),
    Column("campaign", PortableText(200), _campaign(), nullable=False),
    Column("kind", PortableText(40), nullable=False),
    Column("key", PortableText(200), nullable=False, comment="identifies the change among those of its kind"),
    Column("payload", JSON, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("emitted_at", DateTime(timezone=True), index=True, comment="empty: still to be sent"),
    UniqueConstraint("campaign", "kind", "key"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", PortableText(300), primary_key=True),
    Column("token", PortableText(32), nullable=False),
    Column("holder", PortableText(), nullable=False, comment="for people"),
    Column("run", PortableText(36), comment="Prefect's id of the flow run"),
    Column("machine", PortableText(300), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_start", PortableText(40), comment="tells a process from a later one with its id; empty: not known"),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("renewals", Integer, nullable=False, default=0),
)

runs = Table(
    "runs",
    metadata,
    Column("run", PortableText(36), primary_key=True, comment="Prefect's id of the flow run"),
    Column("began_at", DateTime(timezone=True), comment="when it took up its work; empty: it has not yet"),
    Column("attempt", Integer, nullable=False, comment="from 1; more: it was started in place of one that was lost"),
    Column("followed_by", PortableText(36), comment="the run that was started in its place"),
)
"""Runs that took up their work, and those that were lost before."""

inbox = Table(
    "inbox",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", PortableText(36), nullable=False, comment="a UUID: the same when it is sent twice"),
    Column("source", PortableText(300), nullable=False),
    Column("key", PortableText(64), nullable=False, comment="the same for a repeated delivery"),
    Column("event", PortableText(80), nullable=False),
    Column("resource", JSON, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("emitted_at", DateTime(timezone=True), index=True, comment="empty: still to be sent"),
    UniqueConstraint("source", "key"),
)
"""Messages that were received: webhooks, Event Grid events, campaign files."""

drops = Table(
    "drops",
    metadata,
    Column("key", PortableText(64), primary_key=True),
    Column("blob", PortableText(), nullable=False),
    Column("etag", PortableText(200), nullable=False),
    Column("campaign", PortableText(200), nullable=False, comment="empty: this version of the file was refused"),
    Column("launched_at", DateTime(timezone=True), nullable=False),
)

left_out = Table(
    "left_out",
    metadata,
    Column("campaign", PortableText(200), _campaign(), primary_key=True),
    Column("kind", PortableText(20), primary_key=True, comment="shapes, or changed (those that are cut, say)"),
    Column("reason", PortableText(200), primary_key=True),
    Column("number", Integer, nullable=False),
)
"""Shapes that are left out of datasets or changed, as the labels were last read."""

waits = Table(
    "waits",
    metadata,
    Column("name", PortableText(300), primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("reason", PortableText(), nullable=False),
)
"""Until when a server asked not to be called (Retry-After)."""

labeler_keys = Table(
    "labeler_keys",
    metadata,
    Column("connection", PortableText(200), primary_key=True),
    Column("labeler", PortableText(254), primary_key=True),
    Column("sealed", PortableText(), comment="the key, encrypted with the team's key; empty: only on that machine"),
    Column("proof", PortableText(200), nullable=False, comment="a salted hash, by which a copy is recognized"),
    Column("host", PortableText(300), nullable=False, comment="the machine that received it"),
    Column("folder", PortableText(), nullable=False, comment="the home folder of that machine"),
    Column("kept_at", DateTime(timezone=True), nullable=False),
)
"""The present key of each labeler on a connection, or where it is."""

facts = Table(
    "facts",
    metadata,
    Column("name", PortableText(80), primary_key=True),
    Column("value", PortableText(200), nullable=False),
)
"""The version of the tables, under the name `schema`."""

SCHEMA_VERSION = "10"
"""The newest revision in `migrations/versions`."""

EARLIER_VERSIONS = tuple(str(version) for version in range(1, int(SCHEMA_VERSION)))
"""Versions of the tables that are upgraded when the ledger is opened."""
