"""A measurement in a process of its own, where no thread that another test left behind takes memory meanwhile."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def alone(measure: Callable[..., T], *arguments: object) -> T:
    """What the function, which stands at the top of its module, answers in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result(timeout=300)
