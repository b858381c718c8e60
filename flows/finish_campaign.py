"""Closes a labeled campaign on its platform."""

from prefect import flow

from labelwright.campaigns.queue import finishing_lease
from labelwright.tasks.campaign.lifecycle import close_campaign, refuse_unlabeled
from labelwright.tasks.campaign.platform_labels import check_platform_labels
from labelwright.tasks.campaign.progress import read_progress
from labelwright.tasks.export.checks import check_labels
from labelwright.tasks.export.labels import read_all_labels
from labelwright.tasks.leases import campaign_lock, named_lock
from labelwright.tasks.sweep.slots import start_next_runs

from .export_campaign import export_campaign


@flow(
    name="finish-campaign",
    flow_run_name="finish {title}",
    on_completion=[start_next_runs],
    on_failure=[start_next_runs],
)
def finish_campaign(title: str, export: bool = False) -> None:
    """Checks the labels while the campaign can still be returned to its labelers, then closes it.

    A campaign file with `export.partial` may leave images out that can still be corrected: then it is not closed.
    export: also write the files and register the datasets.
    Raises ValidationFailed with the errors in the labels; the campaign then needs attention.
    """
    with named_lock(finishing_lease(title)):
        with campaign_lock(title, "finish"):
            refuse_unlabeled(title, read_progress(title))
            check_platform_labels(title)
            read_all_labels(title)
            if check_labels(title):
                close_campaign(title)
        if export:
            export_campaign(title)
