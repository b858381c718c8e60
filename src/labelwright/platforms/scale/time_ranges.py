"""Splits a long listing into time ranges that can be read in parallel, which page tokens do not allow.

`start_time` and `end_time` filter by a task's creation time, which never changes. Ranges are whole seconds. Tasks of
a range are filtered once more by the caller, so that it does not matter whether Scale's bounds are inclusive.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

_SLACK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """The time from `start` up to, not including, `end`, in whole seconds since 1970, UTC."""

    start: int
    end: int

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment.timestamp() < self.end

    @property
    def bounds(self) -> dict[str, datetime]:
        """The filters, a little wider than the window."""
        start, end = datetime.fromtimestamp(self.start, UTC), datetime.fromtimestamp(self.end, UTC)
        return {"start_time": start - _SLACK, "end_time": end + _SLACK}

    def parts(self, count: int) -> list[Window]:
        """Splits into `count` ranges of about equal length, or fewer when the window has fewer seconds."""
        seconds = self.end - self.start
        count = max(1, min(count, seconds))
        marks = [self.start + seconds * number // count for number in range(count + 1)]
        return [Window(a, b) for a, b in itertools.pairwise(marks)]


def split_time_range(
    whole: Window, total: int, most: int, count: Callable[[Window], int], pool: Executor
) -> list[Window] | None:
    """Returns windows, the earliest first, with at most `most` tasks each (a single second is never split).

    `count` returns the number of tasks in a window. None when the server ignores the time bounds.
    """
    result: list[Window] = []
    pending = [(whole, total)]
    while pending:
        pieces: list[tuple[int, Sequence[Window]]] = []
        for window, size in pending:
            if size <= most or window.end - window.start <= 1:
                result += [window] if size else []
            else:
                pieces.append((size, window.parts(min(64, ceil(size / most) + 1))))
        pending = []
        for size, parts in pieces:
            counts = list(pool.map(count, parts))
            # The bounds are slightly too wide, so that a few tasks count twice. If all do, the server ignores bounds.
            if sum(counts) < size or sum(counts) > size + len(parts) * max(100, most // 10):
                return None
            pending += zip(parts, counts, strict=True)
    return sorted(result, key=lambda window: window.start)
