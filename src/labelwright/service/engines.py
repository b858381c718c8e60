"""What differs between the databases: how they lock, how long they wait, when a commit is kept.

SQLite: write-ahead log, one writer at a time behind a lock of this process (so that no one meets "database is
locked"), `BEGIN IMMEDIATE` for writers. Commits are `synchronous=FULL`: an answered "ok" outlives a power cut. The
blob store's own commits are `NORMAL`: they outlive a killed process, and after a power cut the newest uploads may be
missing from the listing, which every uploader reads before it seals; labels cannot be uploaded again that easily.

Postgres: writers take one advisory lock as the first thing in their transaction. So there is one writer here too, also
when a second process was started by accident, and what one reads is what the last one wrote: ids have no gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError


class DatabaseRefused(RuntimeError):
    """The service cannot work on this database. The message says what to do, and holds no password."""


@dataclass(frozen=True, slots=True)
class Engines:
    reading: Engine
    durable: Engine
    quick: Engine
    shared: bool
    only_one: Callable[[str], AbstractContextManager[bool]]

    def close(self) -> None:
        for engine in (self.reading, self.durable, self.quick):
            engine.dispose()


# --- SQLite


def sqlite_engines(url: str, lock_seconds: float) -> Engines:
    durable = _sqlite_engine(url, lock_seconds, durable=True)
    quick = _sqlite_engine(url, lock_seconds, durable=False)
    writes = {"writes": True}
    return Engines(
        reading=quick,
        durable=durable.execution_options(**writes),
        quick=quick.execution_options(**writes),
        shared=False,
        only_one=_nobody_else,
    )


@contextmanager
def _nobody_else(_work: str) -> Iterator[bool]:
    yield True


def _sqlite_engine(url: str, lock_seconds: float, *, durable: bool) -> Engine:
    engine = create_engine(url, pool_size=8, max_overflow=56, pool_timeout=lock_seconds, hide_parameters=True)
    pragmas = (
        f"PRAGMA busy_timeout={lock_seconds * 1000:.0f}",
        "PRAGMA journal_mode=WAL",
        f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}",
        "PRAGMA foreign_keys=ON",
        "PRAGMA cache_size=-16000",
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        for pragma in pragmas:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


# --- Postgres


def postgres_engines(url: str, lock_seconds: float) -> Engines:
    """Raises DatabaseRefused."""
    engine = _postgres_engine(url, lock_seconds)
    try:
        with engine.connect() as connection:
            encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    except BaseException:
        engine.dispose()
        raise
    if encoding != "UTF8":
        engine.dispose()
        raise DatabaseRefused(f"the database is encoded in {encoding}: make one with ENCODING 'UTF8'")
    # All of one pool. A writer reads what was committed last, hence READ COMMITTED: a snapshot that was taken before
    # the lock came free would be an old one.
    writing = engine.execution_options(isolation_level="READ COMMITTED")

    @contextmanager
    def only_one(work: str) -> Iterator[bool]:
        # The lock is the connection's: when the process dies, or the network, it is free.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            key = _lock_number(work)
            alone = bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one())
            try:
                yield alone
            finally:
                if alone:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})

    return Engines(
        reading=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        durable=writing.execution_options(writes="durable"),
        quick=writing.execution_options(writes="quick"),
        shared=True,
        only_one=only_one,
    )


def _postgres_engine(url: str, lock_seconds: float) -> Engine:
    try:
        given = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: of a port that is no number
        raise DatabaseRefused("the database URL is none: postgresql://user:password@host/name, say") from None
    if given.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise DatabaseRefused(f"the service works on SQLite and on Postgres, not on {given.drivername}")
    try:
        engine = create_engine(
            given.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # keys of labelers and hashes of secrets are no business of logs
            pool_size=8,
            max_overflow=24,
            pool_pre_ping=True,
            pool_timeout=lock_seconds,
        )
    except ModuleNotFoundError:
        raise DatabaseRefused("Postgres needs a driver: pip install 'labelwright[postgres]'") from None
    lock = f"SELECT pg_advisory_xact_lock({_lock_number('writing')})"

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {lock_seconds * 1000:.0f}")
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        if writes:
            connection.exec_driver_sql(lock)
        if writes == "quick":
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")

    return engine


def _lock_number(work: str) -> int:
    return int.from_bytes(sha256(f"labelwright service: {work}".encode()).digest()[:8], "big", signed=True)
