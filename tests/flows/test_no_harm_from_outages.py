"""Prefect's server restarts in the middle, the ledger's disk is full, Prefect's UI takes nothing: no harm is done."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from httpx import ConnectError
from sqlalchemy import event, update
from sqlalchemy.exc import OperationalError

from labelwright.domain import Annotation, Box, State
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import tables as t
from labelwright.local.servers import Server, free_port, start_prefect
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks import reporting
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep.restarts import due_work
from tests.platforms.proxy import FaultProxy, Request
from tests.platforms.shelf import ENTRY, STORES, Shelf, Store
from tests.prefect_database import prepare_database

from .conftest import make_photos, make_spec
from .crashing import FORKS, worker
from .test_no_harm_from_crashes import Course, _changes, course, go_on, photos, proxy, saved, undisturbed

__all__ = ["course", "go_on", "photos", "proxy", "saved", "undisturbed"]

BOAT = Annotation("boat", Box(1, 2, 11, 12))


@pytest.fixture
def store(home, prefect_server, monkeypatch) -> Store:
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{home}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "2")
    monkeypatch.setenv("LABELWRIGHT_RESTART_MINUTES", "[60]")
    forget_settings()
    return STORES.setdefault(f"memory:{home}", Store())


@pytest.fixture
def river(store, tmp_path):
    make_photos(tmp_path / "photos", 5, (40, 30))
    return make_spec("river", tmp_path / "photos", tmp_path / "datasets", platform="shelf")


def label_all(home, store: Store) -> None:
    (id,) = store.campaigns
    Shelf(f"memory:{home}", "good").label(id, {image: [BOAT] for image in store.campaigns[id].images})


def test_a_ledger_whose_disk_is_full_stops_the_launch_and_loses_nothing(home, store, river):
    river = river.model_copy(update={"instructions": "more than one page of the database " * 1000})
    engine = the_ledger().outbox._database.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def fill(connection, _record=None):
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine.dispose()
    event.listen(engine, "connect", fill)
    try:
        with pytest.raises(OperationalError, match="full"):
            launch_campaign(river)
    finally:
        event.remove(engine, "connect", fill)
        engine.dispose()
    launch_campaign(river)
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    assert len(store.campaigns) == 1
    label_all(home, store)
    assert sweep_campaigns() == {"river": "exported"}


def test_a_sweep_without_a_writable_ledger_is_made_up_for(home, store, river, monkeypatch):
    launch_campaign(river)
    label_all(home, store)

    def full(*_):
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(type(the_ledger().campaigns), "record_look", full)
        with pytest.raises(OperationalError, match="full"):
            sweep_campaigns()
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    assert sweep_campaigns() == {"river": "exported"}


def test_a_prefect_that_shows_nothing_holds_up_no_work(home, store, river, monkeypatch):
    def away(**artifact):
        raise ConnectError("no answer")

    for name in ("create_progress_artifact", "create_table_artifact", "create_markdown_artifact"):
        monkeypatch.setattr(reporting, name, away)
    launch_campaign(river)
    label_all(home, store)
    assert sweep_campaigns() == {"river": "exported"}


def test_a_clock_that_was_set_back_does_not_delay_a_sweep(home, store, river):
    launch_campaign(river)
    label_all(home, store)
    sweep_campaigns(go_on="no")
    (due,) = due_work()
    ledger = the_ledger()
    ledger.effects.once("river", "start finish", lambda: "here", look=lambda: None, item=due.item)
    assert due_work() == [], "an hour has to pass before the next try"
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with ledger.outbox._database.write() as connection:
        connection.execute(update(t.effects).where(t.effects.c.step == "start finish").values(intended_at=tomorrow))
    assert len(due_work()) == 1


class Restarts:
    """Prefect's server, killed in the middle of a request to the platform and started again a little later."""

    def __init__(self, home: Path, proxy: FaultProxy, number: int) -> None:
        self.home, self.proxy, self.number = home, proxy, number
        self.port = free_port(0)
        prepare_database(home)
        self.server = start_prefect(home, port=self.port)
        self.seen = 0
        self.restarter: threading.Thread | None = None
        self.is_up, self.may_end = threading.Event(), threading.Event()
        self.is_up.set()

    def strike(self, request: Request) -> None:
        if _changes(request):
            self.seen += 1
            if self.seen == self.number:
                os.killpg(self.server.process.pid, signal.SIGKILL)
                self.server.process.wait()
                self.is_up.clear()
                self.restarter = threading.Thread(target=self._start)
                self.restarter.start()

    def _start(self) -> None:
        time.sleep(2)
        try:
            self.server: Server = start_prefect(self.home, port=self.port)
        finally:
            self.is_up.set()
        self.may_end.wait()  # on Linux the server ends with the thread that started it

    def stop(self) -> None:
        self.may_end.set()
        if self.restarter is not None:
            self.restarter.join()
        self.server.stop()


class RestartCourse(Course):
    """A run that Prefect's restart breaks off is run again, as a worker or a sweep would."""

    restarts: Restarts

    def _attempt(self, flow, arguments):
        process = FORKS.Process(target=worker, args=(flow, arguments, self._environment(), None, [0, 0]))
        process.start()
        self.proxy.before_forward = self.restarts.strike
        process.join(240)
        self.proxy.before_forward = None
        assert self.restarts.is_up.wait(120), "Prefect's server did not start again"
        return process.exitcode == 0


@pytest.fixture
def restarts(tmp_path, proxy, request) -> Iterator[Restarts]:
    server = Restarts(tmp_path / "prefect-of-its-own", proxy, request.param)
    yield server
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "restarts",
    [pytest.param(4, marks=pytest.mark.exhaustive), 8, pytest.param(11, marks=pytest.mark.exhaustive)],
    indirect=True,
)
def test_a_restart_of_prefects_server_in_the_middle_does_no_harm(tmp_path, photos, proxy, undisturbed, restarts):
    assert restarts.number <= undisturbed.counts["request"]
    disturbed = RestartCourse(tmp_path / "home", photos, proxy, f"{restarts.server.url}/api")
    disturbed.restarts = restarts
    state = disturbed.run()
    assert restarts.restarter is not None, "Prefect was never restarted"
    for part, value in undisturbed.state.items():
        assert state[part] == value, part
