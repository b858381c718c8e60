"""compose.yaml and the Dockerfile, read against the code: commands, ports, variables, paths, secrets."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from labelwright.cli.main import app
from labelwright.prefect_integration.deployments import POOL
from labelwright.settings import Settings, forget_settings, settings

from .compose import DOCUMENTS, FILES, INFRA, OURS

SERVICES: dict[str, Any] = DOCUMENTS["compose"]["services"]
TEXT = "".join((INFRA / name).read_text() for name in FILES["scaled"])


@pytest.fixture(params=list(DOCUMENTS))
def document(request) -> dict[str, Any]:
    """compose.yaml alone, and with compose.scaled.yaml over it."""
    return DOCUMENTS[request.param]


@pytest.fixture
def services(document) -> dict[str, Any]:
    return document["services"]


def message(command: list[str]) -> list[str]:
    """What the container runs, without the shell around it."""
    if command[:2] == ["sh", "-c"]:
        return command[2].rpartition("exec ")[2].split()
    return command


def check_command(command: list[str]) -> None:
    """Every subcommand and option is known to the program itself."""
    program, *rest = message(command)
    if program == "labelwright":
        result: Any = get_command(app).commands[rest[0]]
        result.make_parser(result.context_class(result)).parse_args(rest[1:])
    else:
        assert program == "prefect", program
        names, options = (
            [service for service in rest[:3] if service.isalpha()],
            [service for service in rest if service.startswith("--")],
        )
        output = help_of(tuple(names))
        for option in options:
            assert re.search(rf"{option}\b", output), f"prefect {' '.join(names)} has no {option}"


_HELP = """
import contextlib, io, json, sys
from prefect.cli import app
told = {}
for words in map(str.split, sys.argv[1:]):
    sys.argv, said = ["prefect", *words, "--help"], io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        app()
    told[" ".join(words)] = said.getvalue()
print(json.dumps(told))
"""


@cache
def helps() -> dict[str, str]:
    """What Prefect says of its commands that we use: of all in one process, which takes seconds to start."""
    used = ["server start", "server services start", "server database upgrade", "worker start"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    process = subprocess.run(
        [sys.executable, "-c", _HELP, *used], capture_output=True, text=True, check=True, env=environment
    )
    return dict(json.loads(process.stdout))


def help_of(names: tuple[str, ...]) -> str:
    output = helps()[" ".join(names)]
    assert "Usage: prefect" in output, f"there is no command {names}: {output}"
    return output


def prefect_settings() -> set[str]:
    from prefect.settings import Settings as Prefects
    from prefect.settings.legacy import _get_settings_fields

    return set(_get_settings_fields(Prefects))


def redis_settings() -> set[str]:
    from prefect_redis.cleanup_queue import RedisWorkerCleanupQueueSettings
    from prefect_redis.client import RedisMessagingSettings

    models = {
        "PREFECT_REDIS_MESSAGING": RedisMessagingSettings,
        "PREFECT_REDIS_WORKER_CLEANUP_QUEUE": RedisWorkerCleanupQueueSettings,
    }
    return {f"{prefix}_{name.upper()}" for prefix, model in models.items() for name in model.model_fields}


@pytest.mark.parametrize("name", ["prefect", "prefect-b", "services"])
def test_servers_share_all_that_prefect_can_share(name):
    """What is kept in the memory of one server by default, and would make two of them disagree."""
    from prefect.settings import Settings as Prefects

    server = Prefects().server
    alone = {
        "PREFECT_MESSAGING_BROKER": server.events.messaging_broker,
        "PREFECT_MESSAGING_CACHE": server.events.messaging_cache,
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": server.events.causal_ordering,
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": server.concurrency.lease_storage,
        "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_QUEUE_STORAGE": server.worker_channel.cleanup_queue_storage,
    }
    service = DOCUMENTS["scaled"]["services"][name]
    for variable, default in alone.items():
        assert "memory" in default
        module = import_module(service["environment"][variable])
        assert module.__name__.startswith("prefect_redis.")
    assert server.docket.url.startswith("memory:")
    for variable in ("PREFECT_SERVER_DOCKET_URL", "PREFECT_REDIS_MESSAGING_URL"):
        assert f'{variable}="$$(cat /run/secrets/redis_url)"' in service["command"][2]
    assert ("--no-services" in service["command"][2]) is (name != "services")


def test_results_are_kept_in_the_block_that_deploying_saves():
    from labelwright.prefect_integration.result_storage import BLOCK

    scaled = DOCUMENTS["scaled"]["services"]
    assert scaled["worker"]["environment"]["PREFECT_DEFAULT_RESULT_STORAGE_BLOCK"] == BLOCK
    assert "LABELWRIGHT_RESULTS__CONNECTION_STRING_FILE" in scaled["deploy"]["environment"]


@pytest.mark.parametrize(("document", "name"), OURS, indirect=["document"])
def test_every_command_is_one(services, name):
    check_command(services[name]["command"])


def test_the_worker_serves_the_pool_of_the_deployments(services):
    command = services["worker"]["command"]
    assert command[command.index("--pool") + 1] == POOL


def test_every_variable_is_a_setting(services):
    existing = prefect_settings() | redis_settings()
    names = {name for service in services.values() for name in service.get("environment", {})}
    names |= set(re.findall(r"\b(PREFECT_[A-Z_]+)=", TEXT))
    names |= set(re.findall(r"\b((?:PREFECT|LABELWRIGHT)_[A-Z_]+)=", (INFRA / "Dockerfile").read_text()))
    ours = {name.removesuffix("_FILE") for name in names if name.startswith("LABELWRIGHT_")}
    assert {name for name in names if name.startswith("PREFECT_")} <= existing
    assert len(ours) > 8
    for name in ours:
        field, *more = name.removeprefix("LABELWRIGHT_").lower().split("__")
        assert field in Settings.model_fields, name
        models = {"service": "ServiceSettings", "receiver": "ReceiverSettings", "results": "ResultsSettings"}
        model: Any = models.get(field, "ConnectionSettings")
        if more:
            import labelwright.settings as module

            assert more[-1] in getattr(module, model).model_fields, name


@pytest.mark.parametrize(("document", "name"), OURS, indirect=["document"])
def test_the_settings_of_every_container_can_be_used(services, name, monkeypatch, tmp_path):
    for secret in services[name].get("secrets", []):
        (tmp_path / secret).write_text(f"content-of-{secret}-that-is-long")
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    for variable, value in services[name].get("environment", {}).items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path)))
    forget_settings()
    observed = settings()
    environment = services[name].get("environment", {})
    if "LABELWRIGHT_LEDGER_URL_FILE" in environment:
        secret = environment["LABELWRIGHT_LEDGER_URL_FILE"].rpartition("/")[2]
        assert observed.ledger_address() == f"content-of-{secret}-that-is-long"
    if "LABELWRIGHT_SHARED_FOLDERS" in environment:
        assert observed.is_shared("/data/home/datasets")
        assert any(volume.endswith(":/data") for volume in map(str, services[name]["volumes"]))
        assert observed.labeling_page_host() == "http://127.0.0.1:8080"
    if "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET_FILE" in environment:
        connection = observed.connection("campaign_api")
        assert connection.secret.get_secret_value() == "content-of-admin_secret-that-is-long"
    forget_settings()


def test_container_reads_exactly_its_own_secrets(services, document):
    for name, service in services.items():
        text = str(service.get("environment", "")) + str(service.get("command", ""))
        read = set(re.findall(r"/run/secrets/(\w+)", text))
        if name == "postgres":
            roles = (INFRA / "postgres" / "roles.sql").read_text()
            read |= set(re.findall(r"`cat :'secrets'/(\w+)`", roles))
        assert read == set(service.get("secrets", [])), name
    assert {secret for service in services.values() for secret in service.get("secrets", [])} == set(
        document["secrets"]
    )


def test_no_secret_stands_in_the_file(services):
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|DATABASE_URL|LEDGER_URL", name):
                assert name.endswith("_FILE"), name
                assert value.startswith("/run/secrets/")


def test_secrets_are_generated_once(tmp_path):
    script = tmp_path / "make-secrets"
    script.write_text((INFRA / "make-secrets").read_text())

    def make() -> dict[str, str]:
        subprocess.run(["sh", script], check=True)
        return {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    created = make()
    assert make() == created
    assert {Path(secret["file"]).name for secret in DOCUMENTS["scaled"]["secrets"].values()} == created.keys()
    assert created["redis_password"] in created["redis_url"]
    assert not [
        name for name, service in created.items() if name.endswith("_url") and created["postgres_password"] in service
    ]
    assert created["worker_password"] in created["ledger_url"]
    assert len(created["admin_secret"]) >= 16
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    ignored = subprocess.run(["git", "check-ignore", "-q", "infra/secrets/x"], cwd=INFRA.parent)
    assert ignored.returncode == 0


def test_every_database_is_made():
    roles = (INFRA / "postgres" / "roles.sql").read_text()
    (created,) = re.findall(r"CREATE DATABASE %I .*\n\s+FROM unnest\(ARRAY\[(.*)\]\)", roles)
    script = (INFRA / "make-secrets").read_text()
    used = {line.split()[-1] for line in script.splitlines() if line.startswith("write_url ")}
    assert set(re.findall(r"\w+", created)) == used == {"prefect", "ledger", "service"}


def test_ports_are_those_that_are_listened_on_and_on_loopback_only(services):
    for name, service in services.items():
        command = " ".join(map(str, service.get("command", [])))
        listening = set(re.findall(r"(?:--port|--blobPort) (\d+)", command))
        for port in service.get("ports", []):
            host, outer, inner = port.split(":")
            assert host == "127.0.0.1"
            assert outer == inner
            assert inner in listening, name
        for port in re.findall(r"127\.0\.0\.1:(\d+)/", str(service.get("healthcheck", ""))):
            assert port in listening | {service.get("environment", {}).get("PREFECT_WORKER_WEBSERVER_PORT")}, name
    for host, port in re.findall(r"http://([a-z]+):(\d+)", (INFRA / "compose.yaml").read_text()):
        assert f"{port}:{port}" in str(services[host]["ports"]), host


def test_services_have_health_checks_and_dependencies(services):
    for name, service in services.items():
        assert ("healthcheck" in service) is (name not in ("deploy", "ledger", "migrate")), name
        # Background services listen on nothing that could be asked.
        assert service.get("healthcheck", {}).get("disable", False) is (name == "services")
        for other, how in service.get("depends_on", {}).items():
            assert other in services
            healthy = "healthcheck" in services[other]
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
        assert any('"/health"' in path.read_text() for path in folder.rglob("*.py")), name


def test_volumes_are_named_and_files_that_are_mounted_are_there(services, document):
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (INFRA / source).is_file() if source.startswith(".") else source in document["volumes"]


def test_ours_run_without_rights_and_write_only_where_data_is(services):
    for name in [name for name, service in services.items() if service["image"].startswith("labelwright:")]:
        service = services[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["volumes"][0].endswith(":/data") if service.get("volumes") else "/data" in str(service["tmpfs"])
    text = (INFRA / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.M)
    for path in re.findall(r"LABELWRIGHT_HOME=(\S+)|PREFECT_HOME=(\S+)", text):
        assert "".join(path).startswith("/data/")


def test_the_image_is_made_of_files_that_are_there_and_by_the_lock(services):
    text = (INFRA / "Dockerfile").read_text()
    root = INFRA.parent
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    names = {name for items in copied for name in items}
    assert all((root / name).exists() for name in names), names
    allowed = {line[1:] for line in (INFRA / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert allowed == names
    assert "--require-hashes --requirement infra/requirements.lock" in text
    import tomllib

    import labelwright

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"^ARG EXTRAS=([a-z,]+)$", text, re.M)
    assert '"labelwright[${EXTRAS}]"' in text
    assert {"postgres", "redis", "results"} <= set(extras.split(",")) <= project["optional-dependencies"].keys()
    assert {service["image"] for service in services.values() if "build" in service} == {
        f"labelwright:{labelwright.__version__}"
    }


@pytest.mark.parametrize("name", FILES["scaled"])
def test_files_match_the_compose_schema(name, tmp_path):
    from check_jsonschema import main

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((INFRA / name).read_text().replace("command:", "comand:", 1))
    for file, code in ((INFRA / name, 0), (wrong, 1)):
        with pytest.raises(SystemExit) as ended:
            main(["--builtin-schema", "vendor.compose-spec", str(file)])
        assert ended.value.code == code, file


def compose_program() -> list[str]:
    """The plugin, or the program that Debian has by the name of docker-compose. Raises RuntimeError with advice."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise RuntimeError("Compose is not installed here (Debian: apt-get install docker-compose); no daemon is needed.")


@pytest.mark.docker
@pytest.mark.parametrize("which", list(FILES))
def test_docker_compose_merges_the_files_as_we_do(which, tmp_path):
    """Judged by Compose itself, of which 1.29 is the oldest that knows all that is used, but for the project's name."""
    shutil.copytree(INFRA, tmp_path / "infra")
    subprocess.run(["sh", tmp_path / "infra" / "make-secrets"], check=True)
    program, files = compose_program(), []
    digest = f"sha256:{'1' * 64}"
    pins = "".join(f"{name}=example.test/{name.lower()}@{digest}\n" for name in VARIABLES)
    (tmp_path / "infra" / ".env").write_text(pins)
    for name in FILES[which]:
        file = tmp_path / "infra" / name
        if program == ["docker-compose"]:
            file.write_text(re.sub(r"^name: .*\n", "", file.read_text(), flags=re.M))
        files += ["--file", file]
    process = subprocess.run(
        [*program, *files, "--profile", "azurite", "config"], capture_output=True, text=True, cwd=tmp_path / "infra"
    )
    assert process.returncode == 0, process.stderr
    read = yaml.safe_load(process.stdout)["services"]
    ours = DOCUMENTS[which]["services"]
    assert read.keys() == ours.keys()
    for name, service in ours.items():
        assert (
            read[name].get("command") == [word.rstrip("\n") for word in service["command"]]
            if "command" in service
            else True
        )
        assert read[name].get("environment", {}) == service.get("environment", {})
        assert {secret["source"] for secret in read[name].get("secrets", [])} == set(service.get("secrets", []))
        assert set(read[name].get("depends_on", {})) == set(service.get("depends_on", {}))


VARIABLES = ("IMAGE_PYTHON", "IMAGE_POSTGRES", "IMAGE_REDIS", "IMAGE_AZURITE")
"""What `pin-images` writes into infra/.env: an image each, by its digest."""


def test_no_image_is_pulled_by_a_tag(services):
    """Those of others come from variables without a default, ours is built here and never looked for elsewhere."""
    for name, service in services.items():
        if service["image"].startswith("labelwright:"):
            assert service["pull_policy"] == "never", name
        else:
            assert re.fullmatch(r"\$\{(\w+):\?run infra/pin-images first\}", service["image"]), name
            assert re.findall(r"\w+", service["image"])[0] in VARIABLES
    for build in [service["build"] for service in services.values() if "build" in service]:
        assert build["args"] == {"BASE": "${IMAGE_PYTHON:?run infra/pin-images first}"}
    dockerfile = (INFRA / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE$", dockerfile, re.M), "the base has a default, which is a tag"
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.M)) == {"${BASE}"}


_DOCKER = """#!/bin/sh
# Stands in for Docker: a registry whose images have digests made of their names.
case "$1" in
  pull) echo "$3" >>"$PULLED" ;;
  image) digest="$(printf '%s' "$5" | sha256sum | cut -d ' ' -f 1)"
         case "$5" in *no-digest*) echo "$5" ;; *) echo "${5%:*}@sha256:$digest" ;; esac ;;
esac
"""


def pin_images(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    if not (folder / "infra").exists():
        shutil.copytree(INFRA, folder / "infra", ignore=shutil.ignore_patterns("secrets", ".env"))
    docker = folder / "docker"
    docker.write_text(_DOCKER)
    docker.chmod(0o755)
    environment = {**os.environ, "DOCKER": str(docker), "PULLED": str(folder / "pulled"), **more}
    program = ["sh", folder / "infra" / "pin-images", *arguments]
    return subprocess.run(program, capture_output=True, text=True, env=environment)


def test_pinning_writes_every_required_digest(tmp_path):
    output = pin_images(tmp_path, "registry.test/team/labelwright:0.1.0")
    assert output.returncode == 0, output.stderr
    lines = (tmp_path / "infra" / ".env").read_text().splitlines()
    pins = dict(line.split("=", 1) for line in lines)
    assert set(pins) == set(VARIABLES)
    assert all(re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", pin) for pin in pins.values())
    observed = set()
    for file in (tmp_path / "infra" / "kubernetes").iterdir():
        observed |= set(re.findall(r"[\w./-]+@sha256:[0-9a-f]{64}", file.read_text()))
    assert {image.partition("@")[0] for image in observed} == {
        "registry.test/team/labelwright",
        "redis",
        "prefecthq/prefect",
    }
    assert not any(image.endswith("0" * 64) for image in observed)
    assert pins["IMAGE_REDIS"] in observed
    # Pinned again, to other versions, there is one digest of each all the same, and what else stands there stays.
    with (tmp_path / "infra" / ".env").open("a") as file:
        file.write("DROP_CONTAINER=https://photos.blob.core.windows.net/drop\n")
    assert pin_images(tmp_path, "registry.test/team/labelwright:0.2.0").returncode == 0
    for file in (tmp_path / "infra" / "kubernetes").iterdir():
        again = set(re.findall(r"\S*labelwright@sha256:[0-9a-f]{64}", file.read_text()))
        assert len(again) <= 1
        assert not again & observed
    pinned_again = (tmp_path / "infra" / ".env").read_text().splitlines()
    assert sorted(line.split("=")[0] for line in pinned_again) == sorted([*VARIABLES, "DROP_CONTAINER"])


def test_pinning_fails_where_a_registry_tells_no_digest(tmp_path):
    output = pin_images(tmp_path, POSTGRES="no-digest:17")
    assert output.returncode == 1
    assert "no digest of no-digest:17" in output.stderr
    assert not (tmp_path / "infra" / ".env").exists()


def test_every_container_is_bounded_and_writes_only_where_it_must(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert "/tmp" in service["tmpfs"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert 0 < service["pids_limit"] <= 1024, name


TALKS = {
    ("postgres", "prefect"),
    ("postgres", "prefect-b"),
    ("postgres", "services"),
    ("postgres", "migrate"),
    ("postgres", "service"),
    ("postgres", "ledger"),
    ("postgres", "worker"),
    ("postgres", "receiver"),
    ("prefect", "deploy"),
    ("prefect", "worker"),
    ("prefect", "receiver"),
    ("prefect-b", "deploy"),
    ("prefect-b", "worker"),
    ("prefect-b", "receiver"),
    ("service", "worker"),
    ("redis", "prefect"),
    ("redis", "prefect-b"),
    ("redis", "services"),
    ("azurite", "worker"),
    ("azurite", "deploy"),
}
"""Who must reach whom. Every other pair that shares a network stands in `BESIDE`."""

BESIDE = {
    frozenset(pair)
    for pair in (
        ("ledger", "worker"),  # both are clients of one database
        ("deploy", "worker"),  # both are clients of Prefect, and of Azurite
        ("prefect", "prefect-b"),
        ("prefect", "migrate"),
        ("prefect", "services"),
        ("prefect-b", "migrate"),
        ("prefect-b", "services"),
        ("services", "migrate"),
    )
}


def test_parts_share_a_network_only_where_they_talk(services):
    together = set()
    for name, service in services.items():
        for other, another in services.items():
            if name < other and service["networks"].keys() & another["networks"].keys():
                together.add(frozenset((name, other)))
    allowed = {frozenset(pair) for pair in TALKS if set(pair) <= services.keys()}
    if "migrate" not in services:  # only several servers keep their results in Azurite
        allowed -= {frozenset(("azurite", "deploy"))}
    assert allowed <= together
    assert together - allowed <= BESIDE
    assert frozenset(("receiver", "service")) not in together
    assert frozenset(("receiver", "worker")) not in together


def test_only_the_worker_and_what_results_need_reach_other_hosts(services, document):
    networks = document["networks"]
    masquerade = "com.docker.network.bridge.enable_ip_masquerade"
    ways_out = {
        name
        for name, service in networks.items()
        if not service.get("internal") and service.get("driver_opts", {}).get(masquerade) != "false"
    }
    assert ways_out == {"outside"}
    out = {name for name, service in services.items() if service["networks"].keys() & ways_out}
    assert out == {"worker", "azurite"} | ({"deploy"} if "migrate" in services else set())
    assert {name for service in services.values() for name in service["networks"]} == networks.keys()
    for name, service in services.items():  # a port cannot be published from internal networks alone
        assert all(networks[network].get("internal") for network in service["networks"]) is (
            "ports" not in service
        ) or (name in out)


def test_the_receiver_holds_its_own_role_and_nothing_else(services):
    receiver = services["receiver"]
    assert receiver["secrets"] == ["receiver_ledger_url", "event_grid_secret"]
    assert receiver["volumes"] == []
    assert not [name for name in receiver["environment"] if "CONNECTIONS" in name]
    holders = {name for name, service in services.items() if "admin_secret" in service.get("secrets", [])}
    assert holders == {"service", "worker"}


def test_every_service_has_its_own_database_role(services, tmp_path):
    shutil.copy(INFRA / "make-secrets", tmp_path)
    subprocess.run(["sh", tmp_path / "make-secrets"], check=True)
    users = {}
    for name, service in services.items():
        for secret in service.get("secrets", []):
            content = (tmp_path / "secrets" / secret).read_text()
            if result := re.match(r"postgresql\S*://(\w+):\w+@postgres:5432/(\w+)$", content):
                users[name] = result.groups()
    prefect = ("prefect", "prefect")
    expected = {
        "prefect": prefect,
        "service": ("service", "service"),
        "ledger": ("ledger", "ledger"),
        "worker": ("ledger_worker", "ledger"),
        "receiver": ("ledger_receiver", "ledger"),
    }
    several = {"prefect-b": prefect, "services": prefect, "migrate": prefect}
    assert users == expected | (several if "migrate" in services else {})
    holders = {name for name, service in services.items() if "postgres_password" in service.get("secrets", [])}
    assert holders == {"postgres"}
    roles = (INFRA / "postgres" / "roles.sql").read_text()
    assert {user for user, _ in users.values()} <= set(re.findall(r"^ALTER ROLE (\w+) LOGIN NOSUPERUSER", roles, re.M))


def test_workers_share_their_home_and_nobody_else_has_it(services):
    holders = {name for name, service in services.items() if "home:/data" in service.get("volumes", [])}
    assert holders == {"worker"}
