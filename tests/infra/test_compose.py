"""compose.yaml and the Dockerfile, read against the code: commands, ports, variables, paths, secrets."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from labelwright.cli import app
from labelwright.deploying import POOL
from labelwright.settings import Settings, forget_settings, settings

INFRA = Path(__file__).parents[2] / "infra"
DOCUMENT: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
SERVICES: dict[str, Any] = DOCUMENT["services"]
OURS = [name for name, one in SERVICES.items() if "build" in one]


def words(command: list[str]) -> list[str]:
    """What the container runs, without the shell around it."""
    if command[:2] == ["sh", "-c"]:
        return command[2].rpartition("exec ")[2].split()
    return command


def check_command(command: list[str]) -> None:
    """Every subcommand and option is known to the program itself."""
    program, *rest = words(command)
    if program == "labelwright":
        found: Any = get_command(app).commands[rest[0]]
        found.make_parser(found.context_class(found)).parse_args(rest[1:])
    else:
        assert program == "prefect", program
        names, options = rest[:2], [one for one in rest[2:] if one.startswith("--")]
        said = help_of(tuple(names))
        for option in options:
            assert re.search(rf"{option}\b", said), f"prefect {' '.join(names)} has no {option}"


@cache
def help_of(names: tuple[str, ...]) -> str:
    said = subprocess.run(
        [sys.executable, "-m", "prefect", *names, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    return said.stdout


def prefect_settings() -> set[str]:
    from prefect.settings import Settings as Prefects
    from prefect.settings.legacy import _get_settings_fields

    return set(_get_settings_fields(Prefects))


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one(name):
    check_command(SERVICES[name]["command"])


def test_the_worker_serves_the_pool_of_the_deployments():
    command = SERVICES["worker"]["command"]
    assert command[command.index("--pool") + 1] == POOL


def test_every_variable_is_a_setting():
    known = prefect_settings()
    names = {name for one in SERVICES.values() for name in one.get("environment", {})}
    names |= set(re.findall(r"\b(PREFECT_[A-Z_]+)=", (INFRA / "compose.yaml").read_text()))
    names |= set(re.findall(r"\b((?:PREFECT|LABELWRIGHT)_[A-Z_]+)=", (INFRA / "Dockerfile").read_text()))
    ours = {name.removesuffix("_FILE") for name in names if name.startswith("LABELWRIGHT_")}
    assert {name for name in names if name.startswith("PREFECT_")} <= known
    assert len(ours) > 8
    for name in ours:
        field, *more = name.removeprefix("LABELWRIGHT_").lower().split("__")
        assert field in Settings.model_fields, name
        model: Any = {"service": "ServiceSettings", "receiver": "ReceiverSettings"}.get(field, "ConnectionSettings")
        if more:
            import labelwright.settings as module

            assert more[-1] in getattr(module, model).model_fields, name


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_every_container_can_be_used(name, monkeypatch, tmp_path):
    for given in SERVICES[name].get("secrets", []):
        (tmp_path / given).write_text(f"content-of-{given}-that-is-long")
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    for variable, value in SERVICES[name].get("environment", {}).items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path)))
    forget_settings()
    found = settings()
    if "LABELWRIGHT_LEDGER_URL_FILE" in SERVICES[name].get("environment", {}):
        assert found.ledger_address() == "content-of-ledger_url-that-is-long"
        connection = found.connection("campaign_api")
        assert connection.secret.get_secret_value() == "content-of-admin_secret-that-is-long"
    forget_settings()


def test_a_container_reads_the_secrets_that_it_is_given_and_no_others():
    for name, one in SERVICES.items():
        text = str(one.get("environment", "")) + str(one.get("command", ""))
        assert set(re.findall(r"/run/secrets/(\w+)", text)) == set(one.get("secrets", [])), name
    assert {given for one in SERVICES.values() for given in one.get("secrets", [])} == set(DOCUMENT["secrets"])


def test_no_secret_stands_in_the_file():
    for one in SERVICES.values():
        for name, value in one.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|DATABASE_URL|LEDGER_URL", name):
                assert name.endswith("_FILE"), name
                assert value.startswith("/run/secrets/")


def test_the_secrets_are_made_once_and_are_those_that_are_asked_for(tmp_path):
    script = tmp_path / "make-secrets"
    script.write_text((INFRA / "make-secrets").read_text())

    def make() -> dict[str, str]:
        subprocess.run(["sh", script], check=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    made = make()
    assert make() == made
    assert {Path(one["file"]).name for one in DOCUMENT["secrets"].values()} == made.keys()
    assert made["postgres_password"] in made["ledger_url"]
    assert len(made["admin_secret"]) >= 16
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    ignored = subprocess.run(["git", "check-ignore", "-q", "infra/secrets/x"], cwd=INFRA.parent)
    assert ignored.returncode == 0


def test_every_database_is_made():
    made = set(re.findall(r"CREATE DATABASE (\w+)", (INFRA / "postgres" / "databases.sql").read_text()))
    used = set(re.findall(r"@postgres:5432/(\w+)", (INFRA / "make-secrets").read_text()))
    assert made == used == {"prefect", "ledger", "service"}


def test_ports_are_those_that_are_listened_on_and_on_loopback_only():
    for name, one in SERVICES.items():
        command = " ".join(map(str, one.get("command", [])))
        listening = set(re.findall(r"(?:--port|--blobPort) (\d+)", command))
        for port in one.get("ports", []):
            host, outer, inner = port.split(":")
            assert host == "127.0.0.1"
            assert outer == inner
            assert inner in listening, name
        for told in re.findall(r"127\.0\.0\.1:(\d+)/", str(one.get("healthcheck", ""))):
            assert told in listening | {one.get("environment", {}).get("PREFECT_WORKER_WEBSERVER_PORT")}, name
    for host, port in re.findall(r"http://([a-z]+):(\d+)", (INFRA / "compose.yaml").read_text()):
        assert f"{port}:{port}" in str(SERVICES[host]["ports"]), host


def test_everything_that_stays_up_has_a_health_check_and_waits_for_what_it_needs():
    for name, one in SERVICES.items():
        assert ("healthcheck" in one) is (name != "deploy"), name
        for other, how in one.get("depends_on", {}).items():
            assert other in SERVICES
            healthy = "healthcheck" in SERVICES[other]
            assert how["condition"] == ("service_healthy" if healthy else "service_completed_successfully")


def test_health_checks_ask_what_is_answered():
    from labelwright.receiver.app import create_app as receiver
    from labelwright.service.app import create_app as service

    assert receiver.__module__ != service.__module__
    sources = {
        "service": Path(service.__code__.co_filename).parent,
        "receiver": Path(receiver.__code__.co_filename).parent,
    }
    for name, folder in sources.items():
        assert "/health'" in str(SERVICES[name]["healthcheck"]["test"])
        assert any('"/health"' in path.read_text() for path in folder.glob("*.py")), name


def test_volumes_are_named_and_files_that_are_mounted_are_there():
    for one in SERVICES.values():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0]
            assert (INFRA / source).is_file() if source.startswith(".") else source in DOCUMENT["volumes"]


def test_ours_run_without_rights_and_write_only_where_data_is():
    for name in OURS:
        one = SERVICES[name]
        assert one["cap_drop"] == ["ALL"]
        assert one["read_only"] is True
        assert one["volumes"][0].endswith(":/data")
    text = (INFRA / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.M)
    for path in re.findall(r"LABELWRIGHT_HOME=(\S+)|PREFECT_HOME=(\S+)", text):
        assert "".join(path).startswith("/data/")


def test_the_image_is_made_of_files_that_are_there_and_by_the_lock():
    text = (INFRA / "Dockerfile").read_text()
    root = INFRA.parent
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    names = {name for some in copied for name in some}
    assert all((root / name).exists() for name in names), names
    allowed = {line[1:] for line in (INFRA / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert allowed == names
    assert "--require-hashes --requirement infra/requirements.lock" in text
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"labelwright\[([a-z,]+)\]", text)
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    assert {one["image"] for one in SERVICES.values() if "build" in one} == {f"labelwright:{project['version']}"}


@pytest.mark.docker
def test_docker_compose_reads_it(tmp_path):
    """Needs the plugin `docker compose` (Debian: apt-get install docker-compose-v2), but no daemon."""
    said = subprocess.run(
        ["docker", "compose", "--file", INFRA / "compose.yaml", "config", "--quiet"], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
