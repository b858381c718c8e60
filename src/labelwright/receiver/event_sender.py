"""Sends the inbox to Prefect as events. After a crash an event is sent again, at most twice, under the same id."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from labelwright.domain.errors import EventsNotSent, EventsRejected
from labelwright.ledger import Ledger, LedgerError, Letter

from .webhooks import EVENT as WEBHOOK

Send = Callable[[Sequence[dict[str, Any]]], None]
"""Sends events. Raises EventsNotSent, EventsRejected."""

_MAX_NOTES = 50
_KEEP_WEBHOOKS = timedelta(days=30)


class EventSender:
    """A thread that sends what waits in the inbox.

    Args:
        min_interval: seconds between two events of one connection, so that ten thousand callbacks do not start as
            many sweeps.
        poll_interval: seconds between two reads of the inbox when `wake` is not called, and after a failure.
    """

    def __init__(self, ledger: Ledger, send: Send, *, min_interval: float = 10, poll_interval: float = 15) -> None:
        self._ledger, self._send = ledger, send
        self._min_interval, self._poll_interval = min_interval, poll_interval
        self._wake, self._stopping = threading.Event(), False
        self._last_sent: dict[str, float] = {}  # by connection, on the monotonic clock
        self._thread = threading.Thread(target=self._work, name="event sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. What still waits is sent at the next start."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=10)

    def wake(self) -> None:
        self._wake.set()

    def send_due(self) -> float:
        """Sends what is due. Returns the seconds to wait for the rest. Raises EventsNotSent."""
        by_source: dict[str, list[Letter]] = {}
        for letter in self._ledger.inbox.waiting():
            # Notes of a connection make one event together, each drop makes its own.
            by_source.setdefault(letter.source if letter.event == WEBHOOK else letter.id, []).append(letter)
        wait = self._poll_interval
        for source, letters in by_source.items():
            too_early = self._last_sent.get(source, -self._min_interval) + self._min_interval - time.monotonic()
            if letters[0].event == WEBHOOK and too_early > 0:
                wait = min(wait, too_early)
                continue
            with suppress(EventsRejected):  # else it would hold up every later event
                self._send([_event(letters)])
            self._ledger.inbox.mark_sent(letter.id for letter in letters)
            if letters[0].event == WEBHOOK:
                self._last_sent[source] = time.monotonic()
        return wait

    def _work(self) -> None:
        wait, last_cleanup = 0.0, 0.0
        while not self._stopping:
            if self._wake.wait(wait):
                self._wake.clear()
            if self._stopping:
                return
            try:
                wait = self.send_due()
                if time.monotonic() - last_cleanup > 3600:
                    self._ledger.inbox.forget("webhook ", _KEEP_WEBHOOKS)
                    last_cleanup = time.monotonic()
            except (EventsNotSent, SQLAlchemyError, LedgerError):
                wait = self._poll_interval
            except Exception as error:  # noqa: BLE001 - a thread that ended would send nothing more, unnoticed
                logging.getLogger("labelwright").warning("events could not be sent: %s", type(error).__name__)
                wait = self._poll_interval


def _event(letters: list[Letter]) -> dict[str, Any]:
    """One event for letters of one source, under the id of the oldest, so that a repeated one is recognized."""
    first = letters[0]
    payload = dict(first.payload)
    if first.event == WEBHOOK:
        payload["notes"] = [
            {name: letter.payload.get(name) for name in ("kind", "campaign")} for letter in letters[:_MAX_NOTES]
        ]
        payload["count"] = len(letters)
    return {
        "id": first.id,
        "occurred": first.received_at.isoformat(),
        "event": first.event,
        "resource": first.resource,
        "payload": payload,
    }
