"""Read by Alembic: where the connection and the tables come from."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, MetaData, create_engine

from labelwright.service import database
from labelwright.service.migrations.running import VERSION_TABLE


def _run(connection: Connection, metadata: MetaData) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


_given = context.config.attributes
if "connection" in _given:
    _run(_given["connection"], _given["metadata"])
else:
    # Called by the `alembic` command, which names the database: `-x url=...`.
    _engine = create_engine(context.get_x_argument(as_dictionary=True)["url"])
    with _engine.begin() as _connection:
        _run(_connection, database.metadata)
