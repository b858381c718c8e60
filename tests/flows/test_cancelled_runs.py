"""Runs that a person cancels or deletes in Prefect: the campaign is paused or waits, and no sweep starts another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Cancelling, Running, Scheduled

from labelwright.campaigns.interventions import retry_blocked
from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain import Annotation, Box, State
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import CampaignRecord, campaign_lease
from labelwright.ledger.leases import Leases
from labelwright.platforms import PlatformUnavailable
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep.cancelled_runs import pause_cancelled
from labelwright.tasks.sweep.dead_runs import free_dead_runs
from labelwright.tasks.sweep.restarts import due_work, record_start
from tests.platforms.shelf import ENTRY, STORES, Shelf, Store

from .conftest import make_photos, make_spec
from .test_unattended import dead_process, state_of

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{home}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    return STORES.setdefault(f"memory:{home}", Store())


@pytest.fixture
def spec(store: Store, tmp_path: Path) -> CampaignSpec:
    """Its title is its own, because Prefect's server keeps the runs of other tests."""
    make_photos(tmp_path / "photos", 3, (40, 30))
    return make_spec(f"of {tmp_path.name}", tmp_path / "photos", tmp_path / "datasets", platform="shelf")


def run_of(spec: CampaignSpec, kind: str = "launch-campaign", state=Running) -> str:
    """A run in Prefect that no process executes."""

    @flow(name=kind)
    def pretend() -> None: ...

    parameters = {"campaign": spec.model_dump(mode="json")}
    if kind == "finish-campaign":
        parameters = {"title": spec.title}
    with get_client(sync_client=True) as client:
        return str(client.create_flow_run(pretend, parameters=parameters, name=f"{kind} it", state=state()).id)


def set_state(run: str, state) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(run), state, force=True)


def record(spec: CampaignSpec) -> CampaignRecord:
    return the_ledger().campaigns.get(spec.title)


def label_all(home: Path, store: Store, spec: CampaignSpec) -> None:
    (id,) = [id for id, kept in store.campaigns.items() if kept.order.title == spec.title]
    boat = Annotation("boat", Box(1, 2, 11, 12))
    Shelf(f"memory:{home}", "good").label(id, {key: [boat] for key in store.campaigns[id].images})


def test_cancelled_launch_pauses_until_it_is_resumed(home: Path, store: Store, spec: CampaignSpec) -> None:
    ledger = the_ledger()
    ledger.campaigns.add(spec.title, spec.model_dump(mode="json"))
    run = run_of(spec)
    # Its worker is gone: the run stays in "cancelling", and its lease is nobody's.
    Leases(ledger.outbox._database, process=dead_process()).take(campaign_lease(spec.title), "it", run)
    set_state(run, Cancelling(message="cancelled by anna"))
    report = sweep_campaigns()
    assert spec.title not in report
    assert record(spec).state is State.PAUSED
    assert f"on {datetime.now(UTC):%Y-%m-%d} at" in (record(spec).reason or "")
    assert "'launch-campaign it' was cancelled in Prefect" in (record(spec).reason or "")
    assert "cancelled by anna" in (record(spec).reason or "")
    assert state_of(run).is_cancelling() or state_of(run).is_cancelled()
    sweep_campaigns()
    assert record(spec).state is State.PAUSED
    assert store.campaigns == {}
    retry_blocked(spec.title)
    assert sweep_campaigns() == {spec.title: "active"}
    assert [event.kind for event in ledger.outbox.of(spec.title)][:2] == ["paused", "uploading"]


def test_cancelled_run_that_is_still_at_work_pauses_nothing_yet(store: Store, spec: CampaignSpec) -> None:
    ledger = the_ledger()
    ledger.campaigns.add(spec.title, spec.model_dump(mode="json"))
    set_state(run_of(spec), Cancelling())
    with ledger.leases.held(campaign_lease(spec.title), "it"):
        assert pause_cancelled.fn() == []
    assert pause_cancelled.fn() == [spec.title]


def test_labelers_go_on_when_the_waiting_run_is_cancelled(home: Path, store: Store, spec: CampaignSpec) -> None:
    run = run_of(spec, "run-campaign")
    launch_campaign(spec)
    set_state(run, Cancelled())
    assert sweep_campaigns() == {spec.title: "active"}
    label_all(home, store, spec)
    assert sweep_campaigns() == {spec.title: "exported"}


def test_cancelled_finish_pauses_a_labeled_campaign(home: Path, store: Store, spec: CampaignSpec) -> None:
    launch_campaign(spec)
    label_all(home, store, spec)
    sweep_campaigns(go_on="no")
    (due,) = due_work()
    run = run_of(spec, "finish-campaign", Scheduled)
    record_start(due, run)
    set_state(run, Cancelled())  # before a worker took it
    sweep_campaigns()
    assert record(spec).state is State.PAUSED
    assert due_work() == []
    retry_blocked(spec.title)
    assert record(spec).state is State.COMPLETED
    assert sweep_campaigns() == {spec.title: "exported"}


def test_deleted_run_is_followed_by_a_restart_wait(home: Path, store: Store, spec: CampaignSpec, monkeypatch) -> None:
    ledger = the_ledger()
    ledger.campaigns.add(spec.title, spec.model_dump(mode="json"))
    run = run_of(spec)
    Leases(ledger.outbox._database, process=dead_process()).take(campaign_lease(spec.title), "it", run)
    with get_client(sync_client=True) as client:
        client.delete_flow_run(UUID(run))
    free_dead_runs.fn()
    assert due_work() == []
    wait = ledger.waits.all()[f"campaign {spec.title}"]
    assert "deleted in Prefect" in wait.reason
    assert wait.until - datetime.now(UTC) <= timedelta(minutes=1)
    ledger.waits.forget(wait.name)
    assert [due.title for due in due_work()] == [spec.title]


def test_sweep_tells_what_could_not_be_checked(store: Store, spec: CampaignSpec, monkeypatch) -> None:
    launch_campaign(spec)

    def read(self: Shelf, campaign: str) -> None:
        raise PlatformUnavailable("shelf", "read it", status=503)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    report = sweep_campaigns()
    assert report == {}
    assert "503" in report.failures[spec.title]
    assert report.refused == frozenset()
