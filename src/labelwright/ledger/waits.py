"""What servers asked to leave alone, and until when."""

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
    """Waits by name, such as `campaign river`. Those that are over count as none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, until: datetime, reason: str) -> None:
        """Write down a wait, in place of an earlier one that ends sooner."""
        with self._database.write() as connection:
            same = t.waits.c.name == name
            known = connection.execute(select(t.waits).where(same).with_for_update()).one_or_none()
            if known is not None and utc(known.until) >= utc(until):
                return
            connection.execute(delete(t.waits).where(same))
            connection.execute(insert(t.waits).values(name=name, until=utc(until), reason=reason))

    def find(self, name: str) -> Wait | None:
        """The wait that is not over yet."""
        return self.all().get(name)

    def all(self) -> dict[str, Wait]:
        """Every wait that is not over yet, by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(t.waits)).all()
        found = [Wait(row.name, utc(row.until), row.reason) for row in rows]
        return {one.name: one for one in found if one.until > now()}

    def forget(self, name: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(t.waits).where(t.waits.c.name == name))
