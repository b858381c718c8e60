"""How many requests a second a platform gets from this process, however many threads ask."""

from __future__ import annotations

import time
from threading import Lock
from urllib.parse import urlsplit

from labelwright.network.deadlines import sleep


class Rate:
    """Lets one request through every so often; those who come together queue up."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._free_at = time.monotonic()
        self._lock = Lock()

    def wait(self) -> None:
        with self._lock:
            begins = max(self._free_at, time.monotonic())
            self._free_at = begins + 1 / self.per_second
        sleep(max(0.0, begins - time.monotonic()))


_rates: dict[str, Rate] = {}
_changing = Lock()


def limit(url: str, per_second: float | None) -> None:
    """From now on the server of this URL gets no more than that; None lifts the limit."""
    place = _place(url)
    with _changing:
        known = _rates.get(place)
        if per_second is None:
            _rates.pop(place, None)
        elif known is None or known.per_second != per_second:
            _rates[place] = Rate(per_second)


def wait_for(url: str) -> None:
    """Until the server of this URL may be asked again."""
    rate = _rates.get(_place(url))
    if rate is not None:
        rate.wait()


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
