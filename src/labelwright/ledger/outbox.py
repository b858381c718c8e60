"""Events of campaigns: recorded in the transaction of the change, sent to Prefect afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, insert, select, update
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import IntegrityError

from labelwright.domain import State

from . import tables as t
from .database import Database, now, utc

KINDS: dict[State, str] = {
    State.UPLOADING: "uploading",
    State.CREATED: "created",
    State.ACTIVE: "activated",
    State.COMPLETED: "completed",
    State.REOPENED: "reopened",
    State.FINISHED: "finished",
    State.EXPORTED: "exported",
    State.CANCELLED: "cancelled",
    State.NEEDS_ATTENTION: "needs-attention",
    State.PAUSED: "paused",
}
"""The kind of event when a campaign enters a state."""

CHANGED = "changed"
"""The kind of event when a launched campaign's specification was changed."""

ON_PAGES = frozenset({*KINDS.values(), CHANGED})
"""Kinds of events after which a campaign's page is out of date."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a campaign."""

    id: str
    campaign: str
    kind: str
    payload: dict[str, Any]
    occurred_at: datetime


class Outbox:
    """Events, the oldest first, until they are sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, title: str, kind: str, key: str, payload: dict[str, Any]) -> bool:
        """Records an event unless one of this kind and key exists. Returns whether it is new."""
        with suppress(IntegrityError), self._database.write() as connection:
            write_event(connection, title, kind, key, payload)
            return True
        return False

    def waiting(self, at_most: int = 200) -> list[Event]:
        """Events that were not sent yet, the oldest first."""
        query = select(t.events).where(t.events.c.emitted_at.is_(None)).order_by(t.events.c.number).limit(at_most)
        with self._database.read() as connection:
            return [_event_from(row) for row in connection.execute(query)]

    def mark_sent(self, ids: Iterable[str]) -> None:
        with self._database.write() as connection:
            connection.execute(update(t.events).where(t.events.c.id.in_(list(ids))).values(emitted_at=now()))

    def of(self, title: str) -> list[Event]:
        """All events of a campaign, the oldest first."""
        query = select(t.events).where(t.events.c.campaign == title).order_by(t.events.c.number)
        with self._database.read() as connection:
            return [_event_from(row) for row in connection.execute(query)]


def write_event(connection: Connection, title: str, kind: str, key: str, payload: dict[str, Any]) -> None:
    """Records an event in the transaction of the change. Raises IntegrityError when it exists already."""
    row: dict[str, Any] = {"id": str(uuid4()), "campaign": title, "kind": kind, "key": key, "occurred_at": now()}
    row["payload"] = t.encodable_json(payload)
    connection.execute(insert(t.events).values(row))


def _event_from(row: Row[Any]) -> Event:
    return Event(row.id, row.campaign, row.kind, row.payload, utc(row.occurred_at))


def new_key(result: CursorResult[Any]) -> int:
    """The key that the database generated for a new row."""
    key = result.inserted_primary_key
    if key is None:
        raise RuntimeError("the database gave no key to a new row")
    return int(key[0])
