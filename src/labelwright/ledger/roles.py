"""Rights of database roles on a ledger in PostgreSQL: the owner of the tables grants what workers and receiver need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, inspect, text

from . import tables as t
from .database import Database
from .errors import LedgerError

_READ_ONLY = {t.facts.name}
"""The version of the tables, which only their owner changes."""


def prepare(url: str, worker: str | None = None, receiver: str | None = None) -> list[str]:
    """Creates or migrates the ledger's tables, and grants the roles of workers and receiver their rights.

    Returns a line for each role. Idempotent. Raises LedgerError.
    """
    database = Database(url)
    try:
        roles = {name: role for name, role in (("worker", worker), ("receiver", receiver)) if role}
        if not roles:
            return []
        if database.engine.dialect.name != "postgresql":
            raise LedgerError("only a ledger in Postgres has roles: leave --worker and --receiver out")
        with database.write() as connection:
            _refuse_unknown(connection, roles.values())
            for name, role in roles.items():
                statements = _for_worker(connection, role) if name == "worker" else _for_receiver(connection, role)
                for statement in statements:
                    connection.execute(text(statement))
        return [f"{role} has the rights of a {name}" for name, role in roles.items()]
    finally:
        database.close()


def worker_rights() -> dict[str, tuple[str, ...]]:
    """The rights that workers need, by table. They also use every sequence."""
    everything = ("SELECT", "INSERT", "UPDATE", "DELETE")
    names = [table.name for table in t.metadata.sorted_tables]
    return {name: everything[:1] if name in _READ_ONLY else everything for name in names}


def _refuse_unknown(connection: Connection, roles: Iterable[str]) -> None:
    for role in roles:
        if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}):
            raise LedgerError(f"the ledger's server knows no role '{role}': make it first, see docs/operating.md")


def _for_worker(connection: Connection, role: str) -> Iterator[str]:
    quoted = _quoted(connection, role)
    yield f"GRANT USAGE ON SCHEMA public TO {quoted}"
    for table, rights in worker_rights().items():
        yield f"GRANT {', '.join(rights)} ON {table} TO {quoted}"
    for sequence in inspect(connection).get_sequence_names():
        yield f"GRANT USAGE ON SEQUENCE {_quoted(connection, sequence)} TO {quoted}"


def _for_receiver(connection: Connection, role: str) -> Iterator[str]:
    """The receiver records letters, reads and marks those that are to be sent on, and deletes old ones."""
    quoted = _quoted(connection, role)
    yield f"GRANT USAGE ON SCHEMA public TO {quoted}"
    yield f"GRANT SELECT ON {t.facts.name} TO {quoted}"
    yield f"GRANT SELECT, INSERT, DELETE, UPDATE ({t.inbox.c.emitted_at.name}) ON {t.inbox.name} TO {quoted}"
    sequence = connection.scalar(text(f"SELECT pg_get_serial_sequence('{t.inbox.name}', '{t.inbox.c.number.name}')"))
    yield f"GRANT USAGE ON SEQUENCE {sequence} TO {quoted}"


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
