"""Finishes and exports many campaigns in one run."""

from httpx import TransportError
from prefect import flow

from labelwright.tasks.context import campaign_states
from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.sweep.overview import SweepReport, logging_failure
from labelwright.tasks.sweep.queue_runs import claimed_campaigns
from labelwright.tasks.sweep.refresh import SweepResult
from labelwright.tasks.sweep.slots import start_next_runs

from .finish_campaign import finish_campaign


@flow(
    name="finish-campaigns",
    flow_run_name="finish waiting campaigns",
    on_completion=[start_next_runs],
    on_failure=[start_next_runs],
)
@with_run_lease
def finish_campaigns() -> SweepReport:
    """Finishes and exports campaigns that wait for it, one after the other, the oldest first, until none waits.

    Several runs at once share the queue. Each campaign is a run of `finish-campaign` within this one; one that fails
    does not delay the others. After 15 minutes, or when Prefect's server does not respond, no further campaign is
    begun, and the next run goes on.

    Returns the state of each, and as an attribute why it could not go on (see `SweepReport`).
    """
    result, titles = SweepResult(), list[str]()
    prefect_responds = True
    for title in claimed_campaigns():
        titles.append(title)
        with logging_failure(title, result):
            try:
                finish_campaign(title, export=True)
            except TransportError:  # a busy server is repeated by Prefect's client, and concerns one campaign alone
                prefect_responds = False
                raise
        if not prefect_responds:  # no campaign would come further, and each would lose an attempt
            break
    return SweepReport(campaign_states(titles), result)
