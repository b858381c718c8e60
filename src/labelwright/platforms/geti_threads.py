"""Work on many things at once, a bounded number at a time, answers in the order of the things."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from labelwright.deadlines import carry_limit

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def in_parallel(work: Callable[[_Item], _Made], items: Iterable[_Item], threads: int) -> Iterator[_Made]:
    """`work` of each item. Never holds more than three items a thread, however many there are.

    The first failure is raised when its turn comes; what was begun by then is waited for, nothing new is begun.
    """
    work = carry_limit(work)
    waiting: deque[Future[_Made]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="geti")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 3 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
