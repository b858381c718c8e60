"""Maps a function over many items in threads, with bounded memory and within the caller's time limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .deadlines import carry_limit

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_PENDING_PER_THREAD = 3


def bounded_map(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int, name: str = "map"
) -> Iterator[_Result]:
    """Yields the results in the items' order.

    At most three items per thread are taken ahead of the results that are read, so that neither pile up. The first
    exception ends the map: calls that have not started are cancelled. `name`: prefix of the threads' names.
    """
    pending: deque[Future[_Result]] = deque()
    work = carry_limit(function)
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) >= _PENDING_PER_THREAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
