"""Creates the ledger's tables and upgrades those of earlier versions."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, inspect, select, update
from sqlalchemy.exc import OperationalError, ProgrammingError

from labelwright.database import lock_for_transaction

from . import tables as t
from .errors import LedgerError

URL_SETTING = "LABELWRIGHT_LEDGER_URL"
"""The setting with the ledger's URL, as messages name it."""
_LOCK = "labelwright ledger: tables"

_PROGRAMS = {
    "flow_run": "Prefect's server",
    "labelwright_service_version": "Labelwright's labeling service",
    "django_migrations": "a Django program, such as CVAT or Label Studio",
}
"""Whose database it is, by a table in it."""


@dataclass(frozen=True, slots=True)
class OtherTables:
    """Tables in the ledger's database that are not the ledger's."""

    names: list[str]
    shared: list[str]
    """Those with the name of one of the ledger's tables, where no ledger is."""
    program: str | None
    """Whose they are, if known."""

    def __str__(self) -> str:
        shown = ", ".join(self.names[:4]) + (", ..." if len(self.names) > 4 else "")
        return f"tables of {self.program or 'another program'} ({shown})"


def other_tables(connection: Connection) -> OtherTables | None:
    """Tables of other programs in the ledger's database; None without any."""
    present = set(inspect(connection).get_table_names())
    own = {*t.metadata.tables, t.VERSION_TABLE}
    is_ledger = careful_version_of(connection) is not None
    names = sorted(present - own if is_ledger else present - {t.VERSION_TABLE})
    if not names:
        return None
    program = next((program for table, program in _PROGRAMS.items() if table in present), None)
    return OtherTables(names, [] if is_ledger else sorted(present & own), program)


def version_of(connection: Connection) -> str | None:
    """The version of the tables; None where no ledger is yet."""
    if not inspect(connection).has_table(t.facts.name):
        return None
    return connection.scalar(select(t.facts.c.value).where(t.facts.c.name == "schema"))


def careful_version_of(connection: Connection) -> str | None:
    """As `version_of`, also in a database where another program has a table of that name."""
    inspector = inspect(connection)
    if not inspector.has_table(t.facts.name):
        return None
    columns = {column["name"] for column in inspector.get_columns(t.facts.name)}
    return version_of(connection) if {"name", "value"} <= columns else None


def bring_up_to_date(engine: Engine) -> None:
    """Creates or upgrades the tables in one transaction; of several processes at once the others wait for the first.

    Raises LedgerError for tables of a version that this one does not know, and changes nothing then.
    """
    with engine.connect() as connection, suppress(ProgrammingError, OperationalError):  # another program's table
        if version_of(connection) == t.SCHEMA_VERSION:
            return  # nothing to create, so no right to create tables is needed
    with engine.begin() as connection:
        lock_for_transaction(connection, _LOCK)
        version = careful_version_of(connection)
        if version is None:
            others = other_tables(connection)
            if others is not None and others.shared:
                raise LedgerError(
                    f"the ledger's database has {others}, some under names of the ledger's "
                    f"({', '.join(others.shared)}). Give the ledger a database of its own: {URL_SETTING}"
                )
            t.metadata.create_all(connection)
            connection.execute(insert(t.facts).values(name="schema", value=t.SCHEMA_VERSION))
        elif version in t.EARLIER_VERSIONS:
            from .migrations import migrate  # Alembic takes a second to import

            migrate(connection, version)
            connection.execute(update(t.facts).where(t.facts.c.name == "schema").values(value=t.SCHEMA_VERSION))
        elif version != t.SCHEMA_VERSION:
            raise LedgerError(
                f"the ledger was written by another version of Labelwright (its tables are version {version}, "
                f"this one knows {t.SCHEMA_VERSION}). Install the version that wrote it, or a newer one"
            )
