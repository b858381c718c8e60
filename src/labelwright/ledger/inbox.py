"""What came from outside and has to be told on: written down before it is answered, sent afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from . import tables as t
from .database import Database, now, utc


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


class Inbox:
    """Letters in the order in which they came, until they are sent on; and which drops were launched."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, source: str, key: str, event: str, resource: dict[str, str], payload: dict[str, Any]) -> bool:
        """Write a letter down unless its source told it before, by `key`. Answers whether it is new."""
        row = {"id": str(uuid4()), "source": source, "key": _digest(key), "event": event, "received_at": now()}
        with suppress(IntegrityError), self._database.write() as connection:
            connection.execute(insert(t.inbox).values(**row, resource=resource, payload=payload))
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

    def launched_from(self, blob: str, etag: str) -> str | None:
        """The campaign that this version of a campaign file was launched as."""
        query = select(t.drops.c.campaign).where(t.drops.c.key == _digest(f"{blob}\n{etag}"))
        with self._database.read() as connection:
            return connection.scalar(query)

    def record_launch(self, blob: str, etag: str, title: str) -> None:
        """Said twice it does no harm."""
        row = {"key": _digest(f"{blob}\n{etag}"), "blob": blob, "etag": etag, "campaign": title, "launched_at": now()}
        with suppress(IntegrityError), self._database.write() as connection:
            connection.execute(insert(t.drops).values(row))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _letter_from(row: Row[Any]) -> Letter:
    return Letter(row.id, row.source, row.event, row.resource, row.payload, utc(row.received_at))
