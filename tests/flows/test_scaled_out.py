"""A team's servers: two API servers of Prefect on one Postgres and one Redis, services apart, results in Blob.

Everything is a process of its own on a free port of loopback, started as infra/compose.scaled.yaml starts it and with
the variables that stand there. Whoever deploys and asks talks to the first API server, the worker to the second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from azure.storage.blob import ContainerClient

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.ledger import Ledger
from labelwright.local.servers import LOOPBACK, Server, answers, free_port
from labelwright.prefect_integration.result_storage import BLOCK
from tests.infra.redis import Redis
from tests.ingest.stores import Azurite
from tests.service.postgres import Postgres

from . import partner, prefect_api
from .conftest import make_photos, make_spec

pytestmark = pytest.mark.scaled

INFRA = Path(__file__).resolve().parents[2] / "infra"
SCALED: dict[str, Any] = yaml.safe_load((INFRA / "compose.scaled.yaml").read_text())
PATIENCE = 240


def variables_of(service: str, **overrides: str) -> dict[str, str]:
    """The environment of the compose file, with this test's places for what the shell of the container fills in."""
    environment = SCALED["services"][service]["environment"]
    assert all(isinstance(value, str) for value in environment.values())
    return {**environment, **overrides}


@dataclass
class Team:
    """What runs, and where; `api` is the server that is asked."""

    folder: Path
    stack: ExitStack
    environment: dict[str, str] = field(default_factory=dict)
    apis: list[str] = field(default_factory=list)
    servers: dict[str, Server] = field(default_factory=dict)

    def run(self, *command: str, **more: str) -> str:
        completed = subprocess.run(
            [sys.executable, "-m", *command],
            capture_output=True,
            text=True,
            env=self.environment | more,
            timeout=PATIENCE,
            cwd=self.folder,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def start(self, name: str, *command: str, ready: Callable[[], object] = lambda: True, **more: str) -> None:
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdout=out,
                stderr=out,
                env=self.environment | more,
                cwd=self.folder,
                start_new_session=True,
            )
        self.servers[name] = Server("", process, log)
        self.stack.callback(self.servers[name].stop)
        until(ready, lambda: f"{name} is there: {log.read_text(errors='replace')[-3000:]}", process)

    def ask(self, path: str, body: object | None = None, api: int = 0) -> Any:
        response = prefect_api.ask("GET" if body is None else "POST", path, body, self.apis[api])
        response.raise_for_status()
        return response.json()

    def runs(self, name: str, state: str, api: int = 0) -> list[dict[str, Any]]:
        body = {"deployments": {"name": {"any_": [name]}}, "flow_runs": {"state": {"name": {"any_": [state]}}}}
        return list(self.ask("/flow_runs/filter", body, api))


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
        time.sleep(0.3)
    pytest.fail(f"not so within {PATIENCE} seconds: {description()}")


def for_asyncpg(address: str) -> str:
    return address.replace("postgresql://", "postgresql+asyncpg://")


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> Iterator[tuple[Postgres, Redis, Azurite]]:
    with ExitStack() as stack:
        postgres = Postgres(port=free_port(0))
        stack.callback(postgres.stop)
        redis = Redis(tmp_path_factory.mktemp("redis"))
        stack.callback(redis.stop)
        azurite = Azurite(tmp_path_factory.mktemp("azurite"))
        stack.callback(azurite.stop)
        yield postgres, redis, azurite


@pytest.fixture(scope="module")
def team(tmp_path_factory, stores) -> Iterator[Team]:
    postgres, redis, azurite = stores
    folder = tmp_path_factory.mktemp("team")
    prefect, ledger, service = (postgres.new_database() for _ in range(3))
    base_environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LABELWRIGHT_"))
    }
    ports = [free_port(0) for _ in range(3)]
    with ExitStack() as stack:
        team = Team(folder, stack, base_environment | {"HOME": str(folder), "PREFECT_HOME": str(folder / "prefect")})
        team.apis = [f"http://{LOOPBACK}:{port}/api" for port in ports[:2]]
        team.environment |= {
            "LABELWRIGHT_HOME": str(folder / "home"),
            "LABELWRIGHT_LEDGER_URL": ledger,
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": f"http://{LOOPBACK}:{ports[2]}/api/v1",
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY": "admin",
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET": "of-the-tests-and-long",
            "LABELWRIGHT_SWEEP_EVERY": "15",
            "LABELWRIGHT_FINISH_BY": "event",
        }
        shared = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": for_asyncpg(prefect),
            "PREFECT_REDIS_MESSAGING_URL": redis.url,
            "PREFECT_REDIS_WORKER_CLEANUP_QUEUE_URL": redis.url,
            "PREFECT_SERVER_DOCKET_URL": redis.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        team.run("prefect", "server", "database", "upgrade", "--yes", **shared)
        for number, port in enumerate(ports[:2]):
            team.start(
                f"api-{number}",
                *("prefect", "server", "start", "--no-services", "--host", LOOPBACK, "--port", str(port)),
                ready=lambda number=number: answers(f"{team.apis[number]}/health"),
                **variables_of("prefect", **shared),
            )
        team.start("services", "prefect", "server", "services", "start", **variables_of("services", **shared))
        team.start(
            "service",
            *("labelwright", "serve", "--port", str(ports[2]), "--data-dir", str(folder / "service")),
            ready=lambda: answers(f"http://{LOOPBACK}:{ports[2]}/health"),
            LABELWRIGHT_SERVICE__ADMIN_KEY="admin",
            LABELWRIGHT_SERVICE__ADMIN_SECRET="of-the-tests-and-long",
            LABELWRIGHT_SERVICE__DATABASE_URL=service,
        )
        deployed = {
            "PREFECT_API_URL": team.apis[0],
            "LABELWRIGHT_RESULTS__CONNECTION_STRING": azurite.connection_string,
        }
        team.run("labelwright", "deploy", **deployed)
        team.start(
            "worker",
            *("prefect", "worker", "start", "--type", "process", "--pool", "labelwright", "--name", "second"),
            ready=lambda: team.ask("/work_pools/labelwright/workers/filter", {}),
            PREFECT_API_URL=team.apis[1],
            PREFECT_WORKER_QUERY_SECONDS="2",
            PREFECT_RUNNER_POLL_FREQUENCY="2",
            **variables_of("worker"),
        )
        yield team


def wait_for(team: Team, run: str, state: str, api: int = 0) -> dict[str, Any]:
    def run_in_state() -> dict[str, Any] | None:
        flow_run = team.ask(f"/flow_runs/{run}", api=api)
        return flow_run if flow_run["state_name"] == state else None

    return until(run_in_state, lambda: f"{run} is {state}: {team.ask(f'/flow_runs/{run}', api=api)['state']}")


def _all_of(team: Team, filtered: dict[str, Any], last: str) -> list[dict[str, Any]]:
    """The task runs of a run, when the one that is named is there and over."""
    task_runs = list(team.ask("/task_runs/filter", filtered, api=1))
    return (
        task_runs if any(task_run["name"].startswith(last) and task_run["end_time"] for task_run in task_runs) else []
    )


def test_a_campaign_goes_from_images_to_datasets_across_two_api_servers(team, stores, tmp_path):
    _, redis, azurite = stores
    make_photos(team.folder / "photos", 4)
    spec = make_spec("river", team.folder / "photos", team.folder / "datasets").model_dump(mode="json")

    # Started at the first server; done by a worker that knows the second one only.
    launch = team.ask("/deployments/name/launch-campaign/launch-campaign")["id"]
    run = team.ask(f"/deployments/{launch}/create_flow_run", {"parameters": {"campaign": spec}})["id"]
    wait_for(team, run, "Completed")

    # Its result is in Blob, where another process on another machine reads it, and every task looked for itself.
    read_result = (
        "import sys, uuid; from prefect.client.orchestration import get_client\n"
        "with get_client(sync_client=True) as client: state = client.read_flow_run(uuid.UUID(sys.argv[1])).state\n"
        "print(state.result())"
    )
    completed = subprocess.run(
        [sys.executable, "-c", read_result, run],
        capture_output=True,
        text=True,
        env=team.environment | {"PREFECT_API_URL": team.apis[0], "PREFECT_HOME": str(tmp_path / "elsewhere")},
        timeout=PATIENCE,
    )
    assert completed.stdout.strip() == "river", completed.stderr
    key = team.ask(f"/flow_runs/{run}")["state"]["data"]["storage_key"]
    with ContainerClient.from_connection_string(azurite.connection_string, "prefect-results") as container:
        assert key in [blob.name for blob in container.list_blobs()]
    # Task runs are events, which the services take from Redis and write down some seconds late.
    filtered = {"flow_runs": {"id": {"any_": [run]}}}
    tasks = until(
        lambda: _all_of(team, filtered, "activate river"), lambda: str(team.ask("/task_runs/filter", filtered))
    )
    assert {task_run["state_name"] for task_run in tasks} == {"Completed"}

    # Labels come; a scheduled sweep sees them, and its event, through Redis, starts the finishing run by a trigger.
    ledger = Ledger(team.environment["LABELWRIGHT_LEDGER_URL"])
    access = LabelerKeys(team.folder / "home").find("campaign_api", "partner@example.com")
    assert access is not None
    api = team.environment["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"]
    assert partner.label(api, ledger.campaigns.get("river").remote_id or "", access) == 4
    # The first server dies on the way: nobody who talks to the second one notices.
    team.servers["api-0"].process.kill()
    until(lambda: team.runs("finish-campaign", "Completed", api=1), lambda: str(team.ask("/flow_runs/filter", {}, 1)))
    until(lambda: ledger.campaigns.datasets("river"), lambda: f"{ledger.campaigns.get('river')}")
    (finishing,) = team.runs("finish-campaign", "Completed", api=1)
    assert finishing["created_by"]["type"] == "AUTOMATION"
    assert {path.name for path in (team.folder / "datasets").iterdir()} == {"river_images", "river_labels"}
    ledger.close()

    # A lease is there only while a sweep holds the one slot of its deployment, which it does every fifteen seconds.
    for pattern in ("events", "prefect-server:*", "prefect:concurrency:lease:*"):
        until(
            lambda pattern=pattern: redis.keys(pattern),
            lambda pattern=pattern: f"{pattern} among {redis.keys('*')[:50]}",
        )

    completed = team.run(
        *("labelwright", "doctor", "--json"),
        PREFECT_API_URL=team.apis[1],
        LABELWRIGHT_RESULTS__CONNECTION_STRING=azurite.connection_string,
        **variables_of("worker"),
    )
    assert '"well": true' in completed
    assert BLOCK in completed
