"""Checks the ledger's database: its version, its rights, its clock. Changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from labelwright.settings import Settings

from .clocks import SKEW
from .findings import Finding, Level


@dataclass(frozen=True, slots=True)
class _DatabaseState:
    kind: str
    """SQLAlchemy's name of the dialect."""
    schema_version: str | None
    """None when the database has no tables yet."""
    may_write: bool | None = None
    """None on SQLite, where no rights are checked."""
    clock_ahead: float = 0.0
    """Seconds by which the database's clock is ahead of this machine's."""


def check_ledger(settings: Settings) -> Iterator[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from labelwright.ledger.errors import LedgerError

    if settings.ledger_url is None and not (settings.home / "ledger.db").exists():
        yield Finding("ledger", Level.OK, f"none yet; the first command makes {settings.home / 'ledger.db'}")
        return
    try:
        state = _read_state(settings.ledger_address())
    except LedgerError as error:
        yield Finding("ledger", Level.ERROR, str(error), "Check LABELWRIGHT_LEDGER_URL")
        return
    except SQLAlchemyError as error:
        message = f"its database does not answer: {str(getattr(error, 'orig', error)).strip()}"
        yield Finding("ledger", Level.ERROR, message, "Start the database, or check LABELWRIGHT_LEDGER_URL")
        return
    yield _check_schema_version(state)
    if state.may_write is False:
        advice = "Grant SELECT, INSERT, UPDATE, DELETE on its tables, see docs/operating.md"
        yield Finding("ledger", Level.ERROR, "this user may not write into its tables", advice)
    if abs(state.clock_ahead) > SKEW:
        direction = "behind" if state.clock_ahead > 0 else "ahead of"
        message = (
            f"this machine's clock is {abs(state.clock_ahead):.0f} seconds {direction} that of the ledger's server"
        )
        yield Finding("ledger", Level.ERROR, message, "Set the clock (NTP): leases depend on it")


def _read_state(url: str) -> _DatabaseState:
    """Raises LedgerError, SQLAlchemyError."""
    from sqlalchemy import text

    from labelwright.ledger.database import make_engine, refuse_other_encodings
    from labelwright.ledger.upgrading import version_of

    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            refuse_other_encodings(connection)
            kind, schema_version = engine.dialect.name, version_of(connection)
            if kind != "postgresql":
                return _DatabaseState(kind, schema_version)
            ahead = _clock_ahead(connection.scalar(text("select clock_timestamp()")))
            may_write = connection.scalar(text(f"select {_HAS_RIGHTS}")) if schema_version else None
            return _DatabaseState(kind, schema_version, may_write, ahead)
    finally:
        engine.dispose()


def _clock_ahead(server_time: datetime) -> float:
    """Returns the seconds by which a server's clock is ahead of this machine's."""
    return (server_time - datetime.now(UTC)).total_seconds()


def _check_schema_version(state: _DatabaseState) -> Finding:
    from labelwright.ledger.tables import EARLIER_VERSIONS, SCHEMA_VERSION

    message = f"on {state.kind}, its tables are version {state.schema_version}"
    if state.schema_version is None:
        return Finding("ledger", Level.OK, f"on {state.kind}, empty; the first command makes its tables")
    if state.schema_version == SCHEMA_VERSION:
        return Finding("ledger", Level.OK, message)
    if state.schema_version in EARLIER_VERSIONS:
        advice = f"Stop the workers of the older version; the next command brings it to version {SCHEMA_VERSION}"
        return Finding("ledger", Level.WARNING, message, advice)
    advice = "Install the version of Labelwright that wrote it, or a newer one"
    return Finding("ledger", Level.ERROR, f"{message}, and this Labelwright supports {SCHEMA_VERSION}", advice)


_HAS_RIGHTS = " and ".join(
    f"has_table_privilege('{table}', '{operation}')"
    for table in ("campaigns", "effects", "leases", "images")
    for operation in ("select", "insert", "update", "delete")
)
"""PostgreSQL condition: whether this user has the rights. Nothing is written to find out."""
