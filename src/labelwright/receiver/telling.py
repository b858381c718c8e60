"""From the inbox to Prefect: what was not sent yet is sent, at every start too; at most twice, under the same id."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from labelwright.ledger import Ledger, LedgerError, Letter
from labelwright.prefect_integration.events import NeverTaken, NotSent, send_to_prefect

from .webhooks import EVENT as WEBHOOK

Send = Callable[[Sequence[dict[str, Any]]], None]
"""Sends events, or raises NotSent or NeverTaken."""

__all__ = ["NeverTaken", "NotSent", "Teller", "send_to_prefect"]

_SHOWN = 50
_REMEMBERED = timedelta(days=30)


class Teller:
    """A thread that sends what waits in the inbox.

    gather: seconds between two events of one connection, so that ten thousand callbacks do not start as many sweeps.
    look_every: seconds between two looks when nobody wakes it; as long it waits after a failure.
    """

    def __init__(self, ledger: Ledger, send: Send, *, gather: float = 10, look_every: float = 15) -> None:
        self._ledger, self._send = ledger, send
        self._gather, self._look_every = gather, look_every
        self._news, self._ending = threading.Event(), False
        self._told: dict[str, float] = {}  # when a connection's notes were last told on, on the monotonic clock
        self._thread = threading.Thread(target=self._work, name="teller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What waits is sent at the next start."""
        self._ending = True
        self._news.set()
        self._thread.join(timeout=10)

    def wake(self) -> None:
        self._news.set()

    def tell(self) -> float:
        """Send what is due. Answers how many seconds to wait for what is not. Raises NotSent."""
        by_source: dict[str, list[Letter]] = {}
        for letter in self._ledger.inbox.waiting():
            # Notes of a connection are told together, each drop by itself.
            by_source.setdefault(letter.source if letter.event == WEBHOOK else letter.id, []).append(letter)
        wait = self._look_every
        for source, letters in by_source.items():
            early = self._told.get(source, -self._gather) + self._gather - time.monotonic()
            if letters[0].event == WEBHOOK and early > 0:
                wait = min(wait, early)
                continue
            with suppress(NeverTaken):  # else it would hold up all that came after it
                self._send([_event(letters)])
            self._ledger.inbox.mark_sent(letter.id for letter in letters)
            if letters[0].event == WEBHOOK:
                self._told[source] = time.monotonic()
        return wait

    def _work(self) -> None:
        wait, forgot = 0.0, 0.0
        while not self._ending:
            if self._news.wait(wait):
                self._news.clear()
            if self._ending:
                return
            try:
                wait = self.tell()
                if time.monotonic() - forgot > 3600:
                    self._ledger.inbox.forget("webhook ", _REMEMBERED)
                    forgot = time.monotonic()
            except (NotSent, SQLAlchemyError, LedgerError):
                wait = self._look_every
            except Exception as error:  # noqa: BLE001 - a thread that ends tells nothing any more, and nobody sees it
                logging.getLogger("labelwright").warning("what came could not be told on: %s", type(error).__name__)
                wait = self._look_every


def _event(letters: list[Letter]) -> dict[str, Any]:
    """One event for letters of one source, under the id of the oldest: sent again after a crash it is the same one."""
    first = letters[0]
    payload = dict(first.payload)
    if first.event == WEBHOOK:
        payload["notes"] = [
            {name: letter.payload.get(name) for name in ("kind", "campaign")} for letter in letters[:_SHOWN]
        ]
        payload["count"] = len(letters)
    return {
        "id": first.id,
        "occurred": first.received_at.isoformat(),
        "event": first.event,
        "resource": first.resource,
        "payload": payload,
    }
