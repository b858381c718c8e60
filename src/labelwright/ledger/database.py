"""The ledger's database: how it is opened, and how its transactions begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, event, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from . import tables as t
from .errors import LedgerError


class Database:
    """Opens the ledger at an SQLAlchemy URL, and makes its tables when it is new."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._writing = self.engine.execution_options(labelwright_writes=True)
        _make_tables(self._writing)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it or nothing."""
        with self._writing.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def now() -> datetime:
    return datetime.now(UTC)


def utc(moment: datetime) -> datetime:
    """SQLite forgets the zone; everything in the ledger is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _engine(url: str) -> Engine:
    sqlite = url.startswith("sqlite")
    try:
        engine = create_engine(url, connect_args={"timeout": 60} if sqlite else {}, pool_pre_ping=not sqlite)
    except Exception as error:  # noqa: BLE001 - whatever it says may hold the password
        raise LedgerError(
            f"the ledger's URL cannot be used ({type(error).__name__}): see ledger_url in the settings"
        ) from None
    if sqlite:
        event.listen(engine, "connect", _be_durable)
        event.listen(engine, "begin", _begin)
    return engine


def _be_durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin, and nowhere else
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # An outcome that was written down must survive a power cut, or an effect would be repeated.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A lock asked for at the start is waited for; asked for half-way, SQLite gives up at once.
    writes = connection.get_execution_options().get("labelwright_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _from_1(connection: Connection) -> None:
    """Version 2 has leases, progress and events, which are made like all tables, and one index more."""
    for index in t.images.indexes:
        index.create(connection, checkfirst=True)


UPGRADES = {"1": _from_1}
"""What makes an older ledger the present one. Tables that were not there have been made before."""


def _make_tables(engine: Engine) -> None:
    version = None
    try:
        with engine.begin() as connection:
            t.metadata.create_all(connection)
            version = connection.scalar(select(t.facts.c.value).where(t.facts.c.name == "schema"))
            if version is None:
                connection.execute(insert(t.facts).values(name="schema", value=t.SCHEMA_VERSION))
            elif version in UPGRADES:
                UPGRADES[version](connection)
                connection.execute(update(t.facts).where(t.facts.c.name == "schema").values(value=t.SCHEMA_VERSION))
                version = t.SCHEMA_VERSION
    except IntegrityError:
        return  # another process made it at the same moment
    except SQLAlchemyError as error:
        raise LedgerError(
            f"the ledger cannot be opened: {getattr(error, 'orig', None) or type(error).__name__}. "
            "See ledger_url and home in the settings"
        ) from None
    if version not in (None, t.SCHEMA_VERSION):
        raise LedgerError(
            f"the ledger was written by another version of Labelwright (its tables are version {version}, "
            f"this one knows {t.SCHEMA_VERSION}). Install the version that wrote it, or a newer one"
        )
