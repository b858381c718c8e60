"""A sweep ends within its bound whatever one connection does, and at once when it is interrupted."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.domain import State
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep import refresh
from tests.network.fault_server import DRIPS, Received, drip, fault_server, response

HANGS = 60.0


class Interrupted(BaseException):
    """As Prefect raises it in the main thread on SIGTERM."""


class Future:
    """A future as Prefect gives it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def result(self, raise_on_failure: bool = True) -> Any:
        return self.inner.result()


class PooledTask:
    """A task that a pool runs in a copy of the context, as Prefect's task runner does, without a server."""

    def __init__(self, function: Callable[..., Any], pool: ThreadPoolExecutor) -> None:
        self.function, self.pool = function, pool

    def submit(self, *arguments: Any) -> Future:
        return Future(self.pool.submit(contextvars.copy_context().run, self.function, *arguments))


@pytest.fixture
def pool(monkeypatch) -> Iterator[ThreadPoolExecutor]:
    """Threads that run the looks in a copy of the context, as Prefect's task runner does, without a server."""
    pool = ThreadPoolExecutor(8)

    def as_completed(futures: list[Future]) -> Iterator[Future]:
        wait([future.inner for future in futures])
        yield from futures

    monkeypatch.setattr(refresh, "refresh_connection", PooledTask(refresh.refresh_connection.fn, pool))
    monkeypatch.setattr(refresh, "as_completed", as_completed)
    yield pool
    pool.shutdown(cancel_futures=True)


def configure(monkeypatch, tmp_path, **urls: str) -> None:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    for name, url in urls.items():
        prefix = f"LABELWRIGHT_CONNECTIONS__{name.upper()}__"
        values = {"PLATFORM": "campaign_api", "URL": url, "KEY": "the-key", "SECRET": "the-secret"}
        for key, value in values.items():
            monkeypatch.setenv(prefix + key, value)
    forget_settings()


def add_campaigns(connection: str, count: int) -> list[str]:
    titles = [f"{connection} {number}" for number in range(count)]
    for number, title in enumerate(titles):
        document = {
            "title": title,
            "connection": connection,
            "images": {"folder": "/x"},
            "labels": ["a"],
            "labeler": "a@b.c",
        }
        ledger = the_ledger()
        ledger.campaigns.add(title, validate_spec(document, "test").model_dump(mode="json"))
        for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
            ledger.campaigns.move(title, state)
        ledger.campaigns.record_remote_campaign(title, str(number))
    return titles


@pytest.fixture(autouse=True)
def _settings():
    yield
    forget_settings()


@pytest.mark.parametrize("what", ["nothing at all", "a header", "a body"])
def test_a_slow_connection_delays_a_sweep_by_a_bounded_time(what, pool, tmp_path, monkeypatch):
    def good(_request: Received, connection: Any) -> None:
        body = b'{"id": "0", "title": "good 0", "status": "active", "image_count": 2, "labeled_count": 1}'
        connection.sendall(response(400, body, "Content-Type: application/json"))

    with fault_server(drip(what)) as slow, fault_server(good) as quick:
        configure(monkeypatch, tmp_path, slow=slow.url, quick=quick.url)
        monkeypatch.setenv("LABELWRIGHT_LOOK_DEADLINE", "1")
        monkeypatch.setenv("LABELWRIGHT_LOOKS_AT_ONCE", "2")
        forget_settings()
        add_campaigns("slow", 12)
        add_campaigns("quick", 2)
        result = refresh.refresh_all()
    assert result.states == {}
    late = [title for title, why in result.failures.items() if "the time for this work is over" in why]
    assert set(result.failures) == {f"slow {n}" for n in range(12)} | {"quick 0", "quick 1"}
    assert 0 < len(late) < 12, "the rest of the connection waits for the next sweep"
    assert "400" in result.failures["quick 0"]


def test_a_sweep_out_of_time_lists_campaigns_not_checked(pool, tmp_path, monkeypatch):
    with fault_server(drip("a header")) as slow:
        configure(monkeypatch, tmp_path, slow=slow.url)
        monkeypatch.setenv("LABELWRIGHT_SWEEP_DEADLINE", "0.4")
        monkeypatch.setenv("LABELWRIGHT_LOOKS_AT_ONCE", "1")
        forget_settings()
        titles = add_campaigns("slow", 3)
        result = refresh.refresh_all()
    assert set(result.failures) == set(titles)
    assert sum("the 0.4 seconds of this sweep were over" in why for why in result.failures.values()) == 2


@pytest.mark.parametrize("what", DRIPS)
def test_an_interrupted_sweep_does_not_wait_for_a_slow_server(what, pool, tmp_path, monkeypatch):
    with fault_server(drip(what)) as slow:
        configure(monkeypatch, tmp_path, slow=slow.url)
        add_campaigns("slow", 2)

        def interrupted(futures: list[Future]) -> Iterator[Future]:
            ends = time.monotonic() + HANGS
            while not slow.requests and time.monotonic() < ends:
                time.sleep(0.01)
            raise Interrupted
            yield

        monkeypatch.setattr(refresh, "as_completed", interrupted)
        with pytest.raises(Interrupted):
            refresh.refresh_all()
        waiting = threading.Thread(target=pool.shutdown)
        waiting.start()
        waiting.join(HANGS / 2)
        assert not waiting.is_alive(), "the threads of the looks ended with the sweep"
