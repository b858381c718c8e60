"""The ledger's database: opening it, and its transactions.

SQLite, for one machine: one writer at a time, which the others wait for.

PostgreSQL, for a team: whatever must not happen twice at once locks the campaign's row, or is decided by a unique
index; reads in a transaction see what was committed last (READ COMMITTED, whatever the server prefers). A frozen
process keeps nobody waiting for longer than a minute, and a connection that died is noticed before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname

from sqlalchemy import Engine, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from labelwright.database import (
    WRITES,
    DatabaseRefused,
    connection_advice,
    is_sqlite,
    postgres_engine,
    require_utf8,
    sqlite_engine,
)
from labelwright.security.private_files import private_database

from .errors import LedgerError
from .fences import refuse_lost_leases
from .upgrading import URL_SETTING, bring_up_to_date

LOCK_SECONDS = 60
"""How long a transaction waits for a lock that another one holds."""

_POSTGRES_CONNECTION = {
    "application_name": "labelwright ledger",
    "connect_timeout": 10,
    # A server that does not respond (a failover, a firewall) is given up after a minute instead of two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # A connection pooler hands the same session to other clients, which do not know our prepared statements.
    "prepare_threshold": None,
}


class Database:
    """The ledger at an SQLAlchemy URL. Opening it creates its tables, or upgrades those of an older version."""

    def __init__(self, url: str) -> None:
        """Raises LedgerError."""
        self.engine = make_engine(url)
        self._writing = self.engine.execution_options(**{WRITES: True})
        try:
            _open(self._writing)
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, fenced: bool = True) -> Iterator[Connection]:
        """One transaction: all of it or nothing. Raises LeaseLost when a lease that is held was taken over."""
        with self._writing.begin() as connection:
            if fenced:
                refuse_lost_leases(connection, self.engine)
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    """Raises LedgerError, which never shows the URL: it may hold a password."""
    try:
        return _sqlite(url) if is_sqlite(url) else _postgres(url)
    except DatabaseRefused as refusal:
        raise LedgerError(f"the ledger's URL cannot be used ({refusal}): see ledger_url in the settings") from None


def refuse_other_encodings(connection: Connection) -> None:
    """Raises LedgerError for a PostgreSQL database that cannot hold every name."""
    try:
        require_utf8(connection)
    except DatabaseRefused as refusal:
        raise LedgerError(f"the ledger's database cannot be used: {refusal}") from None


def identity_of(connection: Connection) -> str:
    """Tells databases apart, however they are addressed: server and name, or machine and file. Holds no secret."""
    if connection.dialect.name != "postgresql":
        return f"SQLite file {connection.engine.url.database} on {gethostname()}"
    name = connection.scalar(text("SELECT current_database()"))
    try:
        with connection.begin_nested():
            server = connection.scalar(text("SELECT system_identifier FROM pg_control_system()"))
    except DBAPIError:  # a managed server may not allow it
        server = "unknown"
    return f"database {name} of PostgreSQL server {server}"


def now() -> datetime:
    return datetime.now(UTC)


def utc(moment: datetime) -> datetime:
    """SQLite forgets the zone, Postgres answers in its own; everything that leaves the ledger is UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sqlite(url: str) -> Engine:
    name = make_url(url).database
    if name and name != ":memory:" and not name.startswith("file:") and Path(name).parent.is_dir():
        with suppress(OSError):  # SQLite's own message says what is wrong with the file
            private_database(Path(name))
    # FULL: an outcome that was recorded must survive a power cut, or an effect would be repeated.
    return sqlite_engine(url, lock_seconds=LOCK_SECONDS, synchronous="FULL")


def _postgres(url: str) -> Engine:
    return postgres_engine(
        url,
        on_connect=(
            f"SET lock_timeout = '{LOCK_SECONDS}s'",
            f"SET idle_in_transaction_session_timeout = '{LOCK_SECONDS}s'",
        ),
        connect_args=_POSTGRES_CONNECTION,
        pool_size=5,
        max_overflow=20,
        isolation_level="READ COMMITTED",
    )


def _open(engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            refuse_other_encodings(connection)
        bring_up_to_date(engine)
    except SQLAlchemyError as error:
        raise LedgerError(
            f"the ledger cannot be opened: {getattr(error, 'orig', None) or type(error).__name__}. "
            f"{connection_advice(error, URL_SETTING)}"
        ) from None
