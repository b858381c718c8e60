"""Database roles of infra/postgres/roles.sql, on a real server: each part can do its work, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, OperationalError

from labelwright.domain import Image, Reject, Size, State
from labelwright.ledger import Ledger, LedgerError, ManifestEntry, campaign_lease
from labelwright.ledger.roles import prepare
from labelwright.local.servers import free_port
from labelwright.settings import forget_settings
from tests.service.postgres import Postgres, programs

from .compose import INFRA

pytestmark = pytest.mark.postgres

ROLES = {
    "prefect": "prefect_password",
    "service": "service_password",
    "ledger": "ledger_password",
    "ledger_worker": "worker_password",
    "ledger_receiver": "receiver_password",
}
DATABASES = ("prefect", "service", "ledger", "postgres", "template1")
LETTER = ("webhook cvat", "1", "labelwright.webhook.received", {"prefect.resource.id": "x"}, {"kind": "k"})


class Installed:
    """A server on which the file was run, as `make-secrets` and Compose do."""

    def __init__(self, server: Postgres, secrets: Path) -> None:
        self._server, self._secrets = server, secrets
        self._superuser = server.new_database().rpartition("/")[0]
        self.run_roles()

    def run_roles(self) -> None:
        beside = programs() / "psql"
        psql = beside if beside.exists() else shutil.which("psql") or beside
        options = ["--no-psqlrc", "--set", f"secrets={self._secrets}", "--file", INFRA / "postgres" / "roles.sql"]
        command = [psql, *options, f"{self._superuser}/postgres"]
        subprocess.run(command, check=True, capture_output=True, text=True)

    def url(self, role: str, database: str, scheme: str = "postgresql") -> str:
        password = (self._secrets / ROLES[role]).read_text()
        return f"{scheme}://{role}:{password}@{self._superuser.rpartition('@')[2]}/{database}"

    def refuses(self, role: str, database: str, *statements: str) -> None:
        for statement in statements:
            connected = psycopg.connect(self.url(role, database), autocommit=True)
            with connected as connection, pytest.raises(InsufficientPrivilege):
                connection.execute(statement)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Iterator[Installed]:
    infra = tmp_path_factory.mktemp("infra")
    script = infra / "make-secrets"
    script.write_text((INFRA / "make-secrets").read_text())
    subprocess.run(["sh", script], check=True)
    server = Postgres(port=free_port(0))
    try:
        installed = Installed(server, infra / "secrets")
        prepare(installed.url("ledger", "ledger"), "ledger_worker", "ledger_receiver")
        yield installed
    finally:
        server.stop()


def test_every_role_enters_its_own_database_and_no_other(installed):
    allowed = {role: {role.partition("_")[0]} for role in ROLES}
    for role, own in allowed.items():
        for database in DATABASES:
            if database in own:
                psycopg.connect(installed.url(role, database)).close()
            else:
                with pytest.raises(OperationalError, match="permission denied for database"):
                    psycopg.connect(installed.url(role, database))


def test_no_role_is_a_superuser_or_makes_roles_or_databases(installed):
    for role in ROLES:
        own = role.partition("_")[0]
        installed.refuses(role, own, "CREATE ROLE more", "CREATE DATABASE more", "COPY (SELECT 1) TO PROGRAM 'true'")
        if role.startswith("ledger_"):
            installed.refuses(role, own, "CREATE TABLE more (a int)", "DROP TABLE campaigns", "CREATE SCHEMA more")
            installed.refuses(role, own, "UPDATE facts SET value = '9'", "ALTER TABLE inbox ADD more int")


def test_a_worker_does_everything_that_flows_do_with_the_ledger(installed):
    with closing(Ledger(installed.url("ledger_worker", "ledger"))) as ledger:
        ledger.campaigns.add("river", {"title": "river"})
        image = Image("a.png", Size(10, 20), 5, "a" * 64, "a" * 32, "PNG")
        mark = ledger.manifests.begin("river")
        rejects = [Reject("b.png", "no image")]
        ledger.manifests.add("river", mark, [ManifestEntry(image, "/photos/a.png")], rejects)
        assert ledger.manifests.complete("river", mark) == 1
        lease = ledger.leases.take(campaign_lease("river"), "a test")
        assert ledger.effects.once("river", "upload", lambda: "done", look=lambda: None) == "done"
        ledger.campaigns.record_look("river", 0, 1)
        ledger.campaigns.move("river", State.CANCELLED)
        ledger.leases.release(lease)
        assert ledger.inbox.put(*LETTER)
        ledger.inbox.record_launch("a/campaign.yaml", "1", "river")
        ledger.campaigns.forget("river")


def test_the_receiver_uses_the_inbox_and_sees_nothing_else(installed):
    ledger = Ledger(installed.url("ledger_receiver", "ledger"))
    source, _, *rest = LETTER
    assert ledger.inbox.put(source, "of the receiver", *rest)
    assert not ledger.inbox.put(source, "of the receiver", *rest)
    letters = ledger.inbox.waiting()
    ledger.inbox.mark_sent(letter.id for letter in letters)
    assert ledger.inbox.waiting() == []
    ledger.inbox.forget("webhook ", timedelta(0))
    ledger.close()
    with psycopg.connect(installed.url("ledger", "ledger")) as owner:
        tables = [row[0] for row in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    assert len(tables) > 8
    for table in set(tables) - {"inbox", "facts"}:
        reading = [f"SELECT * FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}"]
        installed.refuses("ledger_receiver", "ledger", *reading)
    changing = ["UPDATE inbox SET payload = '{}'", "TRUNCATE inbox", "SELECT nextval('rejects_id_seq')"]
    installed.refuses("ledger_receiver", "ledger", *changing)


def test_receiver_reports_missing_tables(installed):
    with psycopg.connect(f"{installed._superuser}/postgres", autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE unprepared OWNER ledger")
        superuser.execute("GRANT CONNECT ON DATABASE unprepared TO ledger_receiver")
    try:
        with pytest.raises(LedgerError, match="permission denied for schema public"):
            Ledger(installed.url("ledger_receiver", "unprepared"))
    finally:
        with psycopg.connect(f"{installed._superuser}/postgres", autocommit=True) as superuser:
            superuser.execute("DROP DATABASE unprepared")


def test_the_service_makes_its_tables_in_its_own_database(installed, tmp_path):
    from labelwright.service.config import ServiceConfig
    from labelwright.service.run import serving

    url = installed.url("service", "service")
    config = ServiceConfig(data_dir=tmp_path, port=0, database_url=url, admin_key="a", admin_secret="b" * 20)
    with serving(config), psycopg.connect(installed.url("service", "service")) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tableowner = 'service'").fetchone() > (3,)


def test_prefect_makes_its_tables_in_its_own_database(installed, tmp_path):
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": installed.url("prefect", "prefect", "postgresql+asyncpg"),
    }
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert process.returncode == 0, process.stdout + process.stderr
    with psycopg.connect(installed.url("prefect", "prefect")) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'flow_run'").fetchone() == (1,)


def test_the_command_grants_and_names_a_role_that_is_missing(installed, tmp_path):
    def command(*options: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "LABELWRIGHT_HOME": str(tmp_path),
            "LABELWRIGHT_LEDGER_URL": installed.url("ledger", "ledger"),
        }
        program = [sys.executable, "-m", "labelwright", "prepare-ledger", *options]
        return subprocess.run(program, capture_output=True, text=True, env=environment, timeout=120)

    process = command("--worker", "ledger_worker", "--receiver", "ledger_receiver")
    assert (process.returncode, "ledger_receiver has the rights of a receiver" in process.stdout) == (0, True), (
        process.stderr
    )
    process = command("--worker", 'no"body')
    assert (process.returncode, "knows no role" in process.stderr) == (1, True)
    forget_settings()


def test_roles_script_updates_passwords_when_run_again(installed):
    """Before, everything belonged to the superuser; tables that it made go to the owners of their databases."""
    with psycopg.connect(f"{installed._superuser}/ledger", autocommit=True) as superuser:
        superuser.execute("CREATE TABLE old (id serial)")
    (installed._secrets / "worker_password").write_text("another-one")
    installed.run_roles()
    psycopg.connect(installed.url("ledger_worker", "ledger")).close()
    with psycopg.connect(installed.url("ledger", "ledger"), autocommit=True) as owner:
        owner.execute("INSERT INTO old DEFAULT VALUES")
        owner.execute("DROP TABLE old")


def test_a_ledger_of_one_machine_has_no_roles(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    assert prepare(url) == []
    with pytest.raises(LedgerError, match="only a ledger in Postgres"):
        prepare(url, worker="ledger_worker")
