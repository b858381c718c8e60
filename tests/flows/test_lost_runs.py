"""Runs that died before they took up their work, as a launch from the form whose worker died while starting it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.states import Cancelled, Crashed, Failed, Pending, Running

from labelwright.domain import Work
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import Process
from labelwright.ledger.leases import Leases
from labelwright.network.concurrency import bounded_map
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep import lost_runs
from labelwright.tasks.sweep.dead_runs import free_dead_runs
from labelwright.tasks.sweep.lost_runs import restart_lost_runs
from labelwright.tasks.sweep.restarts import DueWork, record_start

from .conftest import make_photos, make_spec
from .prefect_api import every_run, get, post

pytestmark = pytest.mark.usefixtures("deployed", "home")


@pytest.fixture(autouse=True)
def only_runs_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the session keeps those of others."""
    begun, real = {run["id"] for run in every_run()}, lost_runs.read_runs

    def read_runs(*arguments: Any) -> list[Any]:
        return [run for run in real(*arguments) if str(run.id) not in begun]

    monkeypatch.setattr(lost_runs, "read_runs", read_runs)
    monkeypatch.setenv("LABELWRIGHT_DEAD_RUN_MINUTES", "0.0001")
    forget_settings()


@pytest.fixture
def form(tmp_path: Path) -> dict[str, Any]:
    """What the form of launch-campaign sends."""
    make_photos(tmp_path / "photos", 2)
    return {"campaign": make_spec("form", tmp_path / "photos", tmp_path / "datasets").model_dump(mode="json")}


def submit(parameters: dict[str, Any], name: str = "launch-campaign") -> str:
    """As the UI does it."""
    deployment = get(f"/deployments/name/{name}/{name}")["id"]
    return str(post(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters, "tags": ["mine"]})["id"])


def set_states(run: str, *states: Any) -> None:
    with get_client(sync_client=True) as client:
        for state in states:
            client.set_flow_run_state(UUID(run), state, force=True)


def begin(run: str) -> None:
    with the_ledger().leases.held(f"flow run {run}", "it", run):
        the_ledger().runs.record_begun()


@pytest.mark.parametrize("states", [[Crashed], [Pending], [Pending, Running]])
def test_a_launch_that_died_before_the_ledger_heard_of_it_is_started_again_once(form, states):
    run = submit(form)
    set_states(run, *(state() for state in states))
    time.sleep(0.1)
    free_dead_runs.fn()
    assert get(f"/flow_runs/{run}")["state"]["type"] == "CRASHED"
    both = bounded_map(lambda _: restart_lost_runs.fn(), range(2), threads=2)
    started = [follower for sweep in both for follower in sweep]
    assert len(set(started)) == 1, "two sweeps at once"
    follower = get(f"/flow_runs/{started[0]}")
    assert (follower["parameters"], follower["state"]["type"]) == (form, "SCHEDULED")
    assert "mine" in follower["tags"]
    assert restart_lost_runs.fn() == []
    set_states(follower["id"], Crashed())
    (third,) = restart_lost_runs.fn()
    begin(third)
    set_states(third, Crashed())
    assert restart_lost_runs.fn() == [], "the ledger has heard of it, and sweeps go on with the campaign"


def test_a_campaign_that_was_launched_since_by_another_file_is_not_launched_by_the_older_one(form):
    title = form["campaign"]["title"]
    the_ledger().campaigns.add(title, form["campaign"])
    corrected, form["campaign"]["labeler"] = form["campaign"]["labeler"], "wrong@example.com"
    lost = submit(form)
    set_states(lost, Crashed())
    (follower,) = restart_lost_runs.fn()
    set_states(follower, Crashed())
    the_ledger().campaigns.begin_again(title, {**form["campaign"], "labeler": corrected}, keep_images=True)
    assert restart_lost_runs.fn() == []


def test_what_began_failed_or_was_started_by_a_sweep_is_left_alone(form, monkeypatch):
    begun, failed, by_sweep, finish, finish_many = (
        submit(form),
        submit(form),
        submit(form),
        submit({"title": "form"}, "finish-campaign"),
        submit({}, "finish-campaigns"),
    )
    begin(begun)
    the_ledger().campaigns.add("form", form["campaign"])
    record_start(DueWork("form", Work.LAUNCH, 0, 1), by_sweep)
    for run in (begun, by_sweep, finish, finish_many):
        set_states(run, Running(), Crashed())
    set_states(failed, Running(), Failed(message="the campaign file names no folder"))
    assert restart_lost_runs.fn() == []
    lost = submit(form)
    set_states(lost, Crashed())
    monkeypatch.setattr(lost_runs, "MAX_ATTEMPTS", 1)
    assert restart_lost_runs.fn() == [], "after so many attempts a person has to look"


def test_a_sweep_that_finds_another_one_at_work_ends_as_skipped():
    """By the lease in the ledger, whatever Prefect believes of its slots."""
    run = submit({"go_on": "by runs"}, "sweep-campaigns")
    leases = Leases(the_ledger().leases._database, process=Process("another-machine", 4711, "99"))
    with leases.held("sweep", "the sweep of another machine"), get_client(sync_client=True) as client:
        run_flow(sweep_campaigns, flow_run=client.read_flow_run(UUID(run)), return_type="state")
    state = get(f"/flow_runs/{run}")["state"]
    assert state["type"] == "CANCELLED"
    assert "the sweep of another machine is at work" in state["message"]
    set_states(run, Cancelled())


def test_dead_sweeps_of_another_machine_keep_no_sweep_waiting():
    """Their slots stay taken in Prefect, where nobody has noticed yet that they are dead."""
    dead = submit({"go_on": "by runs"}, "sweep-campaigns")
    with get_client(sync_client=True) as client:
        for state in (Pending(), Running()):
            assert client.set_flow_run_state(UUID(dead), state).status.value == "ACCEPT"
        leases = Leases(the_ledger().leases._database, 0.01, Process("another-machine", 4711, "99"))
        leases.take("sweep", "the sweep of another machine", dead)
        following = submit({"go_on": "by runs"}, "sweep-campaigns")
        assert client.set_flow_run_state(UUID(following), Pending()).status.value == "ACCEPT"
        time.sleep(0.05)
        run_flow(sweep_campaigns, flow_run=client.read_flow_run(UUID(following)), return_type="state")
    assert get(f"/flow_runs/{following}")["state"]["type"] == "COMPLETED"
    assert get(f"/flow_runs/{dead}")["state"]["type"] == "CRASHED"
