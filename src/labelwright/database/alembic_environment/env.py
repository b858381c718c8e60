"""Read by Alembic for every migration: connection, tables and version table of the database that is migrated."""

from __future__ import annotations

from pkgutil import resolve_name

from alembic import context
from sqlalchemy import Connection, create_engine

from labelwright.database.migrations import History

_config = context.config


def _run(connection: Connection, history: History) -> None:
    context.configure(
        connection=connection,
        target_metadata=history.metadata,
        version_table=history.version_table,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


if "history" in _config.attributes:
    _run(_config.attributes["connection"], _config.attributes["history"])
else:
    # Called by the `alembic` command with a section of alembic.ini and `-x url=...`.
    _url = context.get_x_argument(as_dictionary=True)["url"]
    with create_engine(_url).begin() as _connection:
        _run(_connection, resolve_name(_config.get_section_option(_config.config_ini_section, "history") or ""))
