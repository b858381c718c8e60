"""Quiet sweeps and old runs on a real Prefect server: what they leave in its database, and what is removed."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest

from labelwright.campaigns.artifact_keys import artifact_key
from labelwright.campaigns.queue import start_step
from labelwright.domain import State, Work
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import EffectItem
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep import retention
from labelwright.tasks.sweep.retention import QUIET, remove_old_runs

from .conftest import make_spec
from .prefect_api import ask, create, post

pytestmark = pytest.mark.usefixtures("prefect_server", "home")


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Whatever has ended is old."""
    monkeypatch.setenv("LABELWRIGHT_RETENTION_DAYS", "0.0000001")
    forget_settings()


def run(flow: str, state: str = "COMPLETED", **fields: Any) -> str:
    created = create("/flow_runs/", {"flow_id": flow_id(flow), "state": {"type": state}, **fields})
    return str(created["id"])


def flow_id(name: str) -> str:
    return str(post("/flows/", {"name": name})["id"])


def exists(run_id: str) -> bool:
    return ask("GET", f"/flow_runs/{run_id}").status_code == 200


def artifact(run_id: str, key: str) -> str:
    return str(create("/artifacts/", {"key": key, "type": "markdown", "data": "x", "flow_run_id": run_id})["id"])


def add_campaign(title: str, tmp_path, *states: State) -> None:
    ledger = the_ledger()
    ledger.campaigns.add(title, make_spec(title, tmp_path, tmp_path / "out").model_dump(mode="json"))
    for state in (State.UPLOADING, *states):
        ledger.campaigns.move(title, state)


def record_start(title: str, run_id: str) -> None:
    effects, step = the_ledger().effects, start_step(Work.LAUNCH)
    effects.intend(title, step, EffectItem(generation=1, attempt=1))
    effects.settle(title, step, run_id, EffectItem(generation=1, attempt=1))


def test_ended_runs_of_our_flows_are_removed_with_logs_and_artifacts(at_once):
    key, ours = f"page-{uuid4().hex}", run("launch-campaign")
    theirs, running, scheduled = (
        run("somebody-elses"),
        run("finish-campaign", "RUNNING"),
        run("sweep-campaigns", "SCHEDULED"),
    )
    first, second = artifact(ours, key), artifact(ours, key)
    log = {"name": "x", "level": 20, "message": "m", "timestamp": "2026-11-01T00:00:00Z", "flow_run_id": ours}
    create("/logs/", [log])
    time.sleep(0.05)
    assert remove_old_runs() >= 1
    assert not exists(ours)
    assert all(exists(run_id) for run_id in (theirs, running, scheduled))
    assert ask("GET", f"/artifacts/{first}").status_code == 404
    assert ask("GET", f"/artifacts/{second}").status_code == 200, "a campaign's page stays"
    logs = {"logs": {"flow_run_id": {"any_": [ours]}}}
    ends = time.monotonic() + 240
    while post("/logs/filter", logs) and time.monotonic() < ends:
        time.sleep(0.2)  # Prefect's server removes them after the run
    assert post("/logs/filter", logs) == []


def test_runs_that_a_campaign_still_refers_to_are_kept(at_once, tmp_path):
    add_campaign("going on", tmp_path)
    add_campaign("done", tmp_path, State.CANCELLED)
    going_on, done, holding = run("launch-campaign"), run("launch-campaign"), run("run-campaign")
    record_start("going on", going_on)
    record_start("done", done)
    time.sleep(0.05)
    with the_ledger().leases.held("waiting", "the run", holding):
        remove_old_runs()
    assert [exists(run_id) for run_id in (going_on, done, holding)] == [True, False, True]


def test_quiet_and_skipped_sweeps_are_removed_before_others(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_QUIET_SWEEP_HOURS", "0.0000001")
    forget_settings()
    quiet, skipped = run("sweep-campaigns", tags=[QUIET]), run("sweep-campaigns", "CANCELLED")
    busy, launch = run("sweep-campaigns"), run("launch-campaign", tags=[QUIET])
    time.sleep(0.05)
    assert remove_old_runs() >= 2
    assert [exists(run_id) for run_id in (quiet, skipped, busy, launch)] == [False, False, True, True]


def test_a_sweep_removes_a_bounded_number_of_runs(at_once, monkeypatch):
    remove_old_runs()
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "MOST_RUNS", 3)
    for _ in range(6):
        run("export-campaign")
    time.sleep(0.05)
    assert [remove_old_runs() for _ in range(2)] == [4, 2]


def test_days_of_zero_keep_everything(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_RETENTION_DAYS", "0")
    monkeypatch.setenv("LABELWRIGHT_QUIET_SWEEP_HOURS", "0.0000001")
    forget_settings()
    quiet = run("sweep-campaigns", tags=[QUIET])
    assert remove_old_runs() == 0
    assert exists(quiet)


def test_a_quiet_sweep_records_no_task_runs_and_no_second_overview():
    key = artifact_key("all", "campaigns")
    sweep_campaigns("no")
    versions = post("/artifacts/count", {"artifacts": {"key": {"any_": [key]}}})
    sweep_campaigns("no")
    runs = post("/flow_runs/filter", {"flows": {"name": {"any_": ["sweep-campaigns"]}}, "sort": "START_TIME_DESC"})
    newest = next(entry for entry in runs if QUIET in entry["tags"])
    assert post("/task_runs/filter", {"flow_runs": {"id": {"any_": [newest["id"]]}}}) == []
    assert post("/artifacts/count", {"artifacts": {"key": {"any_": [key]}}}) == versions
