"""A worker that dies at any moment does no harm: run again, the campaign ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from labelwright.labelers import LabelerKeys
from labelwright.ledger import Ledger
from labelwright.local import Server, free_port, start_service
from tests.platforms.proxy import FaultProxy, Request

from . import partner
from .conftest import make_photos, make_spec
from .crashing import FORKS, Counter, Moment, start_worker, tree

TITLE = "crash-test"
IMAGES = 5
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass
class Course:
    """One campaign from beginning to end, with at most one murder."""

    home: Path
    photos: Path
    proxy: FaultProxy
    prefect: str
    moment: Moment | None = None
    died: bool = False
    counts: dict[str, int] | None = None
    by_sweep: bool = False
    """Whether a sweep finishes and exports the campaign, as it does unattended."""
    launched: dict[str, int] | None = None
    """The counts when the launch was over."""
    wanted: dict[str, Any] | None = None
    """The final state of a campaign that nobody disturbed."""

    def run(self) -> dict[str, Any]:
        """Go through all flows; a killed one is run again. Answers the final state."""
        service = start_service(self.home, port=free_port(0))
        self.counts = {"request": 0, "rename": 0, "commit": 0}
        self.proxy.target = ("127.0.0.1", int(service.url.rsplit(":", 1)[1]))
        try:
            self._do("launch", (make_spec(TITLE, self.photos, self.home / "datasets").model_dump(mode="json"),))
            self.launched = dict(self.counts)
            self._label(service)
            if self.by_sweep:
                self._do("sweep", ())
            else:
                self._do("finish", (TITLE,))
                self._do("export", (TITLE,))
            return self._state(service)
        finally:
            service.stop()

    def _environment(self) -> dict[str, str]:
        return {
            "LABELWRIGHT_HOME": str(self.home),
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": f"{self.proxy.url}/api/v1",
            "LABELWRIGHT_BATCH_SIZE": "3",
            "LABELWRIGHT_LABELS_PAGE_SIZE": "2",
            "LABELWRIGHT_UPLOAD_THREADS": "1",
            "LABELWRIGHT_RESTART_MINUTES": "[0.0001]",
            "PREFECT_API_URL": self.prefect,
        }

    def _do(self, flow: str, arguments: tuple[Any, ...]) -> None:
        if not self._attempt(flow, arguments):
            assert self._attempt(flow, arguments), f"{flow} failed when it was run again after a kill {self.moment}"

    def _attempt(self, flow: str, arguments: tuple[Any, ...]) -> bool:
        """Whether it came to its end. It may die once, at the moment; anything else fails the test."""
        assert self.counts is not None
        shift = self.counts
        inner = None
        if self.moment and not self.died and self.moment.kind != "request":
            inner = Moment(self.moment.kind, self.moment.number - shift[self.moment.kind], self.moment.when)
        with FORKS.Manager() as manager:
            counts = manager.dict()
            process = start_worker(flow, arguments, self._environment(), inner, counts)
            requests_seen = Counter(
                "request",
                self.moment if not self.died else None,
                lambda: os.kill(process.pid or 0, signal.SIGKILL),
                shift["request"],
            )
            self.proxy.before_forward = lambda request: requests_seen.before() if _changes(request) else None
            self.proxy.after_answer = lambda request, _: requests_seen.after() if _changes(request) else None
            process.join(120)
            self.proxy.before_forward = self.proxy.after_answer = None
            told = dict(counts)
        shift["request"] = requests_seen.count
        for kind in ("rename", "commit"):
            shift[kind] += told.get(kind, 0)
        if process.exitcode == -signal.SIGKILL:
            assert not self.died, "killed twice"
            self.died = True
            return False
        assert process.exitcode == 0, f"{flow} ended with {process.exitcode}, moment: {self.moment}"
        return True

    def _label(self, service: Server) -> None:
        access = LabelerKeys(self.home).find("campaign_api", "partner@example.com")
        assert access is not None
        assert access.secret is not None, "the labeler cannot work without the secret"
        campaigns = self._get(service, "/campaigns")["campaigns"]
        partner.label(f"{self.proxy.url}/api/v1", campaigns[0]["campaign_id"], access)

    def _get(self, service: Server, path: str) -> Any:
        admin = json.loads((self.home / "service" / "admin.json").read_text())
        headers = {"Authentication-Key": admin["key"], "Authentication-Secret": admin["secret"]}
        answer = requests.get(f"{service.url}/api/v1{path}", headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def events(self) -> list[tuple[str, str]]:
        """Id and kind of every event that the ledger says is told."""
        ledger = Ledger(f"sqlite:///{self.home / 'ledger.db'}")
        assert ledger.outbox.waiting() == [], "events were left behind"
        assert ledger.leases.all() == [], "a lease was left behind"
        told = [(event.id, event.kind) for event in ledger.outbox.of(TITLE)]
        ledger.close()
        return told

    def _state(self, service: Server) -> dict[str, Any]:
        """What the platform holds and what was delivered, without the moments at which it happened."""
        campaigns = self._get(service, "/campaigns")["campaigns"]
        objects = self._get(service, f"/campaigns/{campaigns[0]['campaign_id']}/objects")["images"]
        files = tree(self.home / "datasets")
        return {
            "image sets": [_plain(one) for one in self._get(service, "/image_sets")["image_sets"]],
            "images": [_plain(one) for one in self._get(service, "/images")["images"]],
            "campaigns": [_plain(one) for one in campaigns],
            "labels": [_plain(one) for one in objects],
            "events": [kind for _, kind in self.events()],
            "files": {name: data for name, data in files.items() if not name.endswith("receipt.json")},
            "receipts": {
                name: _plain(json.loads(data)) for name, data in files.items() if name.endswith("receipt.json")
            },
        }


def _changes(request: Request) -> bool:
    return request.method in CHANGING


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Without times and one-time secrets, which differ from run to run."""
    volatile = ("date", "time", "dropbox_url", "access_token", "registered", "labels_csv_url")
    return {
        key: _plain(value) if isinstance(value, dict) else value
        for key, value in told.items()
        if not key.startswith(volatile) and not key.endswith(("_at", "_url"))
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder, IMAGES)
    return folder


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(("127.0.0.1", 1)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, photos, proxy, prefect_server) -> tuple[dict[str, Any], dict[str, int]]:
    """The final state of a campaign that nobody disturbed, and how often each kind of thing happened."""
    course = Course(tmp_path_factory.mktemp("undisturbed"), photos, proxy, f"{prefect_server.url}/api")
    state = course.run()
    assert course.counts is not None
    assert course.counts["request"] >= IMAGES + 6
    return state, course.counts


@pytest.fixture(scope="module")
def swept(tmp_path_factory, photos, proxy, prefect_server) -> Course:
    """A campaign that nobody disturbed, finished by a sweep."""
    home = tmp_path_factory.mktemp("swept")
    course = Course(home, photos, proxy, f"{prefect_server.url}/api", by_sweep=True)
    course.wanted = course.run()
    return course


def check(
    moment: Moment,
    home: Path,
    photos: Path,
    proxy: FaultProxy,
    prefect: str,
    wanted: dict[str, Any],
    *,
    by_sweep: bool = False,
) -> list[str]:
    """Answers the ids of the events that the ledger says are told: Prefect keeps them a few seconds later."""
    course = Course(home, photos, proxy, prefect, moment, by_sweep=by_sweep)
    state = course.run()
    assert course.died, f"nobody was killed {moment}"
    for part, value in wanted.items():
        assert state[part] == value, f"{part} differ after a kill {moment}"
    told = [id for id, _ in course.events()]
    shutil.rmtree(home)
    return told


def check_events(prefect: str, told: list[str]) -> None:
    """Every event is in Prefect, and once."""
    for first in range(0, len(told), 50):
        some = told[first : first + 50]
        assert sorted(held_by_prefect(prefect, some)) == sorted(some), "events are missing or doubled"


def held_by_prefect(api: str, ids: list[str], seconds: float = 20) -> list[str]:
    """Those of the ids that Prefect's server holds, as often as it holds them; waits a little for them to arrive."""
    ends = time.monotonic() + seconds
    while True:
        answer = requests.post(f"{api}/events/filter", json={"filter": {"id": {"id": ids}}, "limit": 50}, timeout=10)
        answer.raise_for_status()
        found = [event["id"] for event in answer.json()["events"]]
        if len(found) >= len(ids) or time.monotonic() > ends:
            return found
        time.sleep(0.1)


def test_a_campaign_survives_a_kill_around_its_creation_and_its_export(
    tmp_path, photos, proxy, prefect_server, undisturbed
):
    """Three moments of many; the slow test below goes through all of them."""
    wanted, counts = undisturbed
    moments = [
        Moment("request", IMAGES + 3, "after"),
        Moment("request", counts["request"], "after"),
        Moment("rename", counts["rename"], "before"),
    ]
    api, told = f"{prefect_server.url}/api", []
    for moment in moments:
        told += check(moment, tmp_path / str(moment), photos, proxy, api, wanted)
    check_events(api, told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "whens"),
    # A kill after a rename or a commit of the ledger is one before the next thing that happens, which has a moment of
    # its own. After a request it is another one: the platform has acted, and the worker does not know.
    [("request", ("before", "after")), ("rename", ("before",)), ("commit", ("before",))],
)
def test_a_campaign_survives_a_kill_before_and_after_every_effect(
    kind, whens, tmp_path, photos, proxy, prefect_server, undisturbed
):
    wanted, counts = undisturbed
    api, told = f"{prefect_server.url}/api", []
    for number in range(1, counts[kind] + 1):
        for when in whens:
            moment = Moment(kind, number, when)
            told += check(moment, tmp_path / str(moment), photos, proxy, api, wanted)
    check_events(api, told)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "whens"), [("request", ("before", "after")), ("commit", ("before",))])
def test_a_sweep_that_dies_at_any_effect_is_made_up_for_by_the_next_one(
    kind, whens, tmp_path, photos, proxy, prefect_server, swept
):
    """Finishing, exporting and telling; the launch has its own test. Every event is in Prefect, and once."""
    assert swept.launched[kind] < swept.counts[kind]
    api, told = f"{prefect_server.url}/api", []
    for number in range(swept.launched[kind] + 1, swept.counts[kind] + 1):
        for when in whens:
            moment = Moment(kind, number, when)
            place = tmp_path / str(moment)
            told += check(moment, place, photos, proxy, api, swept.wanted, by_sweep=True)
    check_events(api, told)
