"""Waiting for the labels of one campaign, in a run that goes from images to datasets."""

from __future__ import annotations

import time

from labelwright.campaigns.spec import stored_spec
from labelwright.campaigns.time_zones import show_moment
from labelwright.domain import BLOCKED, LABELED, State
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.tasks.chaining import task
from labelwright.tasks.context import the_ledger
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import UNCACHED

from .progress import read_progress


class LabelsLate(Exception):
    """The wait is over and labels are missing."""

    error_code = "LW1309"


@task(task_run_name="wait for the labels of {title}", **UNCACHED)
def wait_for_labels(title: str, wait_hours: float, look_every: float) -> State:
    """Wait until every image is labeled. Returns the campaign's state.

    look_every: seconds between two reads of the progress; longer after an outage of the platform with Retry-After.
    Raises LabelsLate at the end of the wait, whatever the campaign's deadline is, and PlatformRefused when the campaign
    needs attention or was cancelled.
    """
    campaigns = the_ledger().campaigns
    end = time.monotonic() + wait_hours * 3600
    spec = stored_spec(campaigns.get(title).spec)
    while True:
        pause = look_every
        try:
            state = read_progress.fn(title)
        except PlatformUnavailable as error:
            pause = max(look_every, error.seconds_to_wait())
            log().warning("%s could not be checked: %s", title, error)
            state = campaigns.get(title).state
        if state in LABELED:
            return state
        if state in BLOCKED or state is State.CANCELLED:
            reason = campaigns.get(title).reason or "it was cancelled"
            raise PlatformRefused(spec.platform, f"label '{title}'", message=f"it is {state.value}: {reason}")
        if time.monotonic() >= end:
            record = campaigns.get(title)
            due = f" They are due {show_moment(spec.deadline, spec.timezone)}." if spec.deadline else ""
            raise LabelsLate(
                f"'{title}': {record.done} of {record.total} images are labeled after {wait_hours:g} hours.{due} "
                "Nothing is lost: run the same command again to wait on, or let the scheduled sweep check it"
            )
        time.sleep(max(0.0, min(pause, end - time.monotonic())))
