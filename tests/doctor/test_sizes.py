"""`labelwright doctor`: sizes of databases and folders, and advice about large ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

from labelwright.doctor import sizes
from labelwright.doctor.findings import Finding, Level
from labelwright.doctor.sizes import size_checks
from labelwright.settings import forget_settings, settings
from tests.service.postgres import Postgres


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    with temporary_settings({PREFECT_HOME: tmp_path / "other"}, restore_defaults={PREFECT_API_URL}):
        yield tmp_path / "home"
    forget_settings()


def database(file: Path, rows: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("create table t (x blob)")
        connection.executemany("insert into t values (?)", [(bytes(5000),)] * rows)


def findings() -> list[Finding]:
    return [finding for _, check in size_checks(settings()) for finding in check()]


def messages() -> list[str]:
    return [finding.message for finding in findings()]


def test_without_files_there_is_nothing_to_tell():
    assert messages() == []


def test_every_place_is_told_with_its_size(home):
    database(home / "prefect" / "prefect.db", 300)
    database(home / "ledger.db", 10)
    for folder in ("service", "campaigns"):
        (home / folder).mkdir()
        (home / folder / "file").write_bytes(bytes(2000))
    prefect, ledger, service, campaigns = messages()
    assert (prefect.endswith("MB"), "Prefect's database" in prefect, str(home / "prefect") in prefect) == (True,) * 3
    assert (ledger.endswith("kB"), "the ledger" in ledger) == (True, True)
    assert (service.endswith(" 2 kB"), campaigns.endswith(" 2 kB")) == (True, True)


def test_large_ones_come_with_advice(home, monkeypatch):
    monkeypatch.setattr(sizes, "LARGE", 100_000)
    database(home / "prefect" / "prefect.db", 100)
    database(home / "ledger.db", 1)
    prefect, ledger = findings()
    assert (prefect.level, ledger.level) == (Level.WARNING, Level.OK)
    assert "LABELWRIGHT_RETENTION_DAYS" in prefect.advice


def test_free_pages_are_told_and_how_to_give_them_back(home, monkeypatch):
    monkeypatch.setattr(sizes, "LARGE", 100_000)
    file = home / "prefect" / "prefect.db"
    database(file, 100)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("delete from t")
    (prefect,) = findings()
    assert "free for further rows" in prefect.message
    assert prefect.advice.endswith(f"sqlite3 {file} vacuum")


def test_a_database_that_does_not_answer_is_told_without_its_password():
    url = "postgresql+asyncpg://user:the-password@127.0.0.1:1/prefect"
    with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: url}):
        (finding,) = findings()
    assert finding.level is Level.WARNING
    assert "the-password" not in finding.message


def test_the_database_of_a_server_on_this_machine_is_found(home):
    database(home.parent / "other" / "prefect.db", 1)
    assert messages() == []
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        (message,) = messages()
    assert str(home.parent / "other") in message


@pytest.mark.postgres
def test_the_size_of_a_postgresql_database_is_read(monkeypatch):
    server = Postgres()
    try:
        url = str(server.new_database())
        monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", url)
        forget_settings()
        with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: url.replace("+psycopg", "+asyncpg")}):
            found = messages()
    finally:
        server.stop()
    assert len(found) == 2
    assert all("PostgreSQL database" in message and message.endswith("MB") for message in found)
