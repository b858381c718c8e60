"""A platform gets no more requests a second than its connection says, however many threads ask."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from labelwright.platforms.http import rate_limit as rates
from labelwright.platforms.http.client import Http
from labelwright.platforms.protocol import Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from tests.platforms.scripted import answer, scripted

URL = "http://rates.example:8080/api/v1"


@pytest.fixture
def waits(monkeypatch) -> Iterator[list[float]]:
    """How long each request had to wait, on a clock that stands still."""
    seconds: list[float] = []
    monkeypatch.setattr(rates, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    monkeypatch.setattr(rates, "sleep", seconds.append)
    yield seconds
    rates.limit(URL, None)


def test_threads_share_a_servers_limit(waits) -> None:
    rates.limit(URL, 50)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: rates.wait_for(URL), range(11)))
    assert sorted(waits) == pytest.approx([number / 50 for number in range(11)])


def test_the_server_counts_and_not_the_path(waits) -> None:
    rates.limit(URL, 2)
    for url in (URL, "http://rates.example:8080/other", "http://user:password@rates.example:8080/"):
        rates.wait_for(url)
    assert waits == pytest.approx([0, 0.5, 1])


def test_other_servers_and_lifted_limits_wait_for_nothing(waits) -> None:
    rates.limit(URL, 0.001)
    rates.wait_for("http://rates.example:8081/")
    rates.limit(URL, None)
    rates.wait_for(URL)
    assert waits == []


def test_the_same_limit_said_again_does_not_begin_anew(waits) -> None:
    for _ in range(3):
        rates.limit(URL, 2)
        rates.wait_for(URL)
    assert waits == pytest.approx([0, 0.5, 1])


def test_requests_of_a_connection_are_counted(waits) -> None:
    with scripted(answer(200)) as server:
        entry = PLATFORMS["campaign_api"]
        entry.connect(Connection(f"{server.url}/api/v1", "key", Secret("secret"), requests_per_second=4))
        http = Http("campaign_api", server.url)
        for _ in range(3):
            http.call("look", "GET", "/x")
        rates.limit(server.url, None)
    assert waits == pytest.approx([0, 0.25, 0.5])
