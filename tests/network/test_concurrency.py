from __future__ import annotations

import threading
import time

import pytest

from labelwright.network.concurrency import bounded_map
from labelwright.network.deadlines import current_limit, time_limit


def test_results_come_in_the_order_of_items():
    def slow_first(number: int) -> int:
        time.sleep(0.05 if number == 0 else 0)
        return number * number

    assert list(bounded_map(slow_first, range(20), threads=4)) == [number * number for number in range(20)]


def test_items_are_taken_only_as_fast_as_results_are_read():
    taken: list[int] = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = bounded_map(lambda number: number, items(), threads=2)
    assert next(results) == 0
    assert len(taken) <= 6
    results.close()


def test_the_first_error_cancels_calls_that_have_not_started():
    started: list[int] = []
    release = threading.Event()

    def fail(number: int) -> None:
        started.append(number)
        if number == 0:
            raise ValueError("the first")
        release.wait(10)

    timer = threading.Timer(0.2, release.set)
    timer.start()
    with pytest.raises(ValueError, match="the first"):
        list(bounded_map(fail, range(1000), threads=2))
    timer.join()
    assert len(started) <= 6


def test_calls_are_made_within_the_time_limit_of_the_caller():
    with time_limit(60) as limit:
        assert all(result is limit for result in bounded_map(lambda _: current_limit(), range(5), threads=2))
