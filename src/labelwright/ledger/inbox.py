"""What came from outside and has to be told on: written down before it is answered, sent afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from . import tables as t
from .database import Database, now, utc

DROPS = "drop"
"""The source of letters that tell of campaign files, each under the key that its launch is recorded by."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Something that came once."""

    id: str
    source: str
    event: str
    """The name of the event that tells it on."""
    resource: dict[str, str]
    payload: dict[str, Any]
    received_at: datetime
    emitted_at: datetime | None = None


class Inbox:
    """Letters in the order in which they came, until they are sent on; and which drops were launched."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, source: str, key: str, event: str, resource: dict[str, str], payload: dict[str, Any]) -> bool:
        """Write a letter down unless its source told it before, by `key`. Answers whether it is new."""
        row = {"id": str(uuid4()), "source": source, "key": _digest(key), "event": event, "received_at": now()}
        with suppress(IntegrityError), self._database.write() as connection:
            told = {"resource": t.whole_texts(resource), "payload": t.whole_texts(payload)}
            connection.execute(insert(t.inbox).values(**row, **told))
            return True
        return False

    def waiting(self, at_most: int = 500) -> list[Letter]:
        """Those that were not sent on yet, the oldest first."""
        query = select(t.inbox).where(t.inbox.c.emitted_at.is_(None)).order_by(t.inbox.c.number).limit(at_most)
        with self._database.read() as connection:
            return [_letter_from(row) for row in connection.execute(query)]

    def mark_sent(self, ids: Iterable[str]) -> None:
        with self._database.write() as connection:
            connection.execute(update(t.inbox).where(t.inbox.c.id.in_(list(ids))).values(emitted_at=now()))

    def forget(self, source: str, older_than: timedelta) -> None:
        """Letters of a source (or that begin with it) that were sent on long ago; whoever tells them anew is new."""
        old = now() - older_than
        with self._database.write() as connection:
            connection.execute(
                delete(t.inbox).where(t.inbox.c.source.startswith(source, autoescape=True), t.inbox.c.emitted_at < old)
            )

    def lost_drops(self, told_before: datetime, received_since: datetime) -> list[Letter]:
        """Campaign files that were told on before that moment and came of nothing: neither launched nor refused."""
        settled = exists().where(t.drops.c.key == t.inbox.c.key)
        query = select(t.inbox).where(t.inbox.c.source == DROPS, t.inbox.c.emitted_at < told_before, ~settled)
        query = query.where(t.inbox.c.received_at > received_since).order_by(t.inbox.c.number)
        with self._database.read() as connection:
            return [_letter_from(row) for row in connection.execute(query)]

    def launched_from(self, blob: str, etag: str) -> str | None:
        """The campaign that this version of a campaign file was launched as."""
        query = select(t.drops.c.campaign).where(t.drops.c.key == _digest(drop_key(blob, etag)))
        with self._database.read() as connection:
            return connection.scalar(query) or None

    def record_launch(self, blob: str, etag: str, title: str) -> None:
        """Said twice it does no harm."""
        self._settle(blob, etag, title)

    def record_refusal(self, blob: str, etag: str) -> None:
        """This version cannot be launched as things are: it is left to a person. One that was launched stays so."""
        self._settle(blob, etag, "")

    def _settle(self, blob: str, etag: str, title: str) -> None:
        key = _digest(drop_key(blob, etag))
        row = {"key": key, "blob": blob, "etag": etag, "campaign": title, "launched_at": now()}
        with suppress(IntegrityError), self._database.write() as connection:
            connection.execute(delete(t.drops).where(t.drops.c.key == key, t.drops.c.campaign == ""))
            connection.execute(insert(t.drops).values(row))


def drop_key(blob: str, etag: str) -> str:
    """Tells a version of a campaign file from all others."""
    return f"{blob}\n{etag}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _letter_from(row: Row[Any]) -> Letter:
    sent = utc(row.emitted_at) if row.emitted_at else None
    return Letter(row.id, row.source, row.event, row.resource, row.payload, utc(row.received_at), sent)
