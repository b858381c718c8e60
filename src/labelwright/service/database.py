"""Tables of the service, and readers and a writer of them. `engines` holds what differs between the databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from labelwright.security.private_files import private_database

from .api.errors import Busy
from .engines import Engines, open_engines
from .migrations import history_of, migrate

metadata = MetaData()

# Names are compared and sorted by code point everywhere, as SQLite does by itself.
Name = Text().with_variant(Text(collation="C"), "postgresql")

# Numbers that requests name: SQLite's integers have 64 bits by themselves.
Id = Integer().with_variant(BigInteger(), "postgresql")

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("key", String(255), nullable=False, unique=True),
    Column("secret_hash", Text, nullable=False),
    Column("date_created", String(32), nullable=False),
)

containers = Table(
    "containers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("sealed", Boolean, nullable=False, default=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("container_id", ForeignKey("containers.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("file", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("md5", String(32)),
    Column("content_type", Text, nullable=False),
    Column("etag", String(40), nullable=False),
    Column("modified", String(40), nullable=False),
    Column("metadata", Text),
    UniqueConstraint("container_id", "name"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("container_id", ForeignKey("containers.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("block_id", Text, nullable=False),
    Column("file", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    UniqueConstraint("container_id", "name", "block_id"),
)

image_sets = Table(
    "image_sets",
    metadata,
    Column("id", Id, primary_key=True),
    Column("title", Name, nullable=False, unique=True),
    Column("metadata", Text),
    Column("status", String(16), nullable=False, index=True),
    Column("container", Name, nullable=False, unique=True),
    Column("created_by", String(254), nullable=False),
    Column("date_created", String(32), nullable=False),
    Column("date_finished", String(32)),
    # How far sealing has come: the last blob that is in, or rejected.
    Column("sealed_to", Name),
    Column("image_count", Id, nullable=False, default=0),
)

rejects = Table(
    "rejects",
    metadata,
    Column("id", Id, primary_key=True),
    Column("imageset_id", ForeignKey("image_sets.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

# Ids are 1, 2, 3, ... without a gap (sealing gives them out inside its transaction, and no image is ever deleted),
# and so are positions within a set or a campaign: page n is a range of numbers, as quick at the end as at the start.
images = Table(
    "images",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("imageset_id", ForeignKey("image_sets.id"), nullable=False),
    Column("position", Id, nullable=False),
    Column("file_name", Name, nullable=False),
    Column("blob", Name, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("filesize", BigInteger, nullable=False),
    Column("filetype", String(16), nullable=False),
    Column("date_taken", String(40)),
    Column("lat", Float),
    Column("lon", Float),
    UniqueConstraint("imageset_id", "position"),
    UniqueConstraint("imageset_id", "file_name"),
)

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Id, primary_key=True),
    Column("title", Name, nullable=False, unique=True),
    Column("metadata", Text),
    Column("status", String(16), nullable=False, index=True),
    Column("labeler_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("labels", Text),
    Column("instructions", Text),
    Column("label_translations", Text),
    # The whole schema as JSON (`label_schema`); null in campaigns that have names only, or no labels at all.
    Column("label_schema", Text),
    Column("created_by", String(254), nullable=False),
    Column("date_created", String(32), nullable=False),
    Column("date_started", String(32)),
    Column("date_completed", String(32)),
    Column("date_finished", String(32)),
    Column("total", Id, nullable=False, default=0),
    Column("done", Id, nullable=False, default=0),
    # Grows with every change of labels or state: a file written from the labels can tell whether it is still true.
    Column("revision", Id, nullable=False, default=0),
    Column("allow_skip", Boolean, nullable=False, default=False, server_default=false()),
    # Of `done`.
    Column("skipped", Id, nullable=False, default=0, server_default="0"),
)

campaign_images = Table(
    "campaign_images",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    Column("position", Id, primary_key=True, autoincrement=False),
    Column("image_id", ForeignKey("images.id"), nullable=False, index=True),
    Column("done", Boolean, nullable=False, default=False),
    Column("date_labeled", String(32)),
    Column("labeled_by", String(254)),
    # The objects as JSON text, just as they were put: no number is ever rounded. Last, because it is long.
    Column("objects", Text),
    UniqueConstraint("campaign_id", "image_id"),
    Index("campaign_images_done", "campaign_id", "done", "position"),
)

# Images that were given back to their labeler and not submitted again yet; the reason may be empty.
reopened_images = Table(
    "reopened_images",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    Column("image_id", ForeignKey("images.id"), primary_key=True),
    Column("reason", Text, nullable=False),
)

# Objects that a model predicted; labelers see them as suggestions. They are no labels: `campaign_images.objects` are.
predictions = Table(
    "predictions",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    Column("image_id", ForeignKey("images.id"), primary_key=True),
    Column("date_predicted", String(32), nullable=False),
    # JSON text, just as it was put.
    Column("objects", Text, nullable=False),
)

# Images that their labeler skipped; they are done, without objects, and become labeled when objects are submitted.
skipped_images = Table(
    "skipped_images",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), primary_key=True),
    Column("image_id", ForeignKey("images.id"), primary_key=True),
    Column("reason", Text, nullable=False),
)

# Of labelers to whoever ordered the labels; about an image, or the shape that it had then (JSON).
notes = Table(
    "notes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("campaign_id", ForeignKey("campaigns.id"), nullable=False),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("shape", Text),
    Column("text", Text, nullable=False),
    Column("author", String(254), nullable=False),
    Column("date_created", String(32), nullable=False),
    Column("answer", Text),
    Column("answered_by", String(254)),
    Column("date_answered", String(32)),
    Index("notes_of_image", "campaign_id", "image_id"),
)

answers = Table(
    "answers",
    metadata,
    Column("user_id", ForeignKey("users.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("date_created", String(32), nullable=False, index=True),
)

HISTORY = history_of(metadata)


def now() -> str:
    """This moment as the API writes it: UTC, microseconds, Z."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_text(column: Column[str], text: str) -> ColumnElement[bool]:
    """`column == text`. Postgres has no NUL in any text, and would not even be asked."""
    return false() if "\0" in text else column == text


class Database:
    """Readers and one writer. Every method may be called from any thread."""

    def __init__(self, data_dir: Path, url: str | None = None, lock_seconds: float = 10.0) -> None:
        self._writing = threading.Lock()
        self._lock_seconds = lock_seconds
        if url is None:
            url = f"sqlite:///{private_database(data_dir / 'labelwright.sqlite3')}"
        self._engines: Engines = open_engines(url, lock_seconds)
        try:
            with self.write() as connection:
                migrate(connection, HISTORY)
        except BaseException:
            self.close()
            raise

    @property
    def shared(self) -> bool:
        """Whether another process may be working on it, unseen."""
        return self._engines.shared

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot for all reads inside."""
        with self._engines.reading.begin() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction; nobody else writes meanwhile. An exception undoes all of it.

        Raises Busy when others write for longer than we wait: half a minute of locks would use up every thread.
        """
        engine = self._engines.durable if durable else self._engines.quick
        # The lock of this process comes first: those who wait for it hold no connection.
        if not self._writing.acquire(timeout=self._lock_seconds):
            raise Busy("the service's database is busy with other requests: try again")
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            self._writing.release()

    @contextmanager
    def only_one(self, work: str) -> Iterator[bool]:
        """Whether we are the one process that does this work; as long as the block lasts no other is."""
        with self._engines.only_one(work) as alone:
            yield alone

    def close(self) -> None:
        self._engines.close()
