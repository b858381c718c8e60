"""Weeks without a person: sweeps, events told once, runs that died, platforms that are away."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.states import Crashed, Running
from sqlalchemy import update

from labelwright.campaigns.queue import finishing_lease
from labelwright.domain import Annotation, Box, State
from labelwright.flows import predict_campaign as campaign_predictions
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.predict_campaign import predict_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import DROPS, CampaignBusy, Process, campaign_lease, drop_key
from labelwright.ledger import tables as t
from labelwright.ledger.leases import Leases
from labelwright.platforms import AccessDenied, PlatformUnavailable
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks.campaign.drops import start_drop, unanswered_drops
from labelwright.tasks.context import the_ledger
from labelwright.tasks.events import resource_of, send_events
from labelwright.tasks.export import datasets as exported_datasets
from labelwright.tasks.sweep import dead_runs
from labelwright.tasks.sweep import restarts as starting
from labelwright.tasks.sweep.dead_runs import free_dead_runs
from labelwright.tasks.sweep.restarts import due_work, record_start
from tests.platforms.shelf import ENTRY, STORES, Shelf, Store

from .conftest import make_photos, make_spec
from .prefect_api import every_run

pytestmark = pytest.mark.usefixtures("plain_flows")
BOAT = Annotation("boat", Box(1, 2, 11, 12))


@pytest.fixture
def shelves(home, monkeypatch) -> dict[str, Store]:
    """Two agencies on platforms of one kind."""
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_RESTART_MINUTES", "[0.0001]")
    for name in ("north", "south"):
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name.upper()}__PLATFORM", "shelf")
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name.upper()}__URL", f"memory:{home}/{name}")
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{name.upper()}__KEY", "good")
    forget_settings()
    return {name: STORES.setdefault(f"memory:{home}/{name}", Store()) for name in ("north", "south")}


@pytest.fixture
def spec_of(shelves, tmp_path):
    make_photos(tmp_path / "photos", 3, (40, 30))

    def make(title: str, connection: str = "north", **more):
        document = {"platform": "shelf", "connection": connection, **more}
        return make_spec(title, tmp_path / "photos", tmp_path / "datasets", **document)

    return make


def label(home, store: Store, title: str, count: int, connection: str = "north") -> None:
    (id,) = [id for id, kept in store.campaigns.items() if kept.order.title == title]
    images = list(store.campaigns[id].images)[:count]
    Shelf(f"memory:{home}/{connection}", "good").label(id, {key: [BOAT] for key in images})


def event_kinds(title: str) -> list[str]:
    return [event.kind for event in the_ledger().outbox.of(title)]


def age(title: str, hours: float) -> None:
    """Let everything that is known of its progress have happened earlier."""
    database = the_ledger().outbox._database
    with database.write() as connection:
        for row in connection.execute(t.progress.select().where(t.progress.c.campaign == title)).all():
            older = row.at.replace(tzinfo=UTC) - timedelta(hours=hours)
            connection.execute(update(t.progress).where(t.progress.c.id == row.id).values(at=older))


def prefect_has(title: str, kind: str | None = None, at_least: int = 0) -> list[str]:
    """The names of the events that Prefect's server holds of a campaign; waits until there are so many."""
    resource = EventResourceFilter(id=[resource_of(title)["prefect.resource.id"]])
    since = EventOccurredFilter(since=datetime.now(UTC) - timedelta(days=1))
    names = EventNameFilter(name=[f"labelwright.campaign.{kind}"]) if kind else EventNameFilter(prefix=["labelwright."])
    deadline = time.monotonic() + 240
    while True:
        with get_client(sync_client=True) as client:
            page = client.read_events(filter=EventFilter(resource=resource, occurred=since, event=names), limit=50)
        events = sorted((event.occurred, event.event) for event in page.events)
        if len(events) >= at_least or time.monotonic() > deadline:
            return [name.removeprefix("labelwright.campaign.") for _, name in events]
        time.sleep(0.2)


# Events


@pytest.mark.usefixtures("prefect_server")
def test_the_whole_life_of_a_campaign_is_one_feed_in_prefect(home, shelves, spec_of):
    title = f"feed {home.parent.name}"
    launch_campaign(spec_of(title))
    for count in (1, 1, 3):
        label(home, shelves["north"], title, count)
        sweep_campaigns(go_on="no")
    sweep_campaigns()
    kinds = ["uploading", "created", "activated", "progressed", "progressed", "completed", "finished", "exported"]
    assert event_kinds(title) == kinds
    assert prefect_has(title, at_least=len(kinds)) == kinds


@pytest.mark.usefixtures("prefect_server")
def test_an_event_sent_by_a_run_that_died_is_stored_once(home, shelves, spec_of, monkeypatch):
    title = f"died {home.parent.name}"
    ledger = the_ledger()
    ledger.campaigns.add(title, spec_of(title).model_dump(mode="json"))
    ledger.outbox.put(title, "stalled", "monday", {"since": "monday"})

    def die(ids):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(type(ledger.outbox), "mark_sent", lambda self, ids: die(ids))
        with pytest.raises(KeyboardInterrupt):
            send_events()
    assert len(ledger.outbox.waiting()) == 1
    assert send_events() == 1
    assert ledger.outbox.waiting() == []
    time.sleep(1)
    assert prefect_has(title, at_least=1) == ["stalled"]


@pytest.mark.usefixtures("prefect_server")
def test_events_wait_while_prefect_is_away(home, shelves, spec_of, monkeypatch):
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    title = f"away {home.parent.name}"
    ledger = the_ledger()
    ledger.campaigns.add(title, spec_of(title).model_dump(mode="json"))
    ledger.outbox.put(title, "stalled", "monday", {})
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert send_events() == 0
    assert send_events() == 1


@pytest.mark.usefixtures("prefect_server")
def test_an_event_that_prefect_will_never_take_holds_up_no_other(home, shelves, spec_of):
    title = f"poison {home.parent.name}"
    ledger = the_ledger()
    ledger.campaigns.add(title, spec_of(title).model_dump(mode="json"))
    ledger.outbox.put(title, "stalled", "monday", {})
    with ledger.outbox._database.write() as connection:
        row = {"id": "no UUID", "campaign": title, "kind": "broken", "key": "k", "payload": {}}
        connection.execute(t.events.insert().values(**row, occurred_at=datetime.now(UTC)))
    ledger.outbox.put(title, "overdue", "tuesday", {})
    assert send_events() == 3
    assert ledger.outbox.waiting() == []
    assert prefect_has(title, at_least=2) == ["stalled", "overdue"]


def test_a_standstill_and_a_missed_deadline_are_told_once_each(home, shelves, spec_of):
    title = "slow"
    soon = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
    launch_campaign(spec_of(title, deadline=soon))
    sweep_campaigns()
    assert "stalled" not in event_kinds(title)
    age(title, 8)
    sweep_campaigns()
    sweep_campaigns()
    assert event_kinds(title).count("stalled") == 1
    label(home, shelves["north"], title, 1)
    sweep_campaigns()
    age(title, 100)
    record = the_ledger().campaigns.get(title)
    past = datetime.now(UTC) - timedelta(hours=1)
    the_ledger().campaigns.record_spec(title, {**record.spec, "deadline": past.isoformat()})
    sweep_campaigns()
    sweep_campaigns()
    assert event_kinds(title).count("stalled") == 2, "it went on in between"
    assert event_kinds(title).count("overdue") == 1
    last = next(event for event in the_ledger().outbox.of(title) if event.kind == "overdue")
    assert (last.payload["done"], last.payload["total"]) == (1, 3)


def test_a_campaign_that_is_given_back_is_told_and_finished_a_second_time(home, shelves, spec_of):
    launch_campaign(spec_of("twice"))
    store = shelves["north"]
    label(home, store, "twice", 3)
    sweep_campaigns(go_on="no")
    store.campaigns["c1"].labels.popitem()
    assert sweep_campaigns() == {"twice": "reopened"}
    label(home, store, "twice", 3)
    assert sweep_campaigns() == {"twice": "exported"}
    assert [kind for kind in event_kinds("twice") if kind in ("completed", "reopened", "exported")] == [
        "completed",
        "reopened",
        "completed",
        "exported",
    ]


# Platforms that are away


class Away(Shelf):
    """A server that does not answer."""

    looks = 0

    def read_campaign(self, campaign):
        type(self).looks += 1
        raise PlatformUnavailable("shelf", "read the campaign", message="no answer")


@pytest.mark.usefixtures("prefect_server")
def test_an_outage_of_one_platform_delays_only_its_own_campaigns(home, shelves, spec_of, monkeypatch):
    for number in range(5):
        launch_campaign(spec_of(f"north {number}", "north"))
    launch_campaign(spec_of("south", "south"))
    label(home, shelves["south"], "south", 3, "south")
    real = Shelf.read_campaign

    def read(self, campaign):
        if self._url.endswith("north"):
            return Away.read_campaign(Away(self._url, "good"), campaign)
        return real(self, campaign)

    monkeypatch.setattr(Shelf, "read_campaign", read)
    assert sweep_campaigns() == {"south": "exported"}
    assert the_ledger().campaigns.get("north 1").state is State.ACTIVE
    monkeypatch.setattr(Shelf, "read_campaign", real)
    assert len(sweep_campaigns()) == 5


@pytest.mark.usefixtures("prefect_server")
def test_an_unavailable_platform_is_not_called_for_each_campaign(home, shelves, spec_of, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_LOOKS_AT_ONCE", "1")
    forget_settings()
    ledger = the_ledger()
    for number in range(12):
        title = f"north {number:02}"
        ledger.campaigns.add(title, spec_of(title).model_dump(mode="json"))
        ledger.campaigns.record_remote_campaign(title, "c1")
        for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
            ledger.campaigns.move(title, state)
    Away.looks = 0
    monkeypatch.setattr(Shelf, "read_campaign", Away.read_campaign)
    monkeypatch.setattr(Shelf, "looks", 0, raising=False)
    assert sweep_campaigns() == {}
    assert Shelf.looks == 3


def test_a_refused_credential_fails_the_sweep_at_its_end(home, shelves, spec_of, monkeypatch):
    launch_campaign(spec_of("north", "north"))
    launch_campaign(spec_of("south", "south"))
    label(home, shelves["south"], "south", 3, "south")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__NORTH__KEY", "bad")
    forget_settings()
    with pytest.raises(AccessDenied, match="'north' among them"):
        sweep_campaigns()
    assert the_ledger().campaigns.get("south").state is State.EXPORTED
    assert the_ledger().campaigns.get("north").state is State.ACTIVE


def test_a_campaign_that_is_gone_from_its_platform_asks_for_attention(home, shelves, spec_of):
    launch_campaign(spec_of("gone"))
    shelves["north"].campaigns.clear()
    sweep_campaigns()
    record = the_ledger().campaigns.get("gone")
    assert record.state is State.NEEDS_ATTENTION
    assert "labelwright cancel 'gone'" in (record.reason or "")


# One at a time


def test_the_second_run_says_who_is_at_work_and_does_nothing(home, shelves, spec_of):
    spec = spec_of("busy")
    other_leases = Leases(the_ledger().outbox._database, process=Process("another-machine", 4711, "99"))
    with other_leases.held(campaign_lease("busy"), "the run 'brave-fox'"):
        with pytest.raises(CampaignBusy, match="brave-fox"):
            launch_campaign(spec)
        assert the_ledger().campaigns.find("busy") is None
    launch_campaign(spec)
    label(home, shelves["north"], "busy", 3)
    sweep_campaigns(go_on="no")
    with other_leases.held(campaign_lease("busy"), "the run 'brave-fox'"):
        assert sweep_campaigns() == {"busy": "completed"}
        with pytest.raises(CampaignBusy):
            finish_campaign("busy")
        assert the_ledger().campaigns.get("busy").state is State.COMPLETED
    assert sweep_campaigns() == {"busy": "exported"}


@pytest.mark.usefixtures("prefect_server")
def test_two_sweeps_do_not_overlap(home, shelves):
    other_leases = Leases(the_ledger().outbox._database, process=Process("another-machine", 4711, "99"))
    with other_leases.held("sweep", "the run 'slow-snail'"), pytest.raises(CampaignBusy, match="slow-snail"):
        sweep_campaigns()


# Runs that died


def dead_process() -> Process:
    ask = "from labelwright.ledger.leases import *; p = this_process(); print(p.machine, p.pid, p.start, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    machine, pid, start = ended.stdout.splitlines()
    return Process(machine, int(pid), start)


@pytest.fixture
def running_for_ever(prefect_server) -> str:
    """A flow run that Prefect believes to be running."""

    @flow(name="launch-campaign")
    def pretend() -> None: ...

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(pretend, state=Running())
    return str(run.id)


def state_of(run: str):
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(run)).state


def test_a_run_whose_worker_died_is_marked_and_its_work_resumed(home, shelves, spec_of, running_for_ever):
    ledger, spec = the_ledger(), spec_of("zombie")
    ledger.campaigns.add("zombie", spec.model_dump(mode="json"))
    Leases(ledger.outbox._database, process=dead_process()).take(campaign_lease("zombie"), "it", running_for_ever)
    assert sweep_campaigns() == {"zombie": "active"}
    assert state_of(running_for_ever).is_crashed()
    assert "is dead" in state_of(running_for_ever).message
    assert ledger.leases.all() == []


def test_who_takes_over_from_a_dead_run_marks_it(home, shelves, spec_of, running_for_ever):
    Leases(the_ledger().outbox._database, process=dead_process()).take(campaign_lease("zombie"), "it", running_for_ever)
    launch_campaign(spec_of("zombie"))
    assert state_of(running_for_ever).is_crashed()


def test_a_run_that_lives_elsewhere_is_left_alone(home, shelves, spec_of, running_for_ever):
    other_leases = Leases(the_ledger().outbox._database, process=Process("another-machine", 4711, "99"))
    with other_leases.held(campaign_lease("elsewhere"), "it", running_for_ever):
        sweep_campaigns()
    assert state_of(running_for_ever).is_running()


def test_a_launch_that_broke_off_is_taken_up_by_the_sweep(home, shelves, spec_of):
    store, spec = shelves["north"], spec_of("broken off")

    def break_off(batch: int, name: str) -> None:
        raise PlatformUnavailable("shelf", "send images", message="the night")

    store.take = break_off
    with pytest.raises(PlatformUnavailable):
        launch_campaign(spec)
    sweep_campaigns()
    assert the_ledger().campaigns.get("broken off").state is State.UPLOADING
    store.take = lambda batch, name: None
    time.sleep(0.05)
    assert sweep_campaigns() == {"broken off": "active"}


def test_work_that_never_comes_to_its_end_asks_for_attention(home, shelves, spec_of, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_RESTARTS", "2")
    forget_settings()
    store = shelves["north"]

    def break_off(batch: int, name: str) -> None:
        raise PlatformUnavailable("shelf", "send images", message="the night")

    store.take = break_off
    with pytest.raises(PlatformUnavailable):
        launch_campaign(spec_of("hopeless"))
    for _ in range(3):
        sweep_campaigns()
        time.sleep(0.05)
    record = the_ledger().campaigns.get("hopeless")
    assert record.state is State.NEEDS_ATTENTION
    assert "labelwright resume 'hopeless'" in (record.reason or "")


def test_only_the_run_that_never_started_is_marked_as_crashed(home, shelves, deployed, running_for_ever, monkeypatch):
    """Prefect answers page by page, and people's own runs are not ours to judge."""
    monkeypatch.setattr(dead_runs, "_PAGE", 2)
    monkeypatch.setenv("LABELWRIGHT_DEAD_RUN_MINUTES", "0.001")
    forget_settings()
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("export-campaign/export-campaign")
        runs = []
        for _ in range(5):
            runs.append(str(client.create_flow_run_from_deployment(deployment.id, parameters={"title": "x"}).id))
            client.set_flow_run_state(UUID(runs[-1]), Running(), force=True)
    time.sleep(0.1)
    leases = Leases(the_ledger().outbox._database, process=Process("another-machine", 4711, "99"))
    with leases.held(campaign_lease("x"), "it", runs[2]):
        marked = free_dead_runs.fn()
    assert set(runs) - set(marked) == {runs[2]}
    assert running_for_ever not in marked
    assert [state_of(run).is_crashed() for run in runs] == [True, True, False, True, True]
    assert free_dead_runs.fn() == [runs[2]], "and again it finds only what died since"


@pytest.mark.usefixtures("prefect_server")
def test_a_finishing_run_holds_a_lease_of_its_own_while_it_exports(home, shelves, spec_of, monkeypatch):
    """Else it would be taken for one that never began, and be marked as dead in the middle of its work."""
    observed = []

    def look(title):
        run = FlowRunContext.get().flow_run
        observed.append((str(run.id), {lease.name: lease.run for lease in the_ledger().leases.all()}))
        assert not starting._in_hands(the_ledger(), "another")
        assert starting._in_hands(the_ledger(), title)

    launch_campaign(spec_of("long"))
    label(home, shelves["north"], "long", 3)
    sweep_campaigns(go_on="no")
    monkeypatch.setattr(exported_datasets, "draw_labels", look)
    finish_campaign("long", export=True)
    ((exporting, leases),) = observed
    assert leases[campaign_lease("long")] == exporting
    assert leases[finishing_lease("long")] not in (None, exporting)
    assert the_ledger().leases.all() == []


@pytest.mark.usefixtures("prefect_server")
def test_a_flow_without_a_lock_holds_a_run_lease(home, monkeypatch):
    leases = []

    def put(title, coco, model_version):
        run = str(FlowRunContext.get().flow_run.id)
        leases.append([lease.run for lease in the_ledger().leases.all()] == [run])
        return 7

    monkeypatch.setattr(campaign_predictions, "put_predictions", put)
    assert predict_campaign("river", "predictions.json") == 7
    assert predict_campaign.parameters.required == ["title", "coco"]
    assert leases == [True]
    assert the_ledger().leases.all() == []


@pytest.mark.usefixtures("prefect_server")
def test_while_prefect_is_away_dead_runs_and_earlier_tries_hold_up_nothing(home, shelves, spec_of):
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    launch_campaign(spec_of("asked"))
    label(home, shelves["north"], "asked", 3)
    sweep_campaigns(go_on="no")
    (due,) = due_work()
    record_start(due, str(uuid4()))
    time.sleep(0.05)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        assert free_dead_runs.fn() == []
        assert due_work() == [], "nobody knows whether the earlier try has ended"
    assert due_work() == [], "that run was deleted: a restart wait begins"
    time.sleep(0.05)
    assert [item.title for item in due_work()] == ["asked"]


# Runs of their own


def runs_of(title: str) -> list[FlowRun]:
    """All runs with that title as a parameter."""
    return [FlowRun.model_validate(run) for run in every_run() if (run["parameters"] or {}).get("title") == title]


@pytest.fixture
def free_slots(deployed) -> None:
    """No run of another test holds a slot of finish-campaign: there is no worker that would end it."""
    with get_client(sync_client=True) as client:
        finishing = client.read_deployment_by_name("finish-campaign/finish-campaign").id
        of_finishing = DeploymentFilter(id=DeploymentFilterId(any_=[finishing]))
        while runs := client.read_flow_runs(deployment_filter=of_finishing, limit=200):
            for run in runs:
                client.delete_flow_run(run.id)


def test_a_finishing_run_is_started_once_and_again_when_it_died(home, shelves, spec_of, free_slots):
    title = f"by runs {home.parent.name}"
    launch_campaign(spec_of(title))
    label(home, shelves["north"], title, 3)
    for _ in range(3):
        sweep_campaigns(go_on="by runs")
    (run,) = [run for run in runs_of(title) if run.deployment_id]
    assert run.parameters == {"title": title, "export": True}
    assert run.state.is_scheduled()
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Crashed(), force=True)
    sweep_campaigns(go_on="by runs")
    assert len([run for run in runs_of(title) if run.deployment_id]) == 2


def test_with_a_trigger_the_sweep_only_makes_up_for_a_lost_event(home, shelves, spec_of, free_slots, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_FINISH_BY", "event")
    title = f"by event {home.parent.name}"
    launch_campaign(spec_of(title))
    label(home, shelves["north"], title, 3)
    sweep_campaigns(go_on="by runs")
    assert not [run for run in runs_of(title) if run.deployment_id]
    monkeypatch.setenv("LABELWRIGHT_EVENT_MINUTES", "0.0001")
    forget_settings()
    time.sleep(0.05)
    sweep_campaigns(go_on="by runs")
    assert len([run for run in runs_of(title) if run.deployment_id]) == 1


def test_a_drop_whose_event_was_lost_is_launched_by_the_sweep_and_once(home, shelves, deployed, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_EVENT_MINUTES", "0.0001")
    forget_settings()
    blob = f"{home.parent.name}/campaign.yaml"
    inbox = the_ledger().inbox
    inbox.put(DROPS, drop_key(blob, "1"), "labelwright.drop.arrived", {}, {"blob": blob, "etag": "1"})
    sweep_campaigns(go_on="by runs")
    assert launches_of(blob) == 0, "it was not told on yet"
    inbox.mark_sent(letter.id for letter in inbox.waiting())
    time.sleep(0.05)
    sweep_campaigns(go_on="by runs")
    assert launches_of(blob) == 1
    (lost_drop,) = unanswered_drops()
    for _ in range(2):
        start_drop.fn(*lost_drop)
    assert launches_of(blob) == 2, "each try is one run"
    inbox.record_launch(blob, "1", "river")
    sweep_campaigns(go_on="by runs")
    assert launches_of(blob) == 2


def launches_of(blob: str) -> int:
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("launch-from-drop/launch-from-drop")
        this_deployment = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
        runs = client.read_flow_runs(deployment_filter=this_deployment, sort=FlowRunSort.EXPECTED_START_TIME_DESC)
    return sum((run.parameters or {}).get("blob") == blob for run in runs)
