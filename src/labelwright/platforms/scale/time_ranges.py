"""Reading a long listing side by side: tokens lead from page to page one after the other, stretches of time do not.

`start_time` and `end_time` bound when a task was made, which never changes. So a batch is cut into stretches of whole
seconds that hold some tasks each, and these are read in parallel. What a stretch answers is sifted once more here, so
that nothing depends on whether the bounds count as inside.
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
    """From `start` up to, but without, `end`: whole seconds since 1970, UTC."""

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
        """About equal ones; fewer when there are not as many seconds."""
        seconds = self.end - self.start
        count = max(1, min(count, seconds))
        marks = [self.start + seconds * number // count for number in range(count + 1)]
        return [Window(a, b) for a, b in itertools.pairwise(marks)]


def split_time_range(
    whole: Window, total: int, most: int, count: Callable[[Window], int], pool: Executor
) -> list[Window] | None:
    """Windows, the earliest first, that hold at most `most` things each (a second is never cut).

    `count` answers how many there are in a window. None when the server does not heed the bounds.
    """
    done: list[Window] = []
    todo = [(whole, total)]
    while todo:
        pieces: list[tuple[int, Sequence[Window]]] = []
        for window, size in todo:
            if size <= most or window.end - window.start <= 1:
                done += [window] if size else []
            else:
                pieces.append((size, window.parts(min(64, ceil(size / most) + 1))))
        todo = []
        for size, parts in pieces:
            found = list(pool.map(count, parts))
            # The bounds are a little wide, so that some things may count twice; all of them may not.
            if sum(found) < size or sum(found) > size + len(parts) * max(100, most // 10):
                return None
            todo += zip(parts, found, strict=True)
    return sorted(done, key=lambda window: window.start)
