"""What the doctor says of a ledger's database on a real PostgreSQL server: why it cannot be used, and what to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from labelwright.doctor.findings import Finding, Level
from labelwright.doctor.ledger import check_ledger
from labelwright.ledger import Ledger, LedgerError
from labelwright.ledger.roles import prepare
from labelwright.local.servers import free_port
from labelwright.settings import Settings, forget_settings
from tests.service.postgres import Postgres

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    server = Postgres(port=free_port(0))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def url(server) -> str:
    """Of a ledger."""
    url = server.new_database()
    Ledger(url).close()
    return url


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    yield
    forget_settings()


def findings_of(url: str) -> list[Finding]:
    return list(check_ledger(Settings(ledger_url=url)))  # type: ignore[arg-type]


def test_each_reason_for_a_failed_connection_has_its_own_advice(server, url):
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}"
    with server._connect() as connection:
        connection.execute("create database closed")
        connection.execute("revoke connect on database closed from public")
        connection.execute("create role outside login password 'canary-secret'")
    expected = {
        f"postgresql://postgres:canary-secret@{host}{parts.path}": "refuses user or password",
        f"postgresql://nobody:canary-secret@{host}{parts.path}": "refuses user or password",
        f"postgresql://postgres@{host}{parts.path}": "refuses user or password",
        url.replace(parts.path, "/missing"): "no database of that name",
        f"postgresql://outside:canary-secret@{host}/closed": "Grant the role CONNECT",
        f"{url}?sslmode=require": "turn TLS on at the server",
        "postgresql://a:canary-secret@127.0.0.1:1/ledger": "Nothing listens there",
        "postgresql://a:canary-secret@no-such-host.invalid/ledger": "name is unknown on this machine",
    }
    for wrong, advice in expected.items():
        (finding,) = findings_of(wrong)
        assert finding.level is Level.ERROR
        assert advice in finding.advice, finding
        assert "start the database" not in finding.advice or advice == "Nothing listens there"
        with pytest.raises(LedgerError) as refused:
            Ledger(wrong)
        assert advice in str(refused.value)
        assert "canary-secret" not in f"{finding}{refused.value}"


def test_a_server_that_wants_tls_is_told_from_a_wrong_password(server, url):
    rules = server._folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    with server._connect() as connection:
        connection.execute("select pg_reload_conf()")
    try:
        (finding,) = findings_of(url)
        for _ in range(100):  # the server reloads within a moment
            if finding.level is Level.ERROR:
                break
            (finding,) = findings_of(url)
        assert "sslmode=require" in finding.advice
    finally:
        rules.write_text(before)
        with server._connect() as connection:
            connection.execute("select pg_reload_conf()")


def test_missing_rights_on_tables_and_sequences_are_named(server):
    url = server.new_database()
    parts = urlsplit(url)
    with server._connect() as connection:
        connection.execute("create role worker_of_ours login password 'w'")
    prepare(url, "worker_of_ours")
    as_worker = f"postgresql://worker_of_ours:w@{parts.hostname}:{parts.port}{parts.path}"
    (fine,) = findings_of(as_worker)
    assert fine.level is Level.OK
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("revoke usage on sequence moves_id_seq from worker_of_ours")
        owner.execute("revoke update, delete on waits from worker_of_ours")
    _, lacking = findings_of(as_worker)
    assert lacking.level is Level.ERROR
    assert "UPDATE, DELETE on table waits" in lacking.message
    assert "USAGE on sequence moves_id_seq" in lacking.message
    assert "labelwright prepare-ledger --worker worker_of_ours" in lacking.advice
    prepare(url, "worker_of_ours")  # what is advised helps
    assert [finding.level for finding in findings_of(as_worker)] == [Level.OK]


@pytest.mark.parametrize(
    ("statements", "whose"),
    [
        (["create table flow_run (id int)", "create table deployment (id int)"], "Prefect's server"),
        (
            ["create table labelwright_service_version (version_num text)", "create table campaigns (id int)"],
            "Labelwright's labeling service",
        ),
        (["create table orders (id int)"], "another program"),
        (["create table facts (fact text)"], "another program"),
    ],
)
def test_the_database_of_another_program_is_found(server, statements, whose):
    url = server.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
    (finding,) = findings_of(url)
    assert finding.level is Level.ERROR
    assert f"tables of {whose}" in finding.message
    if "campaigns" in str(statements) or "facts" in str(statements):
        with pytest.raises(LedgerError, match="Give the ledger a database of its own"):
            Ledger(url)


def test_a_ledger_beside_other_tables_is_a_warning(server):
    url = server.new_database()
    Ledger(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table orders (id int)")
    ledger, beside = findings_of(url)
    assert (ledger.level, beside.level) == (Level.OK, Level.WARNING)
    assert "orders" in beside.message


def test_two_urls_of_one_database_have_one_identity(server, url):
    parts = urlsplit(url)
    by_name = url.replace(str(parts.hostname), "localhost")
    identities = []
    for address in (url, by_name, server.new_database()):
        ledger = Ledger(address)
        identities.append(ledger.identity())
        ledger.close()
    assert identities[0] == identities[1] != identities[2]
    assert str(parts.password) not in str(identities)


def test_the_service_gives_the_same_advice_for_its_database(server, monkeypatch, tmp_path):
    from labelwright.cli.serve import serve_until_stopped
    from labelwright.local.servers import NotStarted

    parts = urlsplit(server.new_database())
    wrong = f"postgresql://postgres:canary-secret@{parts.hostname}:{parts.port}{parts.path}"
    monkeypatch.setenv("LABELWRIGHT_SERVICE__DATABASE_URL", wrong)
    monkeypatch.setenv("LABELWRIGHT_SERVICE__ADMIN_KEY", "a")
    monkeypatch.setenv("LABELWRIGHT_SERVICE__ADMIN_SECRET", "b" * 20)
    forget_settings()
    umask, handler = os.umask(0o022), signal.getsignal(signal.SIGHUP)
    try:
        with pytest.raises(NotStarted, match="refuses user or password: correct them in LABELWRIGHT_SERVICE__DATABASE"):
            serve_until_stopped("127.0.0.1", 0, tmp_path / "service")
    finally:
        os.umask(umask)
        signal.signal(signal.SIGHUP, handler)
