"""Limits the requests per second to a server, for all threads of this process together."""

from __future__ import annotations

import time
from threading import Lock
from urllib.parse import urlsplit

from labelwright.network.deadlines import sleep


class Rate:
    """Spaces requests evenly; threads that come at the same time wait one after the other."""

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
    """Sets the limit for the server of this URL; None removes it."""
    server = _server_of(url)
    with _changing:
        existing = _rates.get(server)
        if per_second is None:
            _rates.pop(server, None)
        elif existing is None or existing.per_second != per_second:
            _rates[server] = Rate(per_second)


def wait_for(url: str) -> None:
    """Waits until the next request to the server of this URL is allowed."""
    rate = _rates.get(_server_of(url))
    if rate is not None:
        rate.wait()


def _server_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
