"""What differs between the ledger's databases: how they are reached, how they lock, how long they wait.

SQLite, for one machine: write-ahead log, one writer at a time, which the others wait for.

Postgres, for a team: whatever must not happen twice at once locks the campaign's row, or is decided by a unique index;
reads in a transaction see what was committed last (READ COMMITTED, whatever the server prefers). A frozen process keeps
nobody waiting for longer than a minute, and a connection that died is noticed before it is used.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from labelwright.security.private_files import private_database

from .errors import LedgerError

PATIENCE = 60
"""Seconds that one waits for another's lock."""

_FOR_SQLITE = {"timeout": PATIENCE}

_FOR_POSTGRES: dict[str, Any] = {
    "application_name": "labelwright ledger",
    "connect_timeout": 10,
    # A server that fell silent (a failover, a firewall) is given up after a minute instead of two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # A pooler in between hands the same session to others, which know nothing of our prepared statements.
    "prepare_threshold": None,
}


def make_engine(url: str) -> Engine:
    """Raises LedgerError, which never shows the URL: it may hold a password."""
    try:
        given = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: of a port that is no number
        raise _unusable("it is no URL: postgresql://user:password@host/name, say") from None
    backend = given.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url)
    if given.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise _unusable(f"the ledger works on SQLite and on Postgres, not on {given.drivername}")
    more = {name: value for name, value in _FOR_POSTGRES.items() if name not in given.query}
    try:
        engine = create_engine(
            given.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # errors of statements get into logs and states; their values need not
            connect_args=more,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=20,
            isolation_level="READ COMMITTED",
        )
    except ModuleNotFoundError:
        raise _unusable("Postgres needs a driver: pip install 'labelwright[postgres]'") from None
    except Exception as error:  # noqa: BLE001 - whatever it says may hold the password
        raise _unusable(type(error).__name__) from None
    event.listen(engine, "connect", _be_patient)
    return engine


def lock_tables(connection: Connection) -> None:
    """Be the only one who makes or changes the tables, until the end of the transaction."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(sha256(b"labelwright ledger: tables").digest()[:8], "big", signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def refuse_other_encodings(connection: Connection) -> None:
    """Raises LedgerError for a Postgres database that cannot hold every name."""
    if connection.dialect.name == "postgresql":
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if encoding != "UTF8":
            raise LedgerError(f"the ledger's database is encoded in {encoding}: make one with ENCODING 'UTF8'")


def _unusable(why: str) -> LedgerError:
    return LedgerError(f"the ledger's URL cannot be used ({why}): see ledger_url in the settings")


def _sqlite(url: str) -> Engine:
    name = make_url(url).database
    if name and name != ":memory:" and not name.startswith("file:") and Path(name).parent.is_dir():
        with contextlib.suppress(OSError):  # SQLite itself says better what is wrong with the place
            private_database(Path(name))
    try:
        engine = create_engine(url, connect_args=_FOR_SQLITE, hide_parameters=True)
    except Exception as error:  # noqa: BLE001 - whatever it says may hold what was meant for another place
        raise _unusable(type(error).__name__) from None
    event.listen(engine, "connect", _be_durable)
    event.listen(engine, "begin", _begin)
    return engine


def _be_durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin, and nowhere else
    cursor = connection.cursor()
    _write_ahead(cursor)
    # An outcome that was written down must survive a power cut, or an effect would be repeated.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """The first switch needs the database for itself, and of several that come at once SQLite sends all but one away
    without waiting."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: Connection) -> None:
    # A lock asked for at the start is waited for; asked for half-way, SQLite gives up at once.
    writes = connection.get_execution_options().get("labelwright_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _be_patient(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{PATIENCE}s'")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{PATIENCE}s'")
    connection.commit()
