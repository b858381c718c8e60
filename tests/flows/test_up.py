"""`labelwright up` as a process: everything comes up, works, is mended, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from labelwright.local import processes, up
from labelwright.local.servers import NotStarted, Server, free_port
from tests.cli.schemas import output_in_schema
from tests.prefect_database import prepare_database

from . import prefect_api
from .conftest import make_photos, make_spec


@dataclass
class Running:
    """An `up` of its own, and what it said."""

    process: subprocess.Popen[str]
    home: Path
    addresses: dict[str, str]

    @property
    def api(self) -> str:
        return f"{self.addresses['Prefect UI']}/api"

    def get(self, path: str) -> Any:
        return prefect_api.get(path, self.api)

    def start(self, name: str, parameters: dict[str, Any]) -> str:
        """A run of a deployment, as the UI makes it. Answers its id."""
        deployment_id = self.get(f"/deployments/name/{name}/{name}")["id"]
        flow_run = prefect_api.create(
            f"/deployments/{deployment_id}/create_flow_run", {"parameters": parameters}, self.api
        )
        return str(flow_run["id"])

    def wait_for(self, run: str, state: str) -> None:
        wait_until(lambda: self.get(f"/flow_runs/{run}")["state_name"] == state, f"{run} is {state}")

    def runs(self, name: str) -> list[dict[str, Any]]:
        return prefect_api.runs_of(name, self.api)

    def children(self) -> list[int]:
        return processes.below(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(240)


def wait_until(condition: Callable[[], Any], description: str, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            result = condition()
        except requests.RequestException:
            result = None
        if result:
            return result
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} seconds: {description}")


def environment(home: Path, **more: str) -> dict[str, str]:
    base_environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LABELWRIGHT_"))
    }
    return {**base_environment, "LABELWRIGHT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", **more}


@contextmanager
def running(home: Path, *, empty: bool = False, **variables: str) -> Iterator[Running]:
    """`labelwright up`; with Prefect's database, unless the home is to be empty."""
    if not empty:
        prepare_database(home)
    ports = ["--prefect-port", str(free_port(0)), "--service-port", str(free_port(0))]
    command = [sys.executable, "-m", "labelwright", "up", "--json", *ports]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.err").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(home, **variables)
        )
    assert process.stdout is not None
    try:
        output = ""
        while not output.endswith("}\n"):
            line = process.stdout.readline()
            assert line, (home / "up.err").read_text()
            output += line
        yield Running(process, home, output_in_schema("up", output))
    finally:
        remaining = processes.below(process.pid)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(240)
            except subprocess.TimeoutExpired:
                process.kill()
        processes.send(remaining, signal.SIGKILL)


def campaign(title: str, tmp_path: Path) -> dict[str, Any]:
    make_photos(tmp_path / "photos", 3)
    return make_spec(title, tmp_path / "photos", tmp_path / "datasets").model_dump(mode="json")


@pytest.mark.slow
def test_everything_comes_up_works_and_goes_in_order(tmp_path):
    with running(tmp_path / "home", empty=True, LABELWRIGHT_SWEEP_EVERY="10") as everything:
        assert requests.get(f"{everything.addresses['labeling service']}/health", timeout=30).ok
        second = subprocess.run(
            [sys.executable, "-m", "labelwright", "up"],
            capture_output=True,
            text=True,
            env=environment(everything.home),
            timeout=60,
        )
        assert second.returncode == 2
        assert str(everything.process.pid) in second.stderr
        assert everything.addresses["Prefect UI"] in second.stderr

        run = everything.start("launch-campaign", {"campaign": campaign("river", tmp_path)})
        everything.wait_for(run, "Completed")
        by_hand = subprocess.run(
            [sys.executable, "-m", "labelwright", "finish", "river"],
            capture_output=True,
            text=True,
            env=environment(everything.home),
            timeout=60,
        )
        assert by_hand.returncode == 3, by_hand.stderr  # it is with its labelers
        names = [run["name"] for run in prefect_api.post("/flow_runs/filter", {}, everything.api)]
        assert "finish river" in names, "another command did not use this Prefect server"

        def scheduled() -> bool:
            done = [run for run in everything.runs("sweep-campaigns") if run["state_name"] == "Completed"]
            return any(run["auto_scheduled"] for run in done)

        wait_until(scheduled, "a scheduled sweep")

        waiting = everything.start("run-campaign", {"campaign": campaign("lake", tmp_path)})
        everything.wait_for(waiting, "Running")
        wait_until(lambda: len(everything.children()) >= 4, "the run's own process")
        children = everything.children()
        assert everything.stop() == 0
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
        log = (everything.home / "logs" / "worker.log").read_text()
        assert "Execution was aborted by a termination signal" in log, "the run did not say that it was broken off"


@pytest.mark.slow
def test_what_dies_is_started_again_where_it_was_and_a_killed_up_takes_everything_with_it(tmp_path):
    with running(tmp_path / "home") as everything:

        def output() -> str:
            return (everything.home / "up.err").read_text()

        for number, name in enumerate(("worker", "prefect", "service")):
            (victim,) = [pid for pid in everything.children() if _is(pid, name)]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: output().count("runs again") > number, f"another {name}")  # noqa: B023
        run = everything.start("launch-campaign", {"campaign": campaign("river", tmp_path)})
        everything.wait_for(run, "Completed")
        assert output().count("runs again") >= 3
        children = everything.children()
        everything.process.kill()
        wait_until(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], "nothing left")


@pytest.mark.slow
def test_what_is_configured_elsewhere_is_used_and_not_started(tmp_path, prefect_server, service):
    variables = {
        "PREFECT_API_URL": f"{prefect_server.url}/api",
        "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": f"{service}/api/v1",
    }
    with running(tmp_path / "another home", **variables) as everything:
        assert everything.addresses == {"Prefect UI": prefect_server.url}
        (worker,) = everything.children()
        assert _is(worker, "worker")
        assert everything.stop(signal.SIGTERM) == 0
        assert not Path(f"/proc/{worker}").exists()
    assert requests.get(f"{prefect_server.url}/api/health", timeout=30).ok


def _is(pid: int, name: str) -> bool:
    message = {"worker": "worker\0start", "prefect": "server\0start", "service": "labelwright\0serve"}[name]
    try:
        return message in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def test_what_ends_again_and_again_ends_everything(tmp_path, capsys):
    starts = 0

    def start(_was: Server | None) -> Server:
        nonlocal starts
        starts += 1
        process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
        process.wait()
        return Server("http://127.0.0.1:1", process, tmp_path / "part.log")

    part = up.Part("the part", start)
    part.up()
    for _ in range(up.RESTARTS):
        part.restart_if_ended()
    with pytest.raises(NotStarted, match=r"the part ended 4 times .* code 7.*part\.log"):
        part.restart_if_ended()
    assert starts == 1 + up.RESTARTS


def test_a_part_that_lives_is_left_alone(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        part = up.Part("the part", lambda _was: Server("", process, tmp_path / "part.log"))
        part.up()
        part.restart_if_ended()
        assert part.exit_times == []
        assert process.pid in processes.below(os.getpid())
    finally:
        process.kill()
        process.wait()
