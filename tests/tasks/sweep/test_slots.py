"""The ledger is the queue of runs: a sweep starts as many as there are slots, and the end of a run starts the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import ConnectError
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_ENABLE_HTTP2, PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Completed

from labelwright.campaigns.queue import campaign_wait, finishing_lease, reasons_to_wait
from labelwright.campaigns.spec import validate_spec
from labelwright.domain import State, Work
from labelwright.flows import finish_campaigns as finishing_many
from labelwright.flows.deliver_campaign import deliver_campaign
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.finish_campaigns import finish_campaigns
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms import PlatformUnavailable
from labelwright.settings import forget_settings, settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep import overview, queue_runs
from labelwright.tasks.sweep.queue_runs import claimed_campaigns
from labelwright.tasks.sweep.restarts import due_work
from labelwright.tasks.sweep.slots import Starts, free_slots, start_next_runs, within_slots
from tests.prefect_integration.prefect_stand_in import PrefectStandIn, prefect_stand_in
from tests.tasks.without_prefect import run_as_functions

FINISH, MANY, LAUNCH = "finish-campaign", "finish-campaigns", "launch-campaign"


@pytest.fixture
def api(tmp_path, monkeypatch) -> Iterator[PrefectStandIn]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    run_as_functions(monkeypatch)
    with prefect_stand_in({}) as server:
        server.slots = {FINISH: 4, MANY: 4, LAUNCH: 2}
        changed = {PREFECT_API_URL: server.url, PREFECT_API_ENABLE_HTTP2: False, PREFECT_CLIENT_MAX_RETRIES: 0}
        with temporary_settings(changed):
            yield server
    forget_settings()


def add(title: str, state: State) -> None:
    ledger = the_ledger()
    document = {"title": title, "platform": "cvat", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
    ledger.campaigns.add(title, validate_spec(document, "test").model_dump(mode="json"))
    way = [State.UPLOADING, State.CREATED, State.ACTIVE, State.COMPLETED]
    for following in way[: way.index(state) + 1]:
        ledger.campaigns.move(title, following)


def started(api: PrefectStandIn, flow: str) -> list[str]:
    return [run["parameters"].get("title") or run["parameters"]["campaign"]["title"] for run in api.runs_of(flow)]


def export(title: str) -> None:
    the_ledger().campaigns.move(title, State.FINISHED)
    the_ledger().campaigns.move(title, State.EXPORTED)


def end(api: PrefectStandIn, run: dict[str, Any]) -> None:
    """The run has ended, and its hook is called."""
    api.ended.add(run["id"])
    start_next_runs(finish_campaign, flow_run(run), Completed())


def flow_run(run: dict[str, Any], deployment: str | None = "") -> FlowRun:
    deployment_id = None if deployment is None else UUID(run["deployment_id"])
    return FlowRun(id=UUID(run["id"]), flow_id=uuid4(), deployment_id=deployment_id)


def test_a_sweep_starts_as_many_runs_as_there_are_slots(api):
    for number in range(4):
        add(f"river {number:02}", State.COMPLETED)
        add(f"lake {number:02}", State.UPLOADING)
    sweep_campaigns(go_on="by runs")
    assert started(api, FINISH) == [f"river {number:02}" for number in range(4)]
    assert started(api, LAUNCH) == ["lake 00", "lake 01"]
    sweep_campaigns(go_on="by runs")
    assert len(api.runs) == 6, "all slots are taken"


def test_the_end_of_a_run_starts_the_next_until_every_campaign_is_exported(api):
    del api.slots[MANY]  # deployed by an earlier version
    titles = [f"river {number:02}" for number in range(11)]
    for title in titles:
        add(title, State.COMPLETED)
    sweep_campaigns(go_on="by runs")
    while active := [run for run in api.runs if run["id"] not in api.ended]:
        assert len(active) <= 4
        export(active[0]["parameters"]["title"])
        end(api, active[0])
    assert started(api, FINISH) == titles


def test_more_campaigns_than_slots_share_runs(api):
    for number in range(11):
        add(f"river {number:02}", State.COMPLETED)
    api.slots[FINISH] = 3
    report = sweep_campaigns(go_on="by runs")
    assert [run["flow"] for run in api.runs] == [MANY] * 3
    assert len(report) == 11
    sweep_campaigns(go_on="by runs")
    assert len(api.runs) == 3, "they hold the slots of finish-campaign"
    end(api, api.runs[0])  # after 15 minutes, with campaigns left
    assert [run["flow"] for run in api.runs] == [MANY] * 4


def test_no_single_run_starts_while_runs_share_the_queue(api):
    api.runs.append(
        {"id": str(uuid4()), "deployment_id": api.deployment_id(MANY), "flow": MANY, "idempotency_key": None}
    )
    add("river", State.COMPLETED)
    sweep_campaigns(go_on="by runs")
    assert [run["flow"] for run in api.runs] == [MANY] * 2


@pytest.fixture
def finished(monkeypatch) -> list[str]:
    """The campaigns that `finish_campaign` was called for, in order; it exports them, and fails for "broken"."""
    titles: list[str] = []

    def finish(title: str, export: bool) -> None:
        assert export
        titles.append(title)
        if title == "during an outage of Prefect":
            raise ConnectError("no server")
        if title == "broken":
            raise PlatformUnavailable("cvat", "read labels", message="503")
        moved = the_ledger().campaigns
        moved.move(title, State.FINISHED)
        moved.move(title, State.EXPORTED)

    monkeypatch.setattr(finishing_many, "finish_campaign", finish)
    return titles


def test_one_run_finishes_what_waits_the_oldest_first(api, finished):
    for title in ("lake", "broken", "river"):
        add(title, State.COMPLETED)
    add("uploading", State.UPLOADING)
    report = finish_campaigns()
    assert finished == ["lake", "broken", "river"]
    assert report == {"lake": "exported", "broken": "completed", "river": "exported"}
    assert "503" in report.failures["broken"]
    assert finish_campaigns() == {}, "a failed attempt is repeated after its restart wait"


def test_no_further_campaign_is_begun_while_prefect_does_not_respond(api, finished):
    for title in ("lake", "during an outage of Prefect", "river"):
        add(title, State.COMPLETED)
    assert set(finish_campaigns()) == {"lake", "during an outage of Prefect"}
    assert reasons()["river"] == "number 1 in the queue for a finish run"


def test_a_campaign_that_completes_meanwhile_is_taken_by_the_same_run(api, finished):
    add("lake", State.COMPLETED)
    claimed = claimed_campaigns()
    assert next(claimed) == "lake"
    add("river", State.COMPLETED)
    assert list(claimed) == ["river"]


def test_runs_that_share_the_queue_take_each_campaign_once(api):
    titles = [f"river {number:02}" for number in range(6)]
    for title in titles:
        add(title, State.COMPLETED)
    one, other = claimed_campaigns(), claimed_campaigns()
    taken = [next(one), next(other), next(other), next(one), *one, *other]
    assert sorted(taken) == titles


def test_a_campaign_that_another_run_exported_meanwhile_is_not_taken(api):
    add("lake", State.COMPLETED)
    add("river", State.COMPLETED)
    claimed = claimed_campaigns()
    assert next(claimed) == "lake"
    export("river")
    assert list(claimed) == []


def test_a_run_begins_no_campaign_after_its_time(api, monkeypatch):
    monkeypatch.setattr(queue_runs, "TAKES_FOR", 0)
    add("lake", State.COMPLETED)
    assert list(claimed_campaigns()) == []
    assert reasons()["lake"] == "number 1 in the queue for a finish run", "no attempt was recorded"


def test_a_run_that_cannot_be_started_does_not_end_the_sweep(api):
    for number in range(5):
        add(f"river {number}", State.COMPLETED)
    api.busy, api.status = {f"POST /deployments/{api.deployment_id(MANY)}/create_flow_run": 1}, 500
    sweep_campaigns(go_on="by runs")
    assert api.runs == []
    sweep_campaigns(go_on="by runs")
    assert [run["flow"] for run in api.runs] == [MANY] * 4


def test_a_run_that_was_started_by_a_person_takes_a_slot(api):
    add("river", State.COMPLETED)
    api.slots[FINISH] = 1
    api.runs.append({"id": str(uuid4()), "deployment_id": api.deployment_id(FINISH), "flow": FINISH, "parameters": {}})
    assert within_slots(due_work()) == Starts()
    counted, _ = api.counted
    assert set(counted["flow_runs"]["state"]["type"]["any_"]) == {"SCHEDULED", "PENDING", "RUNNING", "CANCELLING"}
    before = datetime.fromisoformat(counted["flow_runs"]["expected_start_time"]["before_"])
    assert timedelta(seconds=30) < before - datetime.now(UTC) < timedelta(minutes=5)


def test_a_run_of_a_command_starts_no_other_run(api):
    add("river", State.COMPLETED)
    run = {"id": str(uuid4()), "deployment_id": api.deployment_id(FINISH)}
    start_next_runs(finish_campaign, flow_run(run, None), Completed())
    assert api.runs == []


@dataclass
class Case:
    slots: int | None
    status: int | None
    free: int | None


@pytest.mark.parametrize("case", [Case(3, None, 3), Case(None, None, None), Case(3, 503, 0)])
def test_free_slots(api, case):
    api.slots[FINISH] = case.slots
    if case.status is not None:
        api.busy, api.status = {"*": 100}, case.status
    assert free_slots(Work.FINISH).free == case.free


def test_what_is_not_deployed_has_no_limit_and_is_reported_by_the_start(api):
    del api.slots[FINISH], api.slots[MANY]
    add("river", State.COMPLETED)
    report = sweep_campaigns(go_on="by runs")
    assert "river" in report.failures


def test_first_attempts_come_before_restarts(api, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_RESTART_MINUTES", "[0]")
    forget_settings()
    api.slots[FINISH] = 1
    add("broken", State.COMPLETED)
    sweep_campaigns(go_on="by runs")
    api.ended.add(api.runs[0]["id"])
    add("river", State.COMPLETED)
    assert list(claimed_campaigns()) == ["river", "broken"]


@pytest.mark.parametrize("flow", [launch_campaign, finish_campaign, finish_campaigns, deliver_campaign])
def test_the_flows_call_the_hook_however_they_end(flow):
    assert start_next_runs in flow.on_completion_hooks
    assert start_next_runs in flow.on_failure_hooks


def reasons() -> dict[str, str]:
    return reasons_to_wait(the_ledger(), the_ledger().campaigns.all(), settings().restart_minutes)


def test_status_and_overview_say_what_waits_and_why(api, monkeypatch):
    ledger = the_ledger()
    api.slots[FINISH] = 1
    add("started", State.COMPLETED)
    sweep_campaigns(go_on="by runs")
    for title in ("second", "third", "limited", "at work", "labeled"):
        add(title, State.ACTIVE if title == "labeled" else State.COMPLETED)
    add("uploading", State.UPLOADING)
    ledger.waits.put(campaign_wait("limited"), datetime.now(UTC) + timedelta(hours=1), "cvat: 429")
    rows: dict[str, str] = {}
    monkeypatch.setattr(
        overview, "update_table", lambda *table: rows.update({row["campaign"]: row["note"] for row in table[2]})
    )
    api.slots[LAUNCH] = 0
    with ledger.leases.held(finishing_lease("at work"), "a run"):
        sweep_campaigns(go_on="by runs")
        waiting = reasons()
    assert waiting.keys() == {"started", "second", "third", "limited", "uploading"}
    assert waiting["started"].startswith("its finish run was started at ")
    assert "it waits for a worker, or it failed and is repeated after " in waiting["started"]
    assert waiting["second"] == "number 1 in the queue for a finish run"
    assert waiting["third"] == "number 2 in the queue for a finish run"
    assert waiting["limited"].startswith("its finish run waits until ")
    assert waiting["limited"].endswith("UTC: cvat: 429")
    assert waiting["uploading"] == "number 1 in the queue for a launch run"
    assert {title: rows[title] for title in waiting} == waiting
    assert rows["at work"] == ""


def test_an_attempt_that_is_over_is_repeated_by_the_next_sweep(api, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_RESTART_MINUTES", "[0]")
    forget_settings()
    add("river", State.COMPLETED)
    sweep_campaigns(go_on="by runs")
    assert reasons()["river"].endswith("it failed and the next sweep repeats it (attempt 2)")
