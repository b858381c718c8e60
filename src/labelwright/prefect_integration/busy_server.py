"""Repeats requests while a Prefect server is busy, for a limited time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from labelwright.local.servers import NotStarted
from labelwright.settings import settings

if TYPE_CHECKING:
    from httpx import HTTPError

T = TypeVar("T")

_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between two tries, beside the two seconds that Prefect's client pauses; the last one is repeated."""

_BUSY_STATUS = frozenset({408, 429, 500, 502, 503, 504})
"""Prefect answers 503 while its SQLite database is locked, and 500 when its pool of connections has run out."""

_BUSY_OUTPUT = re.compile(
    r"error\s+'(?:408|429|500|502|503|504)\b|\b(?:ReadTimeout|WriteTimeout|ConnectTimeout|PoolTimeout|ConnectError|"
    r"ReadError|WriteError|RemoteProtocolError)\b"
)
"""How Prefect's command line reports the same failures, and a server that ended meanwhile."""


class StillBusy(NotStarted):
    """The Prefect server was busy for all the time that it was given."""

    error_code = "LW6002"


class Patience:
    """Time that a Prefect server gets for everything that one command asks of it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def run(self, operation: Callable[[], T]) -> T:
        """Returns what the operation returns. It must be idempotent: after a failure it is called again.

        Raises StillBusy when time is up, NotStarted when nothing listens there or the request is refused.
        """
        from httpx import HTTPError

        tries = 0
        while True:
            try:
                return operation()
            except HTTPError as error:
                if not is_busy(error):
                    raise NotStarted(f"the Prefect server did not answer: {describe(error)}") from None
                self.pause(tries, describe(error))
                tries += 1

    def pause(self, tries: int, failure: str) -> None:
        """Waits before the next try. Raises StillBusy when time would be up then."""
        seconds = _PAUSES[min(tries, len(_PAUSES) - 1)]
        if seconds >= self.remaining():
            raise StillBusy(
                f"the Prefect server is busy: for {self.seconds:g} seconds it did not carry out a request ({failure}). "
                "Run the same command again when it is idle, or set LABELWRIGHT_PREFECT_BUSY_SECONDS to a longer time"
            )
        time.sleep(seconds)


@contextmanager
def patience() -> Iterator[Patience]:
    """Gives the Prefect server `prefect_busy_seconds`. Meanwhile its client does not repeat requests by itself."""
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield Patience(settings().prefect_busy_seconds)


def is_busy(error: HTTPError) -> bool:
    """Whether the same request may succeed later. Not when nothing listens at the address."""
    from httpx import ConnectError, HTTPStatusError, TransportError, UnsupportedProtocol

    if isinstance(error, HTTPStatusError):
        return error.response.status_code in _BUSY_STATUS
    return isinstance(error, TransportError) and not isinstance(error, ConnectError | UnsupportedProtocol)


def describe(error: HTTPError) -> str:
    """Returns status or kind of the failure, without the address, which may hold a credential."""
    from httpx import HTTPStatusError

    if isinstance(error, HTTPStatusError):
        return f"HTTP {error.response.status_code} {error.response.reason_phrase}".rstrip()
    return type(error).__name__


def busy_in(output: str) -> str | None:
    """Returns the failure of a busy server that Prefect's command line printed, else None."""
    match = _BUSY_OUTPUT.search(output)
    return None if match is None else re.sub(r"error\s+'", "HTTP ", match[0])
