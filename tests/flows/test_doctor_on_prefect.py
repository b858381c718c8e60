"""What the doctor says of a real Prefect server, before the deployments are registered and afterwards."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from labelwright.doctor.findings import Finding, Level
from labelwright.doctor.prefect import check_prefect
from labelwright.doctor.team import check_team
from labelwright.local.servers import free_port, start_prefect
from labelwright.prefect_integration.deployments import POOL, SWEEP, deploy
from labelwright.prefect_integration.team_settings import RECEIVER, WORKER, read_settings, record_settings
from labelwright.settings import Settings
from tests.prefect_database import prepare_database

from . import prefect_api

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[str]:
    """A server of its own, on which nothing is yet: the API's address."""
    prepare_database(tmp_path / "other")
    server = start_prefect(tmp_path / "other", port=free_port(0))
    api = f"{server.url}/api"
    monkeypatch.setenv("PREFECT_API_URL", api)
    with temporary_settings({PREFECT_API_URL: api, PREFECT_HOME: tmp_path / "client"}):
        yield api
    server.stop()


def of_prefect() -> list[Finding]:
    return list(check_prefect(Settings()))


def faults() -> list[Finding]:
    return [finding for finding in of_prefect() if finding.level is not Level.OK and "deployment" in finding.message]


def follow(advice: str) -> None:
    """Runs the advised command of Prefect's."""
    program, *arguments = shlex.split(advice.partition(", or")[0])
    assert program == "prefect"
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    completed = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120)
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_what_keeps_runs_from_starting_is_found_and_the_advice_helps(home, server):
    version, clock, pool = of_prefect()
    assert (version.level, clock.level, pool.level) == (Level.OK, Level.OK, Level.ERROR)
    assert pool.advice == "labelwright deploy"
    with get_client(sync_client=True) as client:
        for name in (POOL, "elsewhere"):
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        flow = client.create_flow_from_name("launch-campaign")
        client.create_deployment(flow_id=flow, name="launch-campaign", work_pool_name="elsewhere")
    moved, *missing = faults()
    assert "deployment launch-campaign/launch-campaign is on work pool 'elsewhere'" in moved.message
    assert {finding.message.split()[-1] for finding in missing} == {"missing"}
    assert {(finding.level, finding.advice) for finding in (moved, *missing)} == {(Level.ERROR, "labelwright deploy")}
    names = deploy()
    _, _, workers, *deployments = of_prefect()
    assert workers.level is Level.ERROR
    assert "0 workers" in workers.message
    assert workers.advice == "prefect worker start --pool labelwright"
    assert [finding.message for finding in deployments] == [f"deployment {name}" for name in names]
    assert {finding.level for finding in deployments} == {Level.OK}

    with get_client(sync_client=True) as client:
        sweep = client.read_deployment_by_name(SWEEP)
        (schedule,) = sweep.schedules
        client.update_deployment_schedule(sweep.id, schedule.id, active=False)
        client.pause_deployment(sweep.id)
    paused, off = faults()
    assert {finding.level for finding in (paused, off)} == {Level.ERROR}
    assert f"deployment {SWEEP} is paused" in paused.message
    assert f"a schedule of deployment {SWEEP} is switched off" in off.message
    follow(paused.advice)
    follow(off.advice)
    assert faults() == []
    queue = prefect_api.get(f"/work_pools/{POOL}/queues/default", server)["id"]
    prefect_api.ask("PATCH", f"/work_queues/{queue}", {"is_paused": True}, server).raise_for_status()
    waiting = faults()[0]
    assert waiting.message.startswith("work queue 'default' of deployment")
    assert waiting.advice == f"prefect work-queue resume default --pool {POOL}"
    prefect_api.ask("PATCH", f"/work_queues/{queue}", {"is_paused": False}, server).raise_for_status()


def test_settings_are_recorded_once_for_all_machines_that_have_them(home, prefect_server, monkeypatch):
    current = Settings()
    for machine in ("alpha", "gamma", "alpha"):
        monkeypatch.setattr(
            "labelwright.prefect_integration.team_settings.gethostname", lambda machine=machine: machine
        )
        assert record_settings(current, WORKER, "one ledger")
    assert record_settings(current, RECEIVER, "one ledger")
    changed = current.model_copy(update={"finish_by": "event"})
    assert record_settings(changed, WORKER, "one ledger")
    with get_client(sync_client=True) as client:
        reports = [item for item in read_settings(client, timedelta(hours=1)) if item.machine in ("alpha", "gamma")]
    found = {(item.part, item.machine): item.values for item in reports}
    assert found.keys() == {("receiver", "alpha"), ("worker", "alpha"), ("worker", "gamma")}
    assert found["worker", "alpha"]["LABELWRIGHT_FINISH_BY"] == "event", "what a machine reported last counts"
    assert found["worker", "gamma"]["LABELWRIGHT_FINISH_BY"] == "sweep"
    differing = list(check_team(Settings()))
    assert any(finding.message.startswith("LABELWRIGHT_FINISH_BY differs") for finding in differing)


def test_a_server_that_is_away_does_not_fail_the_recording():
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        assert not record_settings(Settings(), WORKER, "one ledger")
