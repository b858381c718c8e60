"""Migrations of the ledger: one file a revision in `versions`, named after the version of the tables that it makes.

The version is recorded in the table `facts`, which every version of Labelwright reads before anything else. Ledgers are
opened by every command and every run: that table alone is read while the version is right, and Alembic is imported only
when it is not. Alembic's own record is set from `facts` before a migration. A new ledger is created at the newest
version at once.

How a new revision is written: see `alembic.ini` at the top of the repository.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from labelwright.database.migrations import History
from labelwright.ledger.tables import VERSION_TABLE, metadata

HISTORY = History(Path(__file__).parent / "versions", VERSION_TABLE, metadata)


def migrate(connection: Connection, version: str) -> None:
    """Upgrades the tables from this version to the newest."""
    if HISTORY.current(connection) != version:
        HISTORY.stamp(connection, version)
    HISTORY.upgrade(connection)
