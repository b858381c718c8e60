"""What the ledger and the labeling service share: SQLite and PostgreSQL engines, and the runner of Alembic migrations.

Imports nothing of Labelwright but `security`. Alembic is imported by `labelwright.database.migrations` only, which is
loaded when there is something to migrate.
"""

from .engines import (
    WRITES,
    DatabaseRefused,
    execute_on_connect,
    is_sqlite,
    lock_for_transaction,
    lock_number,
    postgres_engine,
    require_utf8,
    sqlite_engine,
)
from .faults import connection_advice

__all__ = [
    "WRITES",
    "DatabaseRefused",
    "connection_advice",
    "execute_on_connect",
    "is_sqlite",
    "lock_for_transaction",
    "lock_number",
    "postgres_engine",
    "require_utf8",
    "sqlite_engine",
]
