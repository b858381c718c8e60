"""Creates the ledger's tables and upgrades those of earlier versions."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, insert, inspect, select, update

from labelwright.database import lock_for_transaction

from . import tables as t
from .errors import LedgerError

_LOCK = "labelwright ledger: tables"


def version_of(connection: Connection) -> str | None:
    """The version of the tables; None where no ledger is yet."""
    if not inspect(connection).has_table(t.facts.name):
        return None
    return connection.scalar(select(t.facts.c.value).where(t.facts.c.name == "schema"))


def bring_up_to_date(engine: Engine) -> None:
    """Creates or upgrades the tables in one transaction; of several processes at once the others wait for the first.

    Raises LedgerError for tables of a version that this one does not know, and changes nothing then.
    """
    with engine.connect() as connection:
        if version_of(connection) == t.SCHEMA_VERSION:
            return  # nothing to create, so no right to create tables is needed
    with engine.begin() as connection:
        lock_for_transaction(connection, _LOCK)
        version = version_of(connection)
        if version is None:
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
