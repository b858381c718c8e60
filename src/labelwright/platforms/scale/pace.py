"""How fast Scale is asked: one pace for all threads that use one key, slower after each 429."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from hashlib import sha256

_SLOWEST = 1 / 64
"""Of the configured rate: below that it makes no difference."""
_LONGEST_HOLD = 16
"""Times the first one."""
_ANSWERS_TO_RECOVER = 600
"""A limit below the configured rate is then met by one request in fifty or so."""


class Pace:
    """Turns for requests, at most `rate` a second (0: as fast as may be).

    Scale documents neither a limit nor a Retry-After: each 429 halves the rate and holds everybody back for a moment
    that doubles (with jitter, at most sixteen times the first); answers make it faster again, little by little, up to
    the configured rate.
    """

    def __init__(
        self,
        rate: float,
        back_off: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wanted, self._back_off, self._clock, self._sleep = rate, back_off, clock, sleep
        self._rate = rate
        self._refusals = 0
        self._next = self._held_until = 0.0
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        """Requests a second at present; 0 when there is no limit."""
        return self._rate

    def wait(self) -> None:
        """Until it is this thread's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + (1 / self._rate if self._rate else 0.0)
        if turn > now:
            self._sleep(turn - now)

    def answered(self) -> None:
        """An answer that was no 429."""
        with self._lock:
            self._refusals = 0
            if self._wanted and self._rate < self._wanted:
                self._rate = min(self._wanted, self._rate + self._wanted / _ANSWERS_TO_RECOVER)

    def refused(self) -> None:
        """A 429. Those of requests that were under way already when everybody was held back count once."""
        with self._lock:
            if self._clock() < self._held_until:
                return
            self._refusals = min(self._refusals + 1, 16)
            hold = self._back_off * min(2 ** (self._refusals - 1), _LONGEST_HOLD)
            self._held_until = self._clock() + hold * random.uniform(0.5, 1.0)  # noqa: S311
            self._next = max(self._next, self._held_until)
            if self._wanted:
                self._rate = max(self._rate / 2, self._wanted * _SLOWEST)


_paces: dict[tuple[str, str, float, float], Pace] = {}
_lock = threading.Lock()


def pace_for(url: str, key: str, rate: float, back_off: float) -> Pace:
    """The pace that all adapters of this process share for one account: tasks make an adapter each."""
    account = sha256(key.encode()).hexdigest()
    with _lock:
        return _paces.setdefault((url, account, rate, back_off), Pace(rate, back_off))
