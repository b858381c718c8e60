"""The tables of the ledger. One file on one machine (SQLite), one database for a team."""

from __future__ import annotations

from typing import Any

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
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData()


def whole_text(text: str) -> str:
    """Without halves of surrogate pairs, which JSON may hold and no UTF-8 can: each becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def whole_texts(told: Any) -> Any:
    """The same for every text in what is written down as JSON."""
    if isinstance(told, str):
        return whole_text(told)
    if isinstance(told, dict):
        return {whole_texts(key): whole_texts(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [whole_texts(value) for value in told]
    return told


class Words(TypeDecorator[str]):
    """A text: of the given length at most, people say, but SQLite does not care and Postgres shall not either.

    Compared byte by byte everywhere, so that an order means the same in every database. Postgres holds no NUL, and no
    database half a surrogate pair; what servers say may have both.
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
        value = whole_text(value)
        return value.replace("\0", "\ufffd") if dialect.name == "postgresql" else value


def _campaign() -> ForeignKey:
    return ForeignKey("campaigns.title", ondelete="CASCADE")


campaigns = Table(
    "campaigns",
    metadata,
    Column("title", Words(200), primary_key=True),
    Column("state", Words(30), nullable=False),
    Column("state_before", Words(30), comment="where it stood before it needed attention"),
    Column("reason", Words(), comment="why it needs attention"),
    Column("spec", JSON, nullable=False),
    Column("image_set", Words(200), comment="the platform's id"),
    Column("remote_id", Words(200), comment="the platform's id of the campaign"),
    Column("images", Integer, comment="images in the manifest, once it is complete"),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False, default=0),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("looked_at", DateTime(timezone=True), comment="when its progress was last read"),
)

images = Table(
    "images",
    metadata,
    Column("campaign", Words(200), _campaign(), primary_key=True),
    Column("name", Words(1024), primary_key=True),
    Column("position", Integer, comment="1 to n in the manifest's order, once it is complete"),
    Column("location", Words(), nullable=False, comment="where it can be read again; holds no secret"),
    Column("stamp", Words(80), comment="tells whether a local file was touched since"),
    Column("sha256", Words(64), nullable=False),
    Column("md5", Words(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", Words(20), nullable=False),
    Column("pass", Words(32), nullable=False, comment="the stock-taking that saw it last"),
    Column("stored", Integer, nullable=False, default=0, comment="1 when it was seen in the dropbox or the set"),
    Column("remote_id", Words(200), comment="the platform's id"),
    Index("images_in_order", "campaign", "position"),
    Index("images_by_remote_id", "campaign", "remote_id"),
)

rejects = Table(
    "rejects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", Words(200), _campaign(), nullable=False, index=True),
    Column("name", Words(), nullable=False),
    Column("reason", Words(), nullable=False),
)

effects = Table(
    "effects",
    metadata,
    Column("campaign", Words(200), _campaign(), primary_key=True),
    Column("step", Words(80), primary_key=True),
    Column("store", Words(80), primary_key=True),
    Column("workspace", Words(200), primary_key=True),
    Column("folder", Words(80), primary_key=True, comment="the last characters of the store's folder of images"),
    Column("earlier_item", Words(200), primary_key=True, comment="of a step of an earlier version"),
    Column("batch", Integer, primary_key=True, autoincrement=False),
    Column("first_image", Integer, primary_key=True, autoincrement=False, comment="its position in the manifest"),
    Column("last_image", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, primary_key=True, autoincrement=False, comment="changes of state before it"),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("intended_at", DateTime(timezone=True), nullable=False),
    Column("done_at", DateTime(timezone=True), comment="empty: not known whether it happened"),
    Column("outcome", Words(), comment="the remote id, or what else came back"),
)
"""Between step and intended_at: the fields of `effects.EffectItem`; 0 and "" where a step does not use the column."""

moves = Table(
    "moves",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", Words(200), _campaign(), nullable=False, index=True),
    Column("was", Words(30), nullable=False),
    Column("became", Words(30), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("why", Words()),
)

image_states = Table(
    "image_states",
    metadata,
    Column("campaign", Words(200), _campaign(), primary_key=True),
    Column("state", Words(40), primary_key=True),
    Column("images", Integer, nullable=False, comment="how many are in this state"),
    Column("listed", JSON, nullable=False, comment="name and reason of the first of them"),
)
"""Images that are not labeled and will not be by themselves."""

datasets = Table(
    "datasets",
    metadata,
    Column("campaign", Words(200), _campaign(), primary_key=True),
    Column("name", Words(300), primary_key=True),
    Column("version", Words(50), primary_key=True),
    Column("location", Words(), nullable=False),
    Column("content_hash", Words(64), nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
)

exports = Table(
    "exports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", Words(200), _campaign(), nullable=False),
    Column("name", Words(300), nullable=False),
    Column("version", Words(50), nullable=False),
    Column("store", Words(), nullable=False, default="", comment="which store counted the export"),
    Column("serial", BigInteger, nullable=False, default=0, comment="the store's number of the export; 0: it has none"),
    Column("receipt_sha256", Words(64), comment="of the receipt's file; empty: not known"),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("exports_in_order", "campaign", "name", "id"),
)
"""A row each time that another version of a dataset becomes the newest: the last one of a name is the newest now."""

progress = Table(
    "progress",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", Words(200), _campaign(), nullable=False),
    Column("labeler", Words(200), nullable=False, default="", comment="empty: all of them together"),
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
    Column("id", Words(36), nullable=False, comment="a UUID: the same when it is sent twice"),
    Column("campaign", Words(200), _campaign(), nullable=False),
    Column("kind", Words(40), nullable=False),
    Column("key", Words(200), nullable=False, comment="tells this change from any other of its kind"),
    Column("payload", JSON, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("emitted_at", DateTime(timezone=True), index=True, comment="empty: still to be sent"),
    UniqueConstraint("campaign", "kind", "key"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Words(300), primary_key=True),
    Column("token", Words(32), nullable=False),
    Column("holder", Words(), nullable=False, comment="for people"),
    Column("run", Words(36), comment="Prefect's id of the flow run"),
    Column("machine", Words(300), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_start", Words(40), comment="tells a process from a later one with its id; empty: not known"),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("renewals", Integer, nullable=False, default=0),
)

inbox = Table(
    "inbox",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words(36), nullable=False, comment="a UUID: the same when it is sent twice"),
    Column("source", Words(300), nullable=False),
    Column("key", Words(64), nullable=False, comment="the same for the same thing told twice"),
    Column("event", Words(80), nullable=False),
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
    Column("key", Words(64), primary_key=True),
    Column("blob", Words(), nullable=False),
    Column("etag", Words(200), nullable=False),
    Column("campaign", Words(200), nullable=False, comment="empty: this version is refused and left to a person"),
    Column("launched_at", DateTime(timezone=True), nullable=False),
)

left_out = Table(
    "left_out",
    metadata,
    Column("campaign", Words(200), _campaign(), primary_key=True),
    Column("kind", Words(20), primary_key=True, comment="shapes, or changed (those that are cut, say)"),
    Column("reason", Words(200), primary_key=True),
    Column("number", Integer, nullable=False),
)
"""Shapes that are in no dataset as they were drawn, as the labels were last read."""
waits = Table(
    "waits",
    metadata,
    Column("name", Words(300), primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("reason", Words(), nullable=False),
)
"""What a server asked to leave alone, and until when (Retry-After)."""

facts = Table(
    "facts",
    metadata,
    Column("name", Words(80), primary_key=True),
    Column("value", Words(200), nullable=False),
)
"""What the ledger says of itself: the version of its tables."""

SCHEMA_VERSION = "5"
"""The newest revision in `migrations/versions`."""

EARLIER_VERSIONS = tuple(str(version) for version in range(1, int(SCHEMA_VERSION)))
"""Versions of the tables that are upgraded when the ledger is opened."""
