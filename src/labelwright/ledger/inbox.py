"""Received messages: recorded before they are acknowledged, sent on to Prefect as events afterwards."""

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
"""The source of letters about campaign files; their key is the one under which the launch is recorded."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A received message."""

    id: str
    source: str
    event: str
    """The name of the event that is sent to Prefect."""
    resource: dict[str, str]
    payload: dict[str, Any]
    received_at: datetime
    emitted_at: datetime | None = None


class Inbox:
    """Received letters, the oldest first, and which campaign files (drops) were launched."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, source: str, key: str, event: str, resource: dict[str, str], payload: dict[str, Any]) -> bool:
        """Records a letter unless its source delivered the same `key` before. Returns whether it is new."""
        row = {"id": str(uuid4()), "source": source, "key": _digest(key), "event": event, "received_at": now()}
        with suppress(IntegrityError), self._database.write() as connection:
            content = {"resource": t.encodable_json(resource), "payload": t.encodable_json(payload)}
            connection.execute(insert(t.inbox).values(**row, **content))
            return True
        return False

    def waiting(self, at_most: int = 500) -> list[Letter]:
        """Letters that were not sent on yet, the oldest first."""
        query = select(t.inbox).where(t.inbox.c.emitted_at.is_(None)).order_by(t.inbox.c.number).limit(at_most)
        with self._database.read() as connection:
            return [_letter_from(row) for row in connection.execute(query)]

    def mark_sent(self, ids: Iterable[str]) -> None:
        with self._database.write() as connection:
            connection.execute(update(t.inbox).where(t.inbox.c.id.in_(list(ids))).values(emitted_at=now()))

    def forget(self, source: str, older_than: timedelta) -> None:
        """Deletes letters of sources with this prefix that were sent on long ago; a repeated delivery is new again."""
        old = now() - older_than
        with self._database.write() as connection:
            connection.execute(
                delete(t.inbox).where(t.inbox.c.source.startswith(source, autoescape=True), t.inbox.c.emitted_at < old)
            )

    def lost_drops(self, sent_before: datetime, received_since: datetime) -> list[Letter]:
        """Letters about campaign files that were sent on before that moment, and neither launched nor refused."""
        settled = exists().where(t.drops.c.key == t.inbox.c.key)
        query = select(t.inbox).where(t.inbox.c.source == DROPS, t.inbox.c.emitted_at < sent_before, ~settled)
        query = query.where(t.inbox.c.received_at > received_since).order_by(t.inbox.c.number)
        with self._database.read() as connection:
            return [_letter_from(row) for row in connection.execute(query)]

    def launched_from(self, blob: str, etag: str) -> str | None:
        """The title under which this version of a campaign file was launched; None when it was not."""
        query = select(t.drops.c.campaign).where(t.drops.c.key == _digest(drop_key(blob, etag)))
        with self._database.read() as connection:
            return connection.scalar(query) or None

    def record_launch(self, blob: str, etag: str, title: str) -> None:
        """Records that this version of a campaign file was launched. Idempotent."""
        self._settle(blob, etag, title)

    def record_refusal(self, blob: str, etag: str) -> None:
        """Records that this version cannot be launched. A version that was launched stays launched."""
        self._settle(blob, etag, "")

    def _settle(self, blob: str, etag: str, title: str) -> None:
        key = _digest(drop_key(blob, etag))
        row = {"key": key, "blob": blob, "etag": etag, "campaign": title, "launched_at": now()}
        with suppress(IntegrityError), self._database.write() as connection:
            connection.execute(delete(t.drops).where(t.drops.c.key == key, t.drops.c.campaign == ""))
            connection.execute(insert(t.drops).values(row))


def drop_key(blob: str, etag: str) -> str:
    """Identifies a version of a campaign file."""
    return f"{blob}\n{etag}"


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _letter_from(row: Row[Any]) -> Letter:
    sent = utc(row.emitted_at) if row.emitted_at else None
    return Letter(row.id, row.source, row.event, row.resource, row.payload, utc(row.received_at), sent)
