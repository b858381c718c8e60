"""Checks the ledger's database: its version, its rights, its clock. Changes nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from labelwright.domain.errors import error_code_of
from labelwright.settings import Settings

from .clocks import SKEW
from .findings import CLOCK, Finding, Level

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from labelwright.ledger.upgrading import OtherTables


_SHOWN = 5
"""Files that wait, of perhaps many."""


@dataclass(frozen=True, slots=True)
class _DatabaseState:
    kind: str
    """SQLAlchemy's name of the dialect."""
    schema_version: str | None
    """None when no ledger is there yet."""
    others: OtherTables | None
    user: str = ""
    """The database role; empty on SQLite."""
    missing_rights: list[str] = field(default_factory=list)
    waiting_files: list[str] = field(default_factory=list)
    """Dropped campaign files that wait for a setting of a worker, with what is missing."""
    clock_ahead: float = 0.0
    """Seconds by which the database's clock is ahead of this machine's."""


def check_ledger(settings: Settings) -> Iterator[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from labelwright.database import connection_advice
    from labelwright.ledger.errors import LedgerError
    from labelwright.ledger.upgrading import URL_SETTING

    if settings.ledger_url is None and not (settings.home / "ledger.db").exists():
        yield Finding("ledger", Level.OK, f"none yet; the first command makes {settings.home / 'ledger.db'}")
        return
    try:
        state = _read_state(settings.ledger_address())
    except LedgerError as error:
        yield Finding("ledger", Level.ERROR, str(error), f"Check {URL_SETTING}", error_code_of(error))
        return
    except SQLAlchemyError as error:
        message = f"its database cannot be used: {str(getattr(error, 'orig', error)).strip()}"
        yield Finding("ledger", Level.ERROR, message, connection_advice(error, URL_SETTING))
        return
    yield _check_tables(state)
    if state.schema_version is not None and state.others is not None:
        message = f"its database also has {state.others}"
        advice = "Nothing, if that is meant: both need the database to themselves when it is dumped or restored"
        yield Finding("ledger", Level.WARNING, message, advice)
    if state.missing_rights:
        shown = "; ".join(state.missing_rights[:5]) + ("; ..." if len(state.missing_rights) > 5 else "")
        advice = (
            f"Grant them as the owner of the tables: labelwright prepare-ledger --worker {state.user} (or --receiver, "
            "for the receiver's role), see docs/operating.md"
        )
        yield Finding("ledger", Level.ERROR, f"the role {state.user} lacks rights: {shown}", advice)
    for reason in state.waiting_files:
        message = f"a dropped campaign file waits: {reason}"
        advice = "Set it on the workers and restart them; the next sweep starts the launch"
        yield Finding("ledger", Level.WARNING, message, advice)
    if abs(state.clock_ahead) > SKEW:
        direction = "behind" if state.clock_ahead > 0 else "ahead of"
        message = (
            f"this machine's clock is {abs(state.clock_ahead):.0f} seconds {direction} that of the ledger's server"
        )
        yield Finding("ledger", Level.ERROR, message, "Set the clock (NTP): leases depend on it", CLOCK)


def _read_state(url: str) -> _DatabaseState:
    """Raises LedgerError, SQLAlchemyError."""
    from sqlalchemy import text

    from labelwright.ledger.database import make_engine, refuse_other_encodings
    from labelwright.ledger.upgrading import careful_version_of, other_tables

    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            refuse_other_encodings(connection)
            kind, version, others = engine.dialect.name, careful_version_of(connection), other_tables(connection)
            if kind != "postgresql":
                return _DatabaseState(kind, version, others, waiting_files=_waiting_files(connection, version))
            ahead = _clock_ahead(connection.scalar(text("select clock_timestamp()")))
            user = connection.scalar(text("select current_user"))
            missing = _missing_rights(connection) if version else []
            waiting = _waiting_files(connection, version) if not missing else []
            return _DatabaseState(kind, version, others, user, missing, waiting, ahead)
    finally:
        engine.dispose()


def _clock_ahead(server_time: datetime) -> float:
    """Returns the seconds by which a server's clock is ahead of this machine's."""
    return (server_time - datetime.now(UTC)).total_seconds()


def _check_tables(state: _DatabaseState) -> Finding:
    from labelwright.ledger.tables import EARLIER_VERSIONS, SCHEMA_VERSION
    from labelwright.ledger.upgrading import URL_SETTING

    if state.schema_version is None:
        if state.others is None:
            return Finding("ledger", Level.OK, f"on {state.kind}, empty; the first command makes its tables")
        advice = f"Give the ledger a database of its own, in {URL_SETTING}: it may hold a wrong name"
        return Finding("ledger", Level.ERROR, f"its database has no ledger, and {state.others}", advice)
    message = f"on {state.kind}, its tables are version {state.schema_version}"
    if state.schema_version == SCHEMA_VERSION:
        return Finding("ledger", Level.OK, message)
    if state.schema_version in EARLIER_VERSIONS:
        advice = f"Stop the workers of the older version; the next command brings it to version {SCHEMA_VERSION}"
        return Finding("ledger", Level.WARNING, message, advice)
    advice = "Install the version of Labelwright that wrote it, or a newer one"
    return Finding("ledger", Level.ERROR, f"{message}, and this Labelwright supports {SCHEMA_VERSION}", advice)


def _waiting_files(connection: Connection, version: str | None) -> list[str]:
    from sqlalchemy import select

    from labelwright.ledger import DROPS
    from labelwright.ledger import tables as t

    if version != t.SCHEMA_VERSION:
        return []
    waiting = t.waits.c.name.startswith(f"{DROPS} ") & (t.waits.c.until > datetime.now(UTC))
    return list(connection.scalars(select(t.waits.c.reason).where(waiting).order_by(t.waits.c.name).limit(_SHOWN)))


def _missing_rights(connection: Connection) -> list[str]:
    """What a worker needs on tables and sequences and this user lacks. Nothing is written to find out."""
    from sqlalchemy import inspect, text

    from labelwright.ledger.roles import worker_rights

    inspector, missing = inspect(connection), []
    present, needed = set(inspector.get_table_names()), worker_rights()
    for table, rights in needed.items():
        lacking = [
            right
            for right in rights
            if table in present
            and not connection.scalar(
                text("select has_table_privilege(quote_ident(:name), :right)"), {"name": table, "right": right}
            )
        ]
        if lacking:
            missing.append(f"{', '.join(lacking)} on table {table}")
    for sequence in inspector.get_sequence_names():
        usable = text("select has_sequence_privilege(quote_ident(:name), 'usage')")
        is_ours = any(sequence.startswith(f"{table}_") for table in needed)
        if is_ours and not connection.scalar(usable, {"name": sequence}):
            missing.append(f"USAGE on sequence {sequence}")
    return missing
