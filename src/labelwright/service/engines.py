"""The service's engines: for reading, for durable commits and for quick ones, and a lock for work of one process.

SQLite: write-ahead log, one writer at a time behind a lock of this process (so that nobody gets "database is locked"),
`BEGIN IMMEDIATE` for writers. Commits are `synchronous=FULL`: what was answered with success survives a power cut. The
blob store's own commits are `NORMAL`: they survive a killed process, and after a power cut the newest uploads may be
missing from the listing, which every uploader reads before it seals; labels cannot be uploaded again that easily.

PostgreSQL: writers take one advisory lock as the first thing in their transaction. So there is one writer here too,
also when a second process was started by accident, and what a writer reads is what the last one wrote: ids have no
gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine, event, text

from labelwright.database import (
    WRITES,
    DatabaseRefused,
    is_sqlite,
    lock_number,
    postgres_engine,
    require_utf8,
    sqlite_engine,
)

_LOCK = "labelwright service: "

DURABLE, QUICK = "durable", "quick"
"""Values of the execution option `WRITES`."""


@dataclass(frozen=True, slots=True)
class Engines:
    reading: Engine
    durable: Engine
    quick: Engine
    shared: bool
    """Whether other processes may use the database."""
    only_one: Callable[[str], AbstractContextManager[bool]]
    """Whether this process is the only one that does a work, while the context lasts."""

    def close(self) -> None:
        for engine in (self.reading, self.durable, self.quick):
            engine.dispose()


def open_engines(url: str, lock_seconds: float) -> Engines:
    """Raises DatabaseRefused."""
    try:
        return _sqlite(url, lock_seconds) if is_sqlite(url) else _postgres(url, lock_seconds)
    except DatabaseRefused as refusal:
        raise DatabaseRefused(f"the service's database cannot be used: {refusal}") from None


def _sqlite(url: str, lock_seconds: float) -> Engines:
    def engine(synchronous: Literal["FULL", "NORMAL"]) -> Engine:
        return sqlite_engine(
            url,
            lock_seconds=lock_seconds,
            synchronous=synchronous,
            pragmas=("PRAGMA cache_size=-16000",),
            pool_size=8,
            max_overflow=56,
            pool_timeout=lock_seconds,
        )

    durable, quick = engine("FULL"), engine("NORMAL")
    return Engines(
        reading=quick,
        durable=durable.execution_options(**{WRITES: DURABLE}),
        quick=quick.execution_options(**{WRITES: QUICK}),
        shared=False,
        only_one=_always_alone,
    )


@contextmanager
def _always_alone(_work: str) -> Iterator[bool]:
    yield True


def _postgres(url: str, lock_seconds: float) -> Engines:
    engine = postgres_engine(
        url,
        on_connect=(f"SET lock_timeout = {lock_seconds * 1000:.0f}",),
        pool_size=8,
        max_overflow=24,
        pool_timeout=lock_seconds,
    )
    event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            require_utf8(connection)
    except BaseException:
        engine.dispose()
        raise
    # All of one pool. A writer reads what was committed last, hence READ COMMITTED: a snapshot that was taken before
    # the lock came free would be an old one.
    writing = engine.execution_options(isolation_level="READ COMMITTED")

    @contextmanager
    def only_one(work: str) -> Iterator[bool]:
        # The lock is the connection's: when the process dies, or the network, it is free.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            key = {"key": lock_number(f"{_LOCK}{work}")}
            alone = bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one())
            try:
                yield alone
            finally:
                if alone:
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)

    return Engines(
        reading=engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        durable=writing.execution_options(**{WRITES: DURABLE}),
        quick=writing.execution_options(**{WRITES: QUICK}),
        shared=True,
        only_one=only_one,
    )


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    if writes:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock_number(f'{_LOCK}writing')})")
    if writes == QUICK:
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
