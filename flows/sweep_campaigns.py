"""Checks all open campaigns, and starts the next step of those that no run works on."""

from typing import Any, Literal

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from labelwright.domain import Work
from labelwright.tasks.campaign.drops import start_drop, unanswered_drops
from labelwright.tasks.context import campaign_states, recorded_spec
from labelwright.tasks.events import send_events
from labelwright.tasks.leases import named_lock, skipped_while_busy
from labelwright.tasks.retries import without_task_run
from labelwright.tasks.sweep.cancelled_runs import pause_cancelled
from labelwright.tasks.sweep.dead_runs import free_dead_runs
from labelwright.tasks.sweep.lost_runs import restart_lost_runs
from labelwright.tasks.sweep.overview import (
    SweepReport,
    emit_stalled_events,
    logging_failure,
    publish_overview,
    require_access,
)
from labelwright.tasks.sweep.refresh import refresh_all
from labelwright.tasks.sweep.restarts import DueWork, due_work, record_start, start_run
from labelwright.tasks.sweep.retention import mark_quiet, remove_old_runs
from labelwright.tasks.sweep.slots import Starts, start_finishing_runs, within_slots

from .deliver_campaign import deliver_campaign
from .finish_campaign import finish_campaign
from .launch_campaign import launch_campaign

TASK_RUNNER: Any = ThreadPoolTaskRunner(max_workers=64)


@flow(name="sweep-campaigns", flow_run_name="sweep", task_runner=TASK_RUNNER)
@skipped_while_busy
def sweep_campaigns(go_on: Literal["here", "by runs", "no"] = "here") -> SweepReport:
    """Checks every open campaign. A campaign that fails does not delay the others.

    Returns the state of each, and as attributes the campaigns that could not be checked (see `SweepReport`).

    go_on: how campaigns that are completely labeled, or whose launch was interrupted, continue: within this run, in
    separate flow runs (which needs the deployments and a worker; no more than these have free slots, and many campaigns
    share a run that finishes them), or not at all.
    """
    with named_lock("sweep"):
        handled = [*without_task_run(pause_cancelled), *without_task_run(free_dead_runs)]
        if go_on == "by runs":
            restarted: list[str] = without_task_run(restart_lost_runs)
            handled += restarted
        result = refresh_all()
        events = emit_stalled_events() + send_events()
        due = due_work() if go_on != "no" else []
        starts = within_slots(due) if go_on == "by runs" else Starts(due)
        for work in starts.single:
            with logging_failure(work.title, result):
                if go_on == "by runs":
                    start_run(work)
                else:
                    run_within_sweep(work)
        if starts.finish_many:
            start_finishing_runs(starts.finish_many)
        drops = unanswered_drops() if go_on == "by runs" else []
        for letter, attempt in drops:
            with logging_failure(letter.payload["blob"], result):
                start_drop(letter, attempt)
        publish_overview(result.failures)
        if not (result.changed or result.failures or handled or events or due or drops):
            mark_quiet()
        remove_old_runs()
    report = SweepReport(campaign_states([*result.states, *(work.title for work in due)]), result)
    require_access(result, report)
    return report


def run_within_sweep(due: DueWork) -> None:
    """Launches, delivers or finishes the campaign within this run."""
    record_start(due)
    if due.work is Work.LAUNCH:
        launch_campaign(recorded_spec(due.title))
    elif due.work is Work.DELIVER:
        deliver_campaign(due.title, accept_partial=True)
    else:
        finish_campaign(due.title, export=True)
