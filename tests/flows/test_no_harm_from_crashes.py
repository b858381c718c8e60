"""A worker that dies at any moment does no harm: run again, the campaign ends as if nothing had happened."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from labelwright.campaigns.labeler_keys import LabelerKeys
from labelwright.ledger import Ledger
from labelwright.service import ServiceConfig, objects
from labelwright.service.run import serving
from tests.platforms.proxy import FaultProxy, Request

from . import partner, prefect_api
from .conftest import make_photos, make_spec
from .crashing import FORKS, Counter, Moment, tree, worker

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
    by_prefect: bool = True
    """Whether Prefect runs the flows; else they are called as plain functions, in a tenth of the time."""
    labeled: int | None = None
    """How many images are labeled; then those are delivered while the campaign goes on. None: all of them."""

    def run(self) -> dict[str, Any]:
        """Go through all flows; a killed one is run again. Answers the final state."""
        self.launch()
        return self.end()

    def launch(self) -> None:
        """Until the labels are there."""
        self.counts = dict.fromkeys(("request", "rename", "commit"), 0)
        with self._service() as url:
            self._do("launch", (make_spec(TITLE, self.photos, self.home / "datasets").model_dump(mode="json"),))
            self._label(url)

    def end(self) -> dict[str, Any]:
        """From the labels to the datasets. Answers the final state."""
        with self._service() as url:
            if self.labeled is not None:
                self._do("deliver", (TITLE, True))
            elif self.by_sweep:
                self._do("sweep", ())
            else:
                self._do("finish", (TITLE,))
                self._do("export", (TITLE,))
            return self._state(url)

    @contextmanager
    def _service(self) -> Iterator[str]:
        with pytest.MonkeyPatch.context() as patch, serving(ServiceConfig(data_dir=self.home / "service")) as url:
            # Datasets say when an image was labeled: the same moment in every course.
            patch.setattr(objects, "now", lambda: "2026-01-02T03:04:05.000006Z")
            self.proxy.target = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
            yield url

    def _environment(self) -> dict[str, str]:
        admin = json.loads((self.home / "service" / "admin.json").read_text())
        return {
            "LABELWRIGHT_HOME": str(self.home),
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": f"{self.proxy.url}/api/v1",
            # By themselves they go to the service alone, which proves who it is; a proxy cannot.
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY": admin["key"],
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET": admin["secret"],
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
        counts = FORKS.Array("i", 2)
        process = FORKS.Process(
            target=worker, args=(flow, arguments, self._environment(), inner, counts, self.by_prefect)
        )
        process.start()
        requests_seen = Counter(
            "request",
            self.moment if not self.died else None,
            lambda: os.kill(process.pid or 0, signal.SIGKILL),
            shift["request"],
        )
        self.proxy.before_forward = lambda request: requests_seen.before() if _changes(request) else None
        self.proxy.after_answer = lambda request, _: requests_seen.after() if _changes(request) else None
        process.join(300)
        self.proxy.before_forward = self.proxy.after_answer = None
        shift["request"] = requests_seen.count
        shift["rename"] += counts[0]
        shift["commit"] += counts[1]
        if process.exitcode == -signal.SIGKILL:
            assert not self.died, "killed twice"
            self.died = True
            return False
        assert process.exitcode == 0, f"{flow} ended with {process.exitcode}, moment: {self.moment}"
        return True

    def _label(self, url: str) -> None:
        access = LabelerKeys(self.home).find("campaign_api", "partner@example.com")
        assert access is not None
        assert access.secret is not None, "the labeler cannot work without the secret"
        campaigns = self._get(url, "/campaigns")["campaigns"]
        partner.label(f"{self.proxy.url}/api/v1", campaigns[0]["campaign_id"], access, self.labeled)

    def _get(self, url: str, path: str) -> Any:
        admin = json.loads((self.home / "service" / "admin.json").read_text())
        headers = {"Authentication-Key": admin["key"], "Authentication-Secret": admin["secret"]}
        response = requests.get(f"{url}/api/v1{path}", headers=headers, timeout=30)
        response.raise_for_status()
        return response.json()

    def events(self) -> list[tuple[str, str]]:
        """Id and kind of every event that the ledger says is told."""
        ledger = Ledger(f"sqlite:///{self.home / 'ledger.db'}")
        assert ledger.outbox.waiting() == [], "events were left behind"
        assert ledger.leases.all() == [], "a lease was left behind"
        events = [(event.id, event.kind) for event in ledger.outbox.of(TITLE)]
        ledger.close()
        return events

    def _state(self, url: str) -> dict[str, Any]:
        """What the platform holds and what was delivered, without the moments at which it happened."""
        campaigns = self._get(url, "/campaigns")["campaigns"]
        objects = self._get(url, f"/campaigns/{campaigns[0]['campaign_id']}/objects")["images"]
        files = tree(self.home / "datasets")
        return {
            "image sets": [_plain(row) for row in self._get(url, "/image_sets")["image_sets"]],
            "images": [_plain(row) for row in self._get(url, "/images")["images"]],
            "campaigns": [_plain(row) for row in campaigns],
            "labels": [_plain(row) for row in objects],
            "events": [kind for _, kind in self.events()],
            "files": {name: data for name, data in files.items() if not name.endswith(TIMED)},
            "receipts": {name: _plain(json.loads(data)) for name, data in files.items() if name.endswith(TIMED)},
        }


TIMED = ("receipt.json", "latest.json")
"""Files of datasets that hold times."""


def _changes(request: Request) -> bool:
    return request.method in CHANGING


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Without times and one-time secrets, which differ from run to run."""
    volatile = ("date", "time", "dropbox_url", "access_token", "registered", "labels_csv_url", "serial")
    return {
        key: _plain(value) if isinstance(value, dict) else value
        for key, value in record.items()
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


@dataclass(frozen=True)
class Saved:
    """A campaign that nobody disturbed, kept as it was when its labels were there."""

    home: Path
    """Every course has this home: paths in ledger and platform are the same ones."""
    kept: Path
    """What the home held then."""
    launched: dict[str, int]
    """The counts then."""


@pytest.fixture(scope="module")
def course(photos, proxy, prefect_server, tmp_path_factory) -> Callable[..., Course]:
    """A course in an empty home. There is one at a time."""
    home = tmp_path_factory.mktemp("crashes") / "home"

    def make(moment: Moment | None = None, **options: bool) -> Course:
        shutil.rmtree(home, ignore_errors=True)
        return Course(home, photos, proxy, f"{prefect_server.url}/api", moment, **options)

    return make


@pytest.fixture(scope="module")
def saved(course) -> Saved:
    first_course = course()
    first_course.launch()
    copied_home = first_course.home.with_name("kept")
    shutil.copytree(first_course.home, copied_home)
    return Saved(first_course.home, copied_home, dict(first_course.counts))


@pytest.fixture(scope="module")
def go_on(course, saved) -> Callable[..., Course]:
    """A course of a campaign whose labels are there, and which nobody disturbed so far."""

    def make(moment: Moment | None = None, **options: bool) -> Course:
        attempt = course(moment, **options)
        shutil.copytree(saved.kept, saved.home)
        attempt.counts = dict(saved.launched)
        return attempt

    return make


@dataclass(frozen=True)
class Wanted:
    """How a campaign ends that nobody disturbed."""

    state: dict[str, Any]
    counts: dict[str, int]
    """How often each kind of thing happened."""


def end_of(course: Course) -> Wanted:
    state = course.end()
    assert course.counts is not None
    return Wanted(state, course.counts)


@pytest.fixture(scope="module")
def undisturbed(go_on) -> Wanted:
    expected = end_of(go_on())
    assert expected.counts["request"] >= IMAGES + 6
    return expected


@pytest.fixture(scope="module")
def swept(go_on) -> Wanted:
    """It was finished and exported by a sweep."""
    return end_of(go_on(by_sweep=True))


@pytest.fixture(scope="module")
def swept_plainly(go_on) -> dict[str, int]:
    """The counts of a sweep as a plain function: runs that Prefect knows are recorded in the ledger, which is more."""
    return end_of(go_on(by_sweep=True, by_prefect=False)).counts


@pytest.fixture(scope="module")
def check(course, go_on, saved) -> Callable[..., set[str]]:
    """Kills at the moment, and compares how it ends. Answers the ids of the events that the ledger says are told:

    Prefect keeps them a few seconds later.
    """

    def check(moment: Moment, expected: Wanted, **options: bool) -> set[str]:
        if moment.number > saved.launched[moment.kind]:
            outcome = go_on(moment, **options)
            state = outcome.end()
        else:
            outcome = course(moment, **options)
            state = outcome.run()
        assert outcome.died, f"nobody was killed {moment}"
        for part, value in expected.state.items():
            assert state[part] == value, f"{part} differ after a kill {moment}"
        return {id for id, _ in outcome.events()}

    return check


def test_predictions_survive_a_kill_around_every_request(course, tmp_path):
    """Run again, the predictions of every image are there once, and the campaign is as it was."""
    attempt = course(by_prefect=False)
    attempt.counts = dict.fromkeys(("request", "rename", "commit"), 0)
    with attempt._service() as url:
        spec = make_spec(TITLE, attempt.photos, attempt.home / "datasets", options={"page_size": 2})
        attempt._do("launch", (spec.model_dump(mode="json"),))
        campaign = attempt._get(url, "/campaigns")["campaigns"][0]
        path = f"/campaigns/{campaign['campaign_id']}"
        (image_set,) = attempt._get(url, "/image_sets")["image_sets"]
        images = attempt._get(url, f"/image_sets/{image_set['imageset_id']}/images")["images"]
        arguments = (TITLE, str(coco_of(images, campaign["labels"][0], tmp_path)), "m-1")

        def predictions() -> dict[int, Any]:
            listed = attempt._get(url, f"{path}/predictions?per_page=100")["images"]
            return {image["image_id"]: image["objects"] for image in listed}

        before = attempt.counts["request"]
        attempt._do("predict", arguments)
        count = attempt.counts["request"] - before
        expected = predictions()
        assert count >= 2, "one request is no batches"
        assert len(expected) == IMAGES
        assert {(one["confidence"], one["model_version"]) for of in expected.values() for one in of} == {(0.5, "m-1")}
        for number, when in itertools.product(range(1, count + 1), ("before", "after")):
            admin = json.loads((attempt.home / "service" / "admin.json").read_text())
            headers = {"Authentication-Key": admin["key"], "Authentication-Secret": admin["secret"]}
            nothing = [{"image_id": image, "objects": []} for image in expected]
            requests.put(f"{url}/api/v1{path}/predictions", json=nothing, headers=headers).raise_for_status()
            attempt.moment = Moment("request", attempt.counts["request"] + number, when)
            attempt.died = False
            attempt._do("predict", arguments)
            assert attempt.died, attempt.moment
            assert predictions() == expected, f"predictions differ after a kill {attempt.moment}"
        assert attempt._get(url, path)["progress"] == {"done": 0, "total": IMAGES}


def coco_of(images: list[dict[str, Any]], label: str, folder: Path) -> Path:
    """A COCO file with a box of the label on each image."""
    sizes = [image["file"]["dimensions"] for image in images]
    document = {
        "images": [
            {"id": number, "file_name": image["file_name"], **size}
            for number, (image, size) in enumerate(zip(images, sizes, strict=True), 1)
        ],
        "categories": [{"id": 1, "name": label}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
            for number in range(1, len(images) + 1)
        ],
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def check_events(prefect: str, event_ids: Collection[str]) -> None:
    """Every event is in Prefect, and once."""
    all_told = sorted(event_ids)
    for first in range(0, len(all_told), 50):
        batch = all_told[first : first + 50]
        assert sorted(held_by_prefect(prefect, batch)) == sorted(batch), "events are missing or doubled"


def held_by_prefect(api: str, ids: list[str], seconds: float = 240) -> list[str]:
    """Those of the ids that Prefect's server holds, as often as it holds them; waits a little for them to arrive."""
    deadline = time.monotonic() + seconds
    while True:
        response = prefect_api.post("/events/filter", {"filter": {"id": {"id": ids}}, "limit": 50}, api)
        event_ids = [event["id"] for event in response["events"]]
        if len(event_ids) >= len(ids) or time.monotonic() > deadline:
            return event_ids
        time.sleep(0.1)


def test_a_campaign_survives_a_kill_around_its_creation_and_its_export(check, prefect_server, undisturbed):
    """Three moments of many; the slow test below goes through all of them."""
    moments = [
        Moment("request", IMAGES + 3, "after"),
        Moment("request", undisturbed.counts["request"], "after"),
        Moment("rename", undisturbed.counts["rename"], "before"),
    ]
    event_ids = set().union(*(check(moment, undisturbed) for moment in moments))
    check_events(f"{prefect_server.url}/api", event_ids)


def by_prefect(number: int) -> bool:
    """Prefect runs the flows at every eighth moment; at the others they are plain functions."""
    return number % 8 == 1


# A kill after a rename or a commit of the ledger is one before the next thing that happens, which has a moment of its
# own. After a request it is another one: the platform has acted, and the worker does not know.
REQUESTS = [("request", "before", 0, 1), ("request", "after", 0, 1)]
RENAMES = [("rename", "before", 0, 1)]
COMMITS = [("commit", "before", share, 3) for share in range(3)]
"""Kind, when, and which moments: the first, the fourth, ... of 3 shares. None of the tests is long."""


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "when", "share", "shares"), REQUESTS + RENAMES + COMMITS)
def test_a_launch_survives_a_kill_before_and_after_every_effect(
    kind, when, share, shares, check, prefect_server, saved, undisturbed
):
    """Until the labels are there; what follows is finished and exported as if nothing had happened."""
    event_ids: set[str] = set()
    for number in range(1 + share, saved.launched[kind] + 1, shares):
        event_ids |= check(Moment(kind, number, when), undisturbed, by_prefect=by_prefect(number))
    check_events(f"{prefect_server.url}/api", event_ids)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "when", "share", "shares"), REQUESTS + RENAMES + COMMITS)
def test_a_sweep_that_dies_at_any_effect_is_made_up_for_by_the_next_one(
    kind, when, share, shares, check, prefect_server, saved, swept, swept_plainly
):
    """Finishing, exporting and sending events: a sweep runs the same flows as the commands."""
    first_number = saved.launched[kind] + 1 + share
    assert first_number <= swept.counts[kind]
    event_ids: set[str] = set()
    for number in range(first_number, swept.counts[kind] + 1, shares):
        prefect_runs = by_prefect(number) or number > swept_plainly[kind]
        event_ids |= check(Moment(kind, number, when), swept, by_sweep=True, by_prefect=prefect_runs)
    check_events(f"{prefect_server.url}/api", event_ids)


@pytest.fixture(scope="module")
def partly_labeled(course) -> tuple[Saved, Wanted, dict[str, int]]:
    """A campaign of which three images are labeled, and how it stands after a delivery that nobody disturbed.

    Last the counts of one as a plain function.
    """
    first = course()
    first.labeled = 3
    first.launch()
    kept = Saved(first.home, first.home.with_name("partly-labeled"), dict(first.counts))
    shutil.copytree(first.home, kept.kept)
    expected = end_of(first)
    plain = course(by_prefect=False)
    plain.labeled = 3
    shutil.copytree(kept.kept, plain.home)
    plain.counts = dict(kept.launched)
    return kept, expected, end_of(plain).counts


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "share", "shares"), [("rename", 0, 3), ("commit", 0, 2), ("commit", 1, 2)])
def test_a_partial_delivery_that_dies_at_an_effect_is_made_up_for_by_the_next(
    kind, share, shares, course, partly_labeled
):
    """Every commit of the ledger, and some of the files, which exports write the same way. Labelers go on."""
    saved, expected, plainly = partly_labeled
    assert expected.state["campaigns"][0]["status"] == "active"
    first_number = saved.launched[kind] + 1 + share
    assert first_number <= expected.counts[kind]
    for number in range(first_number, expected.counts[kind] + 1, shares):
        prefect_runs = by_prefect(number) or number > plainly[kind]
        outcome = course(Moment(kind, number, "before"), by_prefect=prefect_runs)
        outcome.labeled = 3
        shutil.copytree(saved.kept, outcome.home)
        outcome.counts = dict(saved.launched)
        state = outcome.end()
        assert outcome.died, f"nobody was killed before {kind} {number}"
        for part, value in expected.state.items():
            assert state[part] == value, f"{part} differ after a kill before {kind} {number}"
