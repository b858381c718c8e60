"""Until when servers asked not to be called (Retry-After)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from . import tables as t
from .database import Database, now, utc


@dataclass(frozen=True, slots=True)
class Wait:
    """No call before `until`; `reason` is the error that asked for it."""

    name: str
    until: datetime
    reason: str


class Waits:
    """Waits by name, such as `campaign river`. Those that are over are not returned."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, until: datetime, reason: str) -> None:
        """Records a wait. An existing one that ends later stays."""
        with self._database.write() as connection:
            same = t.waits.c.name == name
            recorded = connection.execute(select(t.waits).where(same).with_for_update()).one_or_none()
            if recorded is not None and utc(recorded.until) >= utc(until):
                return
            connection.execute(delete(t.waits).where(same))
            connection.execute(insert(t.waits).values(name=name, until=utc(until), reason=reason))

    def find(self, name: str) -> Wait | None:
        """The wait of this name, while it lasts."""
        return self.all().get(name)

    def all(self) -> dict[str, Wait]:
        """The waits that are not over, by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(t.waits)).all()
        waits = [Wait(row.name, utc(row.until), row.reason) for row in rows]
        return {wait.name: wait for wait in waits if wait.until > now()}

    def forget(self, name: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(t.waits).where(t.waits.c.name == name))
