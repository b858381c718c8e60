"""Long listings are read in parallel and completely, however the server treats time bounds; rate limiting."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.scale.client import ScaleClient
from labelwright.platforms.scale.listing import TaskListing
from labelwright.platforms.scale.pace import Pace, pace_for
from labelwright.platforms.scale.time_ranges import Window, split_time_range

from .server import ScaleServer

START = datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)
COUNT = 730


@pytest.fixture(scope="module")
def server() -> Iterator[ScaleServer]:
    """A batch of 730 tasks: most of them made within two minutes, the rest a week later, many in one second."""
    with ScaleServer() as server:
        moments = [START + timedelta(milliseconds=237 * number) for number in range(500)]
        moments += [START + timedelta(days=7, milliseconds=number) for number in range(COUNT - 500)]
        clock = iter([START, START, *moments])
        server.live.clock = lambda: next(clock)
        server.live.create_project({"name": "p", "type": "imageannotation", "params": {}})
        server.live.create_batch({"name": "long", "project": "p"})
        for number in range(COUNT):
            body = {"attachment": "https://s/x", "geometries": {"box": {"objects_to_annotate": ["a"]}}, "batch": "long"}
            server.live.create_task("imageannotation", {**body, "unique_id": f"long/{number}"})
        server.live.clock = lambda: datetime.now(UTC)
        yield server


@pytest.fixture
def client(server: ScaleServer) -> ScaleClient:
    server.requests.clear()
    return ScaleClient(server.url, "live_key", timeout=(5, 20), storm=0)


def listing(client: ScaleClient, **more: Any) -> TaskListing:
    return TaskListing(client, "long", **{"page_size": 200, "threads": 4, "parallel_from": 500, **more})


def ids(docs: Any) -> list[str]:
    return [doc["unique_id"] for doc in docs]


def everything() -> set[str]:
    return {f"long/{number}" for number in range(COUNT)}


def test_long_listing_by_time_ranges_returns_each_task_once(server: ScaleServer, client: ScaleClient) -> None:
    listed = ids(listing(client))
    assert len(listed) == COUNT
    assert set(listed) == everything()
    assert any("start_time" in path for _, path, _ in server.requests)


def test_every_page_can_be_read_by_another_process(client: ScaleClient) -> None:
    listed, cursor, sizes = [], None, []
    while True:
        docs, cursor = listing(client).page(cursor)
        listed += ids(docs)
        sizes.append(len(docs))
        if cursor is None:
            break
    assert sorted(listed) == sorted(everything())
    assert max(sizes) <= 230, "memory: about a page, and never less than what was made in one second"
    assert len(sizes) >= 4


def test_a_short_listing_is_read_by_tokens(server: ScaleServer, client: ScaleClient) -> None:
    assert set(ids(listing(client, parallel_from=1000))) == everything()
    assert not any("start_time" in path for _, path, _ in server.requests)


def test_filters_hold_in_every_stretch(server: ScaleServer, client: ScaleClient) -> None:
    assert ids(listing(client, status="completed")) == []
    assert set(ids(listing(client, status="pending"))) == everything()


@pytest.mark.parametrize("ignored", ["start_time", "end_time", "both"])
def test_ignored_time_bounds_fall_back_to_tokens(
    server: ScaleServer, client: ScaleClient, monkeypatch: pytest.MonkeyPatch, ignored: str
) -> None:
    real = server.live.list_tasks
    names = ("start_time", "end_time") if ignored == "both" else (ignored,)
    monkeypatch.setattr(
        server.live, "list_tasks", lambda query: real({key: query[key] for key in query if key not in names})
    )
    listed = ids(listing(client))
    assert sorted(listed) == sorted(everything())
    assert len(server.requests) < 100


@pytest.mark.parametrize("status", [400, 500])
def test_refused_time_bounds_fall_back_to_tokens(server: ScaleServer, client: ScaleClient, status: int) -> None:
    server.fail("GET", "start_time", status, times=1000)
    assert sorted(ids(listing(client))) == sorted(everything())
    server.heal()


@pytest.mark.parametrize("outside", ["start", "end"])
def test_exclusive_time_bounds_lose_no_tasks(
    server: ScaleServer, client: ScaleClient, monkeypatch: pytest.MonkeyPatch, outside: str
) -> None:
    real = server.live._found

    def strict(query: Any) -> list[str]:
        page = real(query)
        bound = query.get(f"{outside}_time")
        edge = datetime.fromisoformat(bound[0]) if bound else None
        return [id for id in page if datetime.fromisoformat(server.live.tasks[id]["created_at"]) != edge]

    monkeypatch.setattr(server.live, "_found", strict)
    assert sorted(ids(listing(client))) == sorted(everything())


def test_missing_creation_times_fall_back_to_tokens(
    server: ScaleServer, client: ScaleClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = server.live.list_tasks

    def timeless(query: Any) -> Any:
        page = real(query)
        docs = [{key: doc[key] for key in doc if key != "created_at"} for doc in page["docs"]]
        return page | {"docs": docs}

    monkeypatch.setattr(server.live, "list_tasks", timeless)
    assert sorted(ids(listing(client))) == sorted(everything())


def test_a_cursor_that_is_none_of_ours_is_refused(client: ScaleClient) -> None:
    for cursor in ("", "3", "w:", "w:a-b"):
        with pytest.raises(PlatformRefused, match="cursor"):
            listing(client).page(cursor)


def test_windows_are_complete_and_within_the_limit() -> None:
    moments = sorted([10, 10, 10, 11, 50, 51, 52, 53, 900, 901, 999] * 3)

    def count(window: Window) -> int:
        return sum(window.start <= moment < window.end for moment in moments)

    with ThreadPoolExecutor(2) as pool:
        windows = split_time_range(Window(0, 1000), len(moments), 5, count, pool)
        assert windows is not None
        assert sum(map(count, windows)) == len(moments)
        assert all(count(window) <= 5 or window.end - window.start == 1 for window in windows)
        assert all(a.end <= b.start for a, b in itertools.pairwise(windows))
        assert split_time_range(Window(0, 1000), 1000, 5, lambda window: 1000, pool) is None
        assert split_time_range(Window(0, 1000), 1000, 5, lambda window: 0, pool) is None


# The pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_no_more_requests_a_second_than_were_allowed() -> None:
    clock = Clock()
    pace = Pace(10, clock=clock, sleep=clock.sleep)
    for _ in range(21):
        pace.wait()
    assert clock.now == pytest.approx(102.0)


def test_without_a_limit_nobody_waits() -> None:
    clock = Clock()
    pace = Pace(0, clock=clock, sleep=clock.sleep)
    for _ in range(1000):
        pace.wait()
        pace.succeeded()
    assert clock.now == 100.0


def test_429_slows_all_threads_and_successes_recover() -> None:
    clock = Clock()
    pace = Pace(40, 1.0, clock=clock, sleep=clock.sleep)
    pace.throttled()
    pace.throttled()  # was under way when the first one came: counts once
    assert pace.rate == 20
    before = clock.now
    pace.wait()
    assert 0.5 <= clock.now - before <= 1.0
    pace.throttled()
    assert pace.rate == 10
    before = clock.now
    pace.wait()
    assert 1.0 <= clock.now - before <= 2.0
    for _ in range(1000):
        pace.succeeded()
    assert pace.rate == 40
    for _ in range(50):
        clock.now += 1000
        pace.throttled()
    assert pace.rate == 40 / 64
    before = clock.now
    pace.wait()
    assert clock.now - before <= 16


def test_all_adapters_of_one_account_share_a_pace() -> None:
    assert pace_for("u", "k", 5, 1) is pace_for("u", "k", 5, 1)
    assert pace_for("u", "k", 5, 1) is not pace_for("u", "other", 5, 1)


def test_threads_share_the_turns() -> None:
    turns: list[float] = []
    pace = Pace(1000, clock=Clock(), sleep=turns.append)
    threads = [threading.Thread(target=pace.wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turns) == pytest.approx([number / 1000 for number in range(1, 20)])
