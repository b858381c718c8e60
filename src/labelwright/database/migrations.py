"""Runs Alembic migrations in a transaction that the caller began.

Each database has a `History`: a package of revisions, and the table in which Alembic keeps the current one. All of them
share `alembic_environment/env.py`. `alembic.ini` at the top of the repository is for writing new revisions by hand.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

_ENVIRONMENT = Path(__file__).parent / "alembic_environment"

_one_at_a_time = threading.Lock()
"""Alembic keeps the state of a migration in module variables."""


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of a schema."""

    versions: Path
    """The folder of the revision modules."""
    version_table: str
    """Not Alembic's default name: a team's database may hold other tables, with a history of their own."""
    metadata: MetaData
    """The tables as they are at the newest revision."""

    def revisions(self) -> list[str]:
        """The revisions, the oldest first."""
        scripts = ScriptDirectory.from_config(self._config(None))
        return [script.revision for script in scripts.walk_revisions()][::-1]

    def current(self, connection: Connection) -> str | None:
        """The revision that Alembic recorded in the database; None without a record."""
        options = {"version_table": self.version_table}
        return MigrationContext.configure(connection, opts=options).get_current_revision()

    def stamp(self, connection: Connection, revision: str) -> None:
        """Records the revision as the current one without running anything."""
        with _one_at_a_time:
            command.stamp(self._config(connection), revision, purge=True)

    def upgrade(self, connection: Connection, revision: str = "head") -> None:
        """Runs the revisions from the recorded one up to this one."""
        with _one_at_a_time:
            command.upgrade(self._config(connection), revision)

    def _config(self, connection: Connection | None) -> Config:
        config = Config()
        config.set_main_option("script_location", _escaped(_ENVIRONMENT))
        config.set_main_option("version_locations", _escaped(self.versions))
        config.set_main_option("path_separator", "newline")
        config.attributes.update(connection=connection, history=self)
        return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
