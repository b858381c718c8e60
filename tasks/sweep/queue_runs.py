"""Campaigns that one run finishes, one after the other: starting the process of a run costs more than finishing."""

from __future__ import annotations

import time
from collections.abc import Iterator

from labelwright.campaigns.queue import start_step
from labelwright.domain import Work
from labelwright.tasks.context import the_ledger

from .restarts import DueWork, due_work
from .slots import in_order

TAKES_FOR = 15 * 60.0
"""Seconds after which a run begins no further campaign, so that a new version or setting is in use soon."""


def claimed_campaigns() -> Iterator[str]:
    """The titles of campaigns that wait to be finished. Each is this run's when it is given.

    Another run that finishes campaigns at the same time is given others: who records an attempt first has it.
    """
    end, tried = time.monotonic() + TAKES_FOR, set[str]()
    while waiting := [due for due in in_order(due_work()) if due.work is Work.FINISH and due.title not in tried]:
        for due in waiting:
            if time.monotonic() >= end:
                return
            tried.add(due.title)
            if _claim(due):
                yield due.title


def _claim(due: DueWork) -> bool:
    """Record the attempt. Returns False when another run did, or when the campaign waits for nothing any more."""
    ledger, step = the_ledger(), start_step(due.work)
    if len(ledger.campaigns.moves(due.title)) != due.generation or not ledger.effects.intend(due.title, step, due.item):
        return False
    ledger.effects.settle(due.title, step, "within a run of many", due.item)
    return True
