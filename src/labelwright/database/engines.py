"""SQLAlchemy engines for SQLite and PostgreSQL: URLs, connection settings, transactions, advisory locks.

SQLite: write-ahead log, foreign keys on, transactions begun by SQLAlchemy instead of the driver. A transaction of an
engine with the execution option `WRITES` takes the write lock when it begins: a lock requested at the start is waited
for; requested half-way, SQLite fails at once.

PostgreSQL: psycopg, connections tested before use. Statement parameters never get into error messages: they may be keys
of labelers or hashes of secrets.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

WRITES = "labelwright_writes"
"""Execution option of engines whose transactions write."""

_EXAMPLE = "postgresql://user:password@host/name"


class DatabaseRefused(RuntimeError):
    """The database cannot be used. The message says why, and holds no password."""

    error_code = "LW2011"


def is_sqlite(url: str) -> bool:
    """Raises DatabaseRefused for a text that is not a URL."""
    return _parse(url).get_backend_name() == "sqlite"


def sqlite_engine(
    url: str,
    *,
    lock_seconds: float,
    synchronous: Literal["FULL", "NORMAL"],
    pragmas: Sequence[str] = (),
    **options: Any,
) -> Engine:
    """An engine for an SQLite URL.

    Args:
        lock_seconds: how long a statement waits for another writer.
        synchronous: FULL: commits survive a power cut. NORMAL: they survive a killed process, and the newest ones may
            be lost in a power cut.
        pragmas: further PRAGMA statements for each connection.
        options: passed to `create_engine`.

    Raises: DatabaseRefused.
    """
    parsed = _parse(url)
    try:
        engine = create_engine(parsed, connect_args={"timeout": lock_seconds}, hide_parameters=True, **options)
    except Exception as error:  # noqa: BLE001 - its text may hold parts of the URL
        raise DatabaseRefused(type(error).__name__) from None
    statements = (f"PRAGMA synchronous={synchronous}", "PRAGMA foreign_keys=ON", *pragmas)

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin in _begin, and nowhere else
        cursor = connection.cursor()
        _use_write_ahead_log(cursor, lock_seconds)
        for statement in statements:
            cursor.execute(statement)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def postgres_engine(url: str, *, on_connect: Sequence[str] = (), **options: Any) -> Engine:
    """An engine for a PostgreSQL URL.

    Args:
        on_connect: SET statements for each connection.
        options: passed to `create_engine`. Settings in the URL's query win over `connect_args`.

    Raises: DatabaseRefused.
    """
    parsed = _parse(url)
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise DatabaseRefused(f"SQLite and PostgreSQL are supported, and {parsed.drivername} is not")
    connect_args = {name: value for name, value in options.pop("connect_args", {}).items() if name not in parsed.query}
    try:
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args=connect_args,
            hide_parameters=True,
            pool_pre_ping=True,
            **options,
        )
    except ModuleNotFoundError:
        raise DatabaseRefused("PostgreSQL needs a driver: pip install 'labelwright[postgres]'") from None
    except Exception as error:  # noqa: BLE001 - its text may hold the password
        raise DatabaseRefused(type(error).__name__) from None
    execute_on_connect(engine, on_connect)
    return engine


def execute_on_connect(engine: Engine, statements: Sequence[str]) -> None:
    """Executes the statements on each new connection, and commits."""

    @event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()


def require_utf8(connection: Connection) -> None:
    """Raises DatabaseRefused for a PostgreSQL database that cannot hold every name."""
    if connection.dialect.name == "postgresql":
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if encoding != "UTF8":
            raise DatabaseRefused(f"it is encoded in {encoding}: create one with ENCODING 'UTF8'")


def lock_for_transaction(connection: Connection, name: str) -> None:
    """Waits for the lock of this name and holds it until the transaction ends.

    On SQLite it does nothing: there a transaction with `WRITES` is the only writer.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_number(name)})


def lock_number(name: str) -> int:
    """The key of PostgreSQL's advisory lock of this name: 64 bits, signed."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        raise DatabaseRefused(f"it is not a URL such as {_EXAMPLE}") from None


def _use_write_ahead_log(cursor: sqlite3.Cursor, lock_seconds: float) -> None:
    # The first switch needs the database for itself, and SQLite refuses all but one of several that switch at once
    # without waiting.
    deadline = time.monotonic() + lock_seconds
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
