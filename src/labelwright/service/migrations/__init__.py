"""Migrations of the service's database: one file a revision in `versions`; `migrate` upgrades to the newest.

How a new revision is written: see `alembic.ini` at the top of the repository.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, MetaData, inspect

from labelwright.database.migrations import History

BASELINE = "0001"
"""The tables as they were when migrations were introduced."""

BASELINE_TABLES = frozenset(
    {"users", "containers", "blobs", "blocks", "image_sets", "rejects", "images"}
    | {"campaigns", "campaign_images", "answers"}
)


class SchemaRefused(RuntimeError):
    """The database is not one that this version can use. The message says what to do."""

    error_code = "LW2012"


def history_of(metadata: MetaData) -> History:
    """The revisions in `versions`, which end with these tables."""
    return History(Path(__file__).parent / "versions", "labelwright_service_version", metadata)


def migrate(connection: Connection, history: History) -> None:
    """Upgrades the schema to the newest revision. Raises SchemaRefused, and has changed nothing then."""
    current, revisions = history.current(connection), history.revisions()
    if current is not None and current not in revisions:
        raise SchemaRefused(
            f"the service's database is at schema '{current}', and this version of Labelwright knows none beyond"
            f" '{revisions[-1]}': a newer version has used it. Install that version, or start on a copy"
            " of the database from before."
        )
    if current is None and _precedes_migrations(connection):
        history.stamp(connection, BASELINE)
    if current != revisions[-1]:
        history.upgrade(connection)


def _precedes_migrations(connection: Connection) -> bool:
    """Whether the database holds the baseline's tables without a record of it."""
    existing = BASELINE_TABLES & set(inspect(connection).get_table_names())
    if existing and existing != BASELINE_TABLES:
        raise SchemaRefused(
            f"the database holds {_listed(existing)} but not {_listed(BASELINE_TABLES - existing)}: it belongs to"
            " something else. Give the service a database of its own."
        )
    return bool(existing)


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))
