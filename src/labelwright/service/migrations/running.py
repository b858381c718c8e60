"""Taking a database to the newest schema, in the one transaction that it is given."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect

VERSION_TABLE = "labelwright_service_version"
"""Not Alembic's usual name: a team's database may hold other tables, with a history of their own."""

BASELINE = "0001"
"""The tables as they were when there were no migrations yet."""

BASELINE_TABLES = frozenset(
    {"users", "containers", "blobs", "blocks", "image_sets", "rejects", "images"}
    | {"campaigns", "campaign_images", "answers"}
)

_alone = threading.Lock()
"""Alembic keeps what it is doing in module variables: one migration at a time in a process."""


class SchemaRefused(RuntimeError):
    """The database is not one that this version can use. The message says what to do."""


def migrate(connection: Connection, metadata: MetaData) -> None:
    """Bring the schema to the newest revision. Raises SchemaRefused, and has changed nothing then."""
    config = configured(connection, metadata)
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise SchemaRefused(
            f"the service's database is at schema '{current}', and this version of Labelwright knows none beyond"
            f" '{scripts.get_current_head()}': a newer version has used it. Install that version, or start on a copy"
            " of the database from before."
        )
    with _alone:
        if current is None and _made_before_migrations(connection):
            command.stamp(config, BASELINE)
        if current != scripts.get_current_head():
            command.upgrade(config, "head")


def _made_before_migrations(connection: Connection) -> bool:
    there = BASELINE_TABLES & set(inspect(connection).get_table_names())
    if there and there != BASELINE_TABLES:
        raise SchemaRefused(
            f"the database holds {_listed(there)} but not {_listed(BASELINE_TABLES - there)}: it belongs to something"
            " else. Give the service a database of its own."
        )
    return bool(there)


def _listed(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))


def configured(connection: Connection, metadata: MetaData) -> Config:
    """What Alembic's commands need to work on this connection."""
    config = Config()
    folder = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, metadata=metadata)
    return config
