"""Labelers' keys: the present one of each labeler, encrypted, or the machine that has it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from . import tables as t
from .database import Database, now, utc


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the ledger has of a labeler's key. Holds no secret that can be read without the team's key."""

    connection: str
    labeler: str
    sealed: str | None
    """The key, encrypted with the team's key; None when only the machine `host` has it."""
    proof: str
    """A salted hash of the key, by which a copy elsewhere is recognized as the present one."""
    host: str
    """The machine that received the key."""
    folder: str
    """The home folder of that machine."""
    kept_at: datetime


class LabelerKeyRecords:
    """The records by connection and labeler."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, connection: str, labeler: str) -> KeyRecord | None:
        with self._database.read() as database:
            row = database.execute(select(t.labeler_keys).where(_is(connection, labeler))).one_or_none()
        return None if row is None else _record_from(row)

    def all(self) -> list[KeyRecord]:
        query = select(t.labeler_keys).order_by(t.labeler_keys.c.connection, t.labeler_keys.c.labeler)
        with self._database.read() as database:
            return [_record_from(row) for row in database.execute(query)]

    def put(self, connection: str, labeler: str, *, sealed: str | None, proof: str, host: str, folder: str) -> None:
        """Records a key that the platform made: it is the present one from now on."""
        values = {"sealed": sealed, "proof": proof, "host": host, "folder": folder, "kept_at": now()}
        with suppress(IntegrityError), self._database.write() as database:
            database.execute(insert(t.labeler_keys).values(connection=connection, labeler=labeler, **values))
        with self._database.write() as database:
            database.execute(update(t.labeler_keys).where(_is(connection, labeler)).values(**values))

    def seal(self, record: KeyRecord, sealed: str) -> bool:
        """Stores another encryption of the recorded key. Returns False when another key was recorded meanwhile."""
        unchanged = _is(record.connection, record.labeler) & (t.labeler_keys.c.proof == record.proof)
        with self._database.write() as database:
            return bool(database.execute(update(t.labeler_keys).where(unchanged).values(sealed=sealed)).rowcount)

    def check_writable(self) -> None:
        """Writes a record as large as any and removes it. Raises SQLAlchemyError when a key could not be recorded."""
        trial = {"connection": "", "labeler": uuid4().hex, "sealed": " " * 4096, "kept_at": now()}
        with self._database.write() as database:
            database.execute(insert(t.labeler_keys).values(**trial, proof="", host="", folder=""))
            database.execute(delete(t.labeler_keys).where(_is("", str(trial["labeler"]))))


def _is(connection: str, labeler: str) -> ColumnElement[bool]:
    return and_(t.labeler_keys.c.connection == connection, t.labeler_keys.c.labeler == labeler)


def _record_from(row: Row[Any]) -> KeyRecord:
    return KeyRecord(**{**row._mapping, "kept_at": utc(row.kept_at)})
