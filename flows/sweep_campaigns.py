"""Checks all open campaigns, and starts the next step of those that no run works on."""

from typing import Any, Literal

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from labelwright.domain import Work
from labelwright.tasks.campaign.drops import start_drop, unanswered_drops
from labelwright.tasks.context import campaign_states, recorded_spec
from labelwright.tasks.events import send_events
from labelwright.tasks.leases import named_lock
from labelwright.tasks.sweep.cancelled_runs import pause_cancelled
from labelwright.tasks.sweep.dead_runs import free_dead_runs
from labelwright.tasks.sweep.overview import (
    SweepReport,
    emit_stalled_events,
    logging_failure,
    publish_overview,
    require_access,
)
from labelwright.tasks.sweep.refresh import refresh_all
from labelwright.tasks.sweep.restarts import DueWork, due_work, record_start, start_run

from .deliver_campaign import deliver_campaign
from .finish_campaign import finish_campaign
from .launch_campaign import launch_campaign

TASK_RUNNER: Any = ThreadPoolTaskRunner(max_workers=64)


@flow(name="sweep-campaigns", flow_run_name="sweep", task_runner=TASK_RUNNER)
def sweep_campaigns(go_on: Literal["here", "by runs", "no"] = "here") -> SweepReport:
    """Checks every open campaign. A campaign that fails does not delay the others.

    Returns the state of each, and as attributes the campaigns that could not be checked (see `SweepReport`).

    go_on: how campaigns that are completely labeled, or whose launch was interrupted, continue: within this run, in
    separate flow runs (which needs the deployments and a worker), or not at all.
    """
    with named_lock("sweep"):
        pause_cancelled()
        free_dead_runs()
        result = refresh_all()
        emit_stalled_events()
        send_events()
        due = due_work() if go_on != "no" else []
        for work in due:
            with logging_failure(work.title, result):
                if go_on == "by runs":
                    start_run(work)
                else:
                    run_within_sweep(work)
        for letter, attempt in unanswered_drops() if go_on == "by runs" else []:
            with logging_failure(letter.payload["blob"], result):
                start_drop(letter, attempt)
        publish_overview(result.failures)
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
