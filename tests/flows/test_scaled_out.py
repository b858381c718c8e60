"""A team on plain hosts, with a worker and an API server that are killed: everything by `infra/plain-hosts`.

Two API servers of Prefect on one Postgres and one Redis, services apart, results and images in Blob, two workers with
homes of their own. Each worker is a host as far as the machine lets us: with a name and process ids of its own, in
namespaces that end together. Whoever deploys and asks talks to the first API server, the workers to the second.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from sqlalchemy import select, update

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.domain import State
from labelwright.ledger import Lease, Ledger, campaign_lease
from labelwright.ledger import tables as t
from labelwright.ledger.leases import LIFETIME
from labelwright.local.servers import LOOPBACK, Server, answers, free_port
from labelwright.platforms.protocol import LabelerAccess
from labelwright.prefect_integration.result_storage import BLOCK
from tests.infra.compose import INFRA
from tests.infra.redis import Redis
from tests.ingest.stores import Azurite
from tests.service.postgres import Postgres, programs

from . import partner, prefect_api
from .conftest import make_photos, make_spec

pytestmark = pytest.mark.scaled

PATIENCE = 240
PHOTOS = 12
SCRIPT = str(INFRA / "plain-hosts")
HOSTS = ("alpha", "beta")


@cache
def namespaces() -> tuple[str, ...]:
    """The command that gives a process a host's name and process ids of its own; empty where it is not allowed."""
    for rights in ((), ("--user", "--map-root-user")):
        command = ("unshare", *rights, "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return ()


@dataclass
class Team:
    """What runs, and where."""

    folder: Path
    stack: ExitStack
    environment: dict[str, str]
    apis: list[str]
    api: str
    """Of the labeling service."""
    images: str
    """The container with the images, without a signature."""
    servers: dict[str, Server] = field(default_factory=dict)

    def run(self, *command: str, **more: str) -> str:
        environment = self.environment | more
        completed = subprocess.run(
            ["sh", SCRIPT, *command], capture_output=True, text=True, env=environment, timeout=PATIENCE, cwd=self.folder
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def start(self, name: str, *command: str, before: tuple[str, ...] = (), **more: str) -> None:
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*before, "sh", SCRIPT, *command],
                stdout=out,
                stderr=out,
                env=self.environment | more,
                cwd=self.folder,
                start_new_session=True,
            )
        self.servers[name] = Server("", process, log)
        self.stack.callback(self.servers[name].stop)

    def wait_until(self, name: str, ready: Callable[[], object]) -> None:
        server = self.servers[name]
        until(ready, lambda: f"{name} is there: {server.log.read_text(errors='replace')[-3000:]}", server.process)

    def start_worker(self, host: str) -> None:
        named = (*namespaces(), "sh", "-c", f'hostname {host}; exec "$@"', host) if namespaces() else ()
        home = {"LABELWRIGHT_HOME": str(self.home(host)), "PREFECT_HOME": str(self.folder / host / "prefect")}
        self.start(host, "worker", host, before=named, PREFECT_API_URL=self.apis[1], **home)

    def home(self, host: str) -> Path:
        return self.folder / host / "home"

    def ask(self, path: str, body: object | None = None, api: int = 0) -> Any:
        response = prefect_api.ask("GET" if body is None else "POST", path, body, self.apis[api])
        response.raise_for_status()
        return response.json()

    def start_run(self, deployment: str, parameters: dict[str, Any]) -> str:
        of_deployment = self.ask(f"/deployments/name/{deployment}/{deployment}")["id"]
        return str(self.ask(f"/deployments/{of_deployment}/create_flow_run", {"parameters": parameters})["id"])

    def schedule_sweeps(self, on: bool) -> None:
        sweep = self.ask("/deployments/name/sweep-campaigns/sweep-campaigns")["id"]
        change = "resume" if on else "pause"
        prefect_api.ask("POST", f"/deployments/{sweep}/{change}_deployment", {}, self.apis[0]).raise_for_status()

    def runs(self, name: str, state: str, api: int = 0) -> list[dict[str, Any]]:
        body = {"deployments": {"name": {"any_": [name]}}, "flow_runs": {"state": {"name": {"any_": [state]}}}}
        return list(self.ask("/flow_runs/filter", body, api))

    def ask_service(self, path: str) -> Any:
        secret = (Path(self.environment["SECRETS"]) / "admin_secret").read_text()
        headers = {"Authentication-Key": "admin", "Authentication-Secret": secret}
        response = requests.get(f"{self.api}{path}", headers=headers, timeout=60)
        response.raise_for_status()
        return response.json()


def until(
    condition: Callable[[], Any], description: Callable[[], str], process: subprocess.Popen[bytes] | None = None
) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if result := condition():
                return result
        except requests.RequestException:
            pass
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"not so within {PATIENCE} seconds: {description()}")


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> Iterator[tuple[Postgres, Redis, Azurite]]:
    folders = [tmp_path_factory.mktemp(name) for name in ("redis", "azurite")]
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        starting = [
            pool.submit(Postgres, port=free_port(0)),
            pool.submit(Redis, folders[0]),
            pool.submit(Azurite, folders[1]),
        ]
        servers: Any = []
        for future in starting:
            servers.append(future.result())
            stack.callback(servers[-1].stop)
        yield tuple(servers)


def upload(container: str, folder: Path) -> None:
    with ContainerClient.from_container_url(container) as client:
        for name in make_photos(folder, PHOTOS):
            client.upload_blob(f"river/{name}", (folder / name).read_bytes())


@pytest.fixture(scope="module")
def team(tmp_path_factory, stores) -> Iterator[Team]:
    postgres, redis, azurite = stores
    folder = tmp_path_factory.mktemp("team")
    superuser = postgres.new_database().rpartition("/")[0]
    images, _, signature = azurite.new_container().partition("?")
    upload(f"{images}?{signature}", folder / "photos")
    secrets = folder / "secrets"
    secrets.mkdir()
    for name, value in (("redis_url", redis.url), ("container_sas", signature)):
        (secrets / name).write_text(value)
    base = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LABELWRIGHT_"))}
    ports = [free_port(0) for _ in range(3)]
    apis = [f"http://{LOOPBACK}:{port}/api" for port in ports[:2]]
    environment = base | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), base["PATH"], str(programs())]),
        "HOME": str(folder),
        "SECRETS": str(secrets),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "LABELWRIGHT_HOME": str(folder / "home"),
        "SHARED_FOLDERS": json.dumps([str(folder)]),
        "PREFECT_API_URL": apis[0],
        "SERVICE_URL": f"http://{LOOPBACK}:{ports[2]}",
        "FINISH_BY": "event",
        "SWEEP_EVERY": "15",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
    }
    making = {"POSTGRES": superuser.rpartition("@")[2], "RESULTS": azurite.connection_string}
    subprocess.run(["sh", INFRA / "make-secrets"], check=True, env=environment | making)
    with ExitStack() as stack:
        team = Team(folder, stack, environment, apis, f"http://{LOOPBACK}:{ports[2]}/api/v1", images)
        team.run("databases", SUPERUSER_URL=f"{superuser}/postgres")
        team.start("service", "service", "--port", str(ports[2]), "--data-dir", str(folder / "service"))
        team.start("api-0", "api", "--host", LOOPBACK, "--port", str(ports[0]))
        team.wait_until("api-0", lambda: answers(f"{apis[0]}/health"))
        # Not before: of two servers that fill an empty database at once one fails.
        team.start("api-1", "api", "--host", LOOPBACK, "--port", str(ports[1]))
        team.start("services", "services")
        team.run("deploy")
        team.schedule_sweeps(False)  # until a worker was killed at the launch, and not at a sweep
        team.wait_until("api-1", lambda: answers(f"{apis[1]}/health"))
        team.wait_until("service", lambda: answers(f"http://{LOOPBACK}:{ports[2]}/health"))
        for host in HOSTS:
            team.start_worker(host)
        yield team


def kill_host_of(team: Team, lease: Lease) -> str:
    """Kills the worker with all its runs, as when its host loses power. Returns its name."""
    host = next(name for name in HOSTS if lease.process.machine.startswith(name)) if namespaces() else HOSTS[0]
    if not namespaces():
        os.kill(lease.process.pid, signal.SIGKILL)  # the run alone
        return host
    team.servers[host].process.kill()
    team.servers[host].process.wait()
    return host


def expire_lease(ledger: Ledger, lease: Lease) -> None:
    """As if its lifetime had passed, which another machine waits for."""
    earlier = lease.expires_at - timedelta(seconds=LIFETIME)
    with ledger._database.write() as connection:
        connection.execute(update(t.leases).where(t.leases.c.token == lease.token).values(expires_at=earlier))


def labeler_of(team: Team) -> LabelerAccess:
    """From the home of the worker that created the campaign."""
    found = [LabelerKeys(team.home(host)).find("campaign_api", "partner@example.com") for host in HOSTS]
    return next(access for access in found if access is not None)


def test_a_team_loses_a_worker_and_an_api_server_and_exports_once(team, stores, tmp_path):
    _, redis, azurite = stores
    spec = make_spec("river", tmp_path, team.folder / "datasets").model_dump(mode="json")
    spec["images"] = {"container": team.images, "prefix": "river/"}
    ledger = Ledger((Path(team.environment["SECRETS"]) / "ledger_url").read_text())
    team.stack.callback(ledger.close)

    # Started at the first server; done by a worker that knows the second one only, and that is killed at it.
    run = team.start_run("launch-campaign", {"campaign": spec})
    lease = until(
        lambda: ledger.campaigns.find("river") and ledger.leases.find(campaign_lease("river")),
        lambda: str(team.ask(f"/flow_runs/{run}")),
    )
    killed = kill_host_of(team, lease)
    expire_lease(ledger, lease)
    team.start_run("sweep-campaigns", {"go_on": "by runs"})
    team.schedule_sweeps(True)

    # A sweep of the other worker finds the dead run and launches the campaign.
    until(
        lambda: (record := ledger.campaigns.find("river")) and record.state is State.ACTIVE,
        lambda: f"{ledger.campaigns.find('river')} {team.ask('/flow_runs/filter', {})}",
    )
    assert team.ask(f"/flow_runs/{run}")["state_name"] == "Crashed"
    (second,) = until(lambda: team.runs("launch-campaign", "Completed"), lambda: str(team.ask("/flow_runs/filter", {})))
    campaigns, image_sets = (team.ask_service(f"/{name}")[name] for name in ("campaigns", "image_sets"))
    assert [len(found) for found in (campaigns, image_sets)] == [1, 1]

    # Its result is in Blob, where another machine reads it, and every task looked for itself.
    with (
        temporary_settings({PREFECT_API_URL: team.apis[0], PREFECT_HOME: tmp_path / "elsewhere"}),
        get_client(sync_client=True) as client,
    ):
        flow_run = client.read_flow_run(second["id"])
        assert flow_run.state is not None
        assert flow_run.state.result() == "river"
    key = second["state"]["data"]["storage_key"]
    with ContainerClient.from_connection_string(azurite.connection_string, "prefect-results") as container:
        assert key in [blob.name for blob in container.list_blobs()]

    # Labels come; a scheduled sweep sees them, and its event, through Redis, starts the finishing run by a trigger.
    assert partner.label(team.api, ledger.campaigns.get("river").remote_id or "", labeler_of(team)) == PHOTOS
    # The first server dies on the way: nobody who talks to the second one notices.
    os.killpg(team.servers["api-0"].process.pid, signal.SIGKILL)
    until(lambda: ledger.campaigns.datasets("river"), lambda: f"{ledger.campaigns.get('river')}")
    (finishing,) = until(
        lambda: team.runs("finish-campaign", "Completed", api=1), lambda: str(team.ask("/flow_runs/filter", {}, 1))
    )
    assert finishing["created_by"]["type"] == "AUTOMATION"
    assert {path.name for path in (team.folder / "datasets").iterdir()} == {"river_images", "river_labels"}
    with ledger._database.read() as connection:
        exported = connection.execute(select(t.exports.c.name).where(t.exports.c.campaign == "river")).scalars().all()
    assert sorted(exported) == ["river_images", "river_labels"]

    # A lease is there only while a sweep holds the one slot of its deployment, which it does every fifteen seconds.
    for pattern in ("events", "prefect-server:*", "prefect:concurrency:lease:*"):
        until(
            lambda pattern=pattern: redis.keys(pattern),
            lambda pattern=pattern: f"{pattern} among {redis.keys('*')[:50]}",
        )

    living = next(host for host in HOSTS if host != killed)

    def doctor() -> str:
        return team.run("run", "labelwright", "doctor", "--json", PREFECT_API_URL=team.apis[1])

    said = doctor()
    assert '"well": true' in said, said
    assert BLOCK in said
    if namespaces():
        assert f"worker {living}" in said, "it did not record its settings"
        missing = (f"worker {killed} is gone", f"worker {killed} reported last")
        until(lambda: any(sentence in doctor() for sentence in missing), doctor)  # after 1.7 of its heartbeats
