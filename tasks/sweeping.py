"""Looking at campaigns: all at once for a sweep, one again and again for a run that waits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import Task, task

from labelwright.domain import LABELED, State
from labelwright.platforms import PlatformUnavailable
from labelwright.spec import CampaignSpec

from .campaigns import read_progress
from .reporting import log, publish_table
from .workbench import the_ledger


class LabelsLate(Exception):
    """The wait is over and labels are missing; nothing is lost."""


def look_at_all(look: Task[[str], State], titles: Sequence[str]) -> dict[str, State]:
    """Look at each campaign. One that cannot be looked at is told in the log, and missing here."""
    futures = {title: look.submit(title) for title in titles}
    states: dict[str, State] = {}
    for title, future in futures.items():
        found = future.result(raise_on_failure=False)
        if isinstance(found, State):
            states[title] = found
        else:
            log().error("%s could not be looked at: %s", title, found)
    return states


@contextmanager
def note_failure(title: str) -> Iterator[None]:
    """A campaign that fails delays no other one: the failure is logged, the next sweep tries again."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the other campaigns go on
        log().error("%s was not finished: %s", title, error)


@task(task_run_name="wait for the labels of {title}")
def wait_for_labels(title: str, wait_hours: float, look_every: float) -> State:
    """Until every image is labeled. Answers the campaign's state.

    An outage of the platform is waited out. Raises LabelsLate at the end of the wait, or at the campaign's deadline.
    """
    end = time.monotonic() + wait_hours * 3600
    spec = CampaignSpec.model_validate(the_ledger().campaigns.get(title).spec)
    while True:
        try:
            state = read_progress.fn(title)
        except PlatformUnavailable as error:
            log().warning("%s could not be looked at: %s", title, error)
            state = the_ledger().campaigns.get(title).state
        if state in LABELED:
            return state
        if time.monotonic() >= end:
            record = the_ledger().campaigns.get(title)
            due = f" They are due {spec.deadline:%Y-%m-%d %H:%M %Z}." if spec.deadline else ""
            raise LabelsLate(
                f"'{title}': {record.done} of {record.total} images are labeled after {wait_hours:g} hours.{due} "
                "Nothing is lost: run the same again to go on waiting, or let a sweep look"
            )
        time.sleep(max(0.0, min(look_every, end - time.monotonic())))


@task(task_run_name="overview of all campaigns")
def publish_overview() -> None:
    """One table of all campaigns in the Prefect UI."""
    rows: list[dict[str, Any]] = [
        {
            "campaign": record.title,
            "state": record.state.value,
            "done": record.done,
            "total": record.total,
            "looked at": record.looked_at.isoformat(timespec="minutes") if record.looked_at else "",
            "reason": record.reason or "",
        }
        for record in the_ledger().campaigns.all()[:500]
    ]
    publish_table("all", "campaigns", rows, "Campaigns")
