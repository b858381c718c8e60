"""Rate limiter for requests to Scale, shared by all threads that use one key. Each 429 slows it down."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from hashlib import sha256

_SLOWEST = 1 / 64
"""Lowest rate, as a fraction of the configured one."""
_LONGEST_HOLD = 16
"""Longest pause after a 429, as a multiple of the first one."""
_RESPONSES_TO_RECOVER = 600
"""With a server limit below the configured rate about one request in fifty then gets a 429."""


class Pace:
    """Allows at most `rate` requests a second (0: no limit).

    Scale documents neither a limit nor a Retry-After. So each 429 halves the rate and pauses all threads; the pause
    starts at `back_off` seconds and doubles (with jitter, at most sixteen times the first). Successful requests raise
    the rate again, step by step, up to the configured one.
    """

    def __init__(
        self,
        rate: float,
        back_off: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._configured_rate, self._back_off, self._clock, self._sleep = rate, back_off, clock, sleep
        self._rate = rate
        self._throttled_in_a_row = 0
        self._next = self._paused_until = 0.0
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        """Requests a second at present; 0 when there is no limit."""
        return self._rate

    def wait(self) -> None:
        """Blocks until this thread may send its request."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + (1 / self._rate if self._rate else 0.0)
        if turn > now:
            self._sleep(turn - now)

    def succeeded(self) -> None:
        """Records a response other than 429."""
        with self._lock:
            self._throttled_in_a_row = 0
            if self._configured_rate and self._rate < self._configured_rate:
                self._rate = min(self._configured_rate, self._rate + self._configured_rate / _RESPONSES_TO_RECOVER)

    def throttled(self) -> None:
        """Records a 429. Those of requests that were in flight when the pause began count once."""
        with self._lock:
            if self._clock() < self._paused_until:
                return
            self._throttled_in_a_row = min(self._throttled_in_a_row + 1, 16)
            hold = self._back_off * min(2 ** (self._throttled_in_a_row - 1), _LONGEST_HOLD)
            self._paused_until = self._clock() + hold * random.uniform(0.5, 1.0)  # noqa: S311
            self._next = max(self._next, self._paused_until)
            if self._configured_rate:
                self._rate = max(self._rate / 2, self._configured_rate * _SLOWEST)


_paces: dict[tuple[str, str, float, float], Pace] = {}
_lock = threading.Lock()


def pace_for(url: str, key: str, rate: float, back_off: float) -> Pace:
    """Returns the process-wide rate limiter of an account: each Prefect task creates an adapter of its own."""
    account = sha256(key.encode()).hexdigest()
    with _lock:
        return _paces.setdefault((url, account, rate, back_off), Pace(rate, back_off))
