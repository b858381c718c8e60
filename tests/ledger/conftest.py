"""Every test of the ledger runs on SQLite and, marked `postgres`, on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path) -> str:
    """Of a database where no ledger is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return str(request.getfixturevalue("postgres").new_database())
