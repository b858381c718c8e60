"""Ledgers of earlier versions become the present one when they are opened: step by step, in one transaction.

A database of every released version is kept in the tests. Alembic is not used here: the steps are few, and the ledger
is opened by every command and every run, which would pay for its import.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, insert, inspect, select, text, update

from . import tables as t
from .engines import lock_tables
from .errors import LedgerError


def version_of(connection: Connection) -> str | None:
    """The version of the tables; None where no ledger is yet."""
    if not inspect(connection).has_table(t.facts.name):
        return None
    return connection.scalar(select(t.facts.c.value).where(t.facts.c.name == "schema"))


def bring_up_to_date(engine: Engine) -> None:
    """Raises LedgerError for tables of a version that this one does not know. Several may do it at once."""
    with engine.connect() as connection:
        if version_of(connection) == t.SCHEMA_VERSION:
            return  # nothing to make, so no right to make tables is needed
    with engine.begin() as connection:
        lock_tables(connection)
        version = version_of(connection)
        if version is not None and version != t.SCHEMA_VERSION and version not in UPGRADES:
            raise LedgerError(
                f"the ledger was written by another version of Labelwright (its tables are version {version}, "
                f"this one knows {t.SCHEMA_VERSION}). Install the version that wrote it, or a newer one"
            )
        t.metadata.create_all(connection)
        if version is None:
            connection.execute(insert(t.facts).values(name="schema", value=t.SCHEMA_VERSION))
        while version in UPGRADES:
            version, upgrade = UPGRADES[version]
            upgrade(connection)
            connection.execute(update(t.facts).where(t.facts.c.name == "schema").values(value=version))


def _from_1(connection: Connection) -> None:
    """Version 2 has leases, progress and events, which are made like all tables, and one index more."""
    for index in t.images.indexes:
        index.create(connection, checkfirst=True)


def _from_2(connection: Connection) -> None:
    """Version 3 holds texts of any length on Postgres, compared byte by byte; SQLite always did."""
    if connection.dialect.name != "postgresql":
        return
    # A key and what refers to it are of one type and one collation: the references step aside.
    inspector = inspect(connection)
    references = [
        (table.name, key["name"])
        for table in t.metadata.sorted_tables
        for key in inspector.get_foreign_keys(table.name)
    ]
    for name, key in references:
        connection.execute(text(f'ALTER TABLE {name} DROP CONSTRAINT "{key}"'))
    for table in t.metadata.sorted_tables:
        texts = [column.name for column in table.columns if isinstance(column.type, t.Words)]
        changes = [f'ALTER COLUMN "{one}" TYPE VARCHAR COLLATE "C"' for one in texts]
        if changes:
            connection.execute(text(f"ALTER TABLE {table.name} {', '.join(changes)}"))
    for name, key in references:
        connection.execute(
            text(
                f'ALTER TABLE {name} ADD CONSTRAINT "{key}" FOREIGN KEY (campaign) '
                "REFERENCES campaigns (title) ON DELETE CASCADE"
            )
        )


def _from_3(connection: Connection) -> None:
    """Version 4 has the tables `left_out`, `exports`, `waits` and `image_states`, which are made like all tables."""


UPGRADES: dict[str, tuple[str, Callable[[Connection], None]]] = {
    "1": ("2", _from_1),
    "2": ("3", _from_2),
    "3": ("4", _from_3),
}
"""What a version becomes, and how. Tables that were not there have been made before."""
