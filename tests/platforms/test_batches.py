"""A transport error costs one item: the batch goes on, retries what failed, and raises only for what is left."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from labelwright.platforms import batches
from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable


@pytest.fixture
def waited(monkeypatch) -> list[float]:
    """The pauses that were made, without making them."""
    pauses: list[float] = []
    monkeypatch.setattr(batches.time, "sleep", pauses.append)
    return pauses


class Server:
    """Fails the first `failures[item]` requests for an item."""

    def __init__(self, failures: dict[int, int], **error: float) -> None:
        self.failures, self.error = failures, error
        self.requests: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __call__(self, item: int) -> str:
        with self._lock:
            self.requests[item] += 1
            number = self.requests[item]
        if number <= self.failures.get(item, 0):
            raise PlatformUnavailable("server", f"take {item}", message="cut", **self.error)
        return f"did {item}"


@pytest.mark.parametrize("threads", [1, 4])
def test_failed_items_are_retried_and_all_results_come_in_order(waited, threads):
    server = Server({3: 1, 17: 2, 40: 5})
    assert for_each(server, range(50), threads) == [f"did {item}" for item in range(50)]
    assert server.requests == Counter(dict.fromkeys(range(50), 1) | {3: 2, 17: 3, 40: 6})
    assert waited == list(batches.PAUSES)


def test_the_others_are_done_before_the_failure_is_raised(waited):
    server = Server({3: 99, 8: 99})
    with pytest.raises(PlatformUnavailable, match="2 items of the batch failed; the first: cut") as raised:
        for_each(server, range(50), 4)
    assert raised.value.operation == "take 3"
    assert set(server.requests) == set(range(50))
    assert server.requests[3] == 1 + len(batches.PAUSES)


def test_a_short_retry_after_is_waited_out_and_a_long_one_raised(waited):
    assert len(for_each(Server({3: 1}, retry_after=7.0), range(5), 1)) == 5
    assert waited == [7.0]
    server = Server({3: 1}, retry_after=900.0)
    with pytest.raises(PlatformUnavailable) as raised:
        for_each(server, range(5), 1)
    assert raised.value.retry_after == 900.0
    assert (waited, server.requests[3]) == ([7.0], 1)


def test_a_batch_stops_after_a_few_failures_in_a_row(waited):
    server = Server(dict.fromkeys(range(1000), 99))
    with pytest.raises(PlatformUnavailable):
        for_each(server, range(1000), 4)
    assert len(server.requests) <= 8 + 3 * 4
    assert waited == []


def test_work_whose_response_was_lost_is_not_repeated(waited):
    server, lookups = Server({3: 1, 8: 1}), []

    def look(failed: list[int]) -> list[int]:
        lookups.append(list(failed))
        return [item for item in failed if item != 3]

    assert len(for_each(server, range(10), 2, before_retry=look)) == 9
    assert (lookups, server.requests[3], server.requests[8]) == ([[3, 8]], 1, 2)


def test_a_failed_lookup_is_repeated_before_any_retry(waited):
    server, looks = Server({3: 1}), 0

    def look(failed: list[int]) -> list[int]:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise PlatformUnavailable("server", "look")
        assert server.requests[3] == 1
        return failed

    assert len(for_each(server, range(5), 1, before_retry=look)) == 5
    assert (looks, server.requests[3]) == (3, 2)


def test_a_refusal_ends_the_batch_and_is_not_retried(waited):
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise PlatformRefused("server", "take 2", message="no")
        return item

    with pytest.raises(PlatformRefused, match="no"):
        for_each(work, range(1000), 2)
    assert begun.count(2) == 1
    assert len(begun) <= 2 + 3 * 2 + 1
