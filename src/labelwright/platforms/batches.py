"""Runs requests for the items of a batch in several threads. A transport error costs one item, not the batch.

Failed items are retried after the others, a limited number of times, waiting as long as the server asks for. Only what
is left then is raised. After many failures in a row the platform counts as unreachable, and the rest is left to the
task's own retries.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from labelwright.network.deadlines import carry_limit

from .errors import PlatformUnavailable

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further try of what failed."""
LONGEST_WAIT = 60.0
"""Seconds: a longer Retry-After is raised at once."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


def for_each(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    threads: int,
    *,
    before_retry: Callable[[list[_Item]], Sequence[_Item]] | None = None,
    pauses: Sequence[float] | None = None,
) -> list[_Result]:
    """Returns the results of `work` in the order of the items.

    `before_retry` gets the failed items and returns those that are still to be done: work that must not be repeated
    looks there for effects whose response was lost. At most three items per thread are taken from `items` ahead.

    Raises PlatformUnavailable when items are left after all tries, or when 2 requests per thread (at least 8) failed in
    a row. Any other error of `work` is raised when its turn comes; running work is waited for, and no more is started.
    """
    pauses = PAUSES if pauses is None else pauses
    batch: _Batch[_Item, _Result] = _Batch(work, threads)
    failed = batch.run(enumerate(items))
    for number, pause in enumerate(pauses, 1):
        if not failed:
            break
        time.sleep(batch.wait(pause))
        _log.info("retry %d of %d: %d items met transport errors", number, len(pauses), len(failed))
        try:
            if before_retry is not None:
                by_item = {id(item): place for place, item in failed}
                failed = [(by_item[id(item)], item) for item in before_retry([item for _, item in failed])]
        except PlatformUnavailable as error:
            batch.errors = [error]
            continue
        failed = batch.run(failed)
    if failed:
        raise batch.left()
    return [batch.results[place] for place in sorted(batch.results)]


class _Batch(Generic[_Item, _Result]):
    """The state of one call of `for_each`."""

    def __init__(self, work: Callable[[_Item], _Result], threads: int) -> None:
        self.results: dict[int, _Result] = {}
        self.errors: list[PlatformUnavailable] = []
        self._work, self._threads = carry_limit(work), threads
        self._most_in_a_row = max(8, 2 * threads)

    def run(self, numbered: Iterable[tuple[int, _Item]]) -> list[tuple[int, _Item]]:
        """Tries each item once. Returns those that met transport errors; `errors` has their errors."""
        failed: list[tuple[int, _Item]] = []
        waiting: deque[tuple[int, _Item, Future[_Result]]] = deque()
        self.errors, in_a_row = [], 0

        def settle() -> None:
            nonlocal in_a_row
            place, item, future = waiting.popleft()
            try:
                self.results[place] = future.result()
                in_a_row = 0
            except PlatformUnavailable as error:
                failed.append((place, item))
                self.errors.append(error)
                in_a_row += 1
                if in_a_row >= self._most_in_a_row:
                    raise self.left() from None

        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="batch")
        try:
            for place, item in numbered:
                waiting.append((place, item, pool.submit(self._work, item)))
                if len(waiting) >= 3 * self._threads:
                    settle()
            while waiting:
                settle()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return failed

    def wait(self, pause: float) -> float:
        """Returns the seconds until the next try: the pause or a longer Retry-After. Raises when that is too long."""
        retry_after = max((error.retry_after or 0.0 for error in self.errors), default=0.0)
        if retry_after > LONGEST_WAIT:
            raise self.left()
        return max(pause, retry_after)

    def left(self) -> PlatformUnavailable:
        """Returns the error to raise for the items that are not done."""
        first = self.errors[0]
        if len(self.errors) == 1:
            return first
        retry_afters = [error.retry_after for error in self.errors if error.retry_after is not None]
        return PlatformUnavailable(
            first.platform,
            first.operation,
            status=first.status,
            message=f"{len(self.errors)} items of the batch failed; the first: {first.message or 'no answer'}",
            advice=first.advice,
            retry_after=max(retry_afters, default=None),
        )
