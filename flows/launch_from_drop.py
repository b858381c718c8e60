"""A campaign.yaml that arrived in the drop container, with its images beside it, becomes a campaign."""

from prefect import flow

from labelwright.tasks.campaign.drops import drop_lease, find_earlier_launch, record_drop_launch, read_dropped_campaign, recording_refusals
from labelwright.tasks.leases import named_lock

from .launch_campaign import launch_campaign


@flow(name="launch-from-drop", flow_run_name="launch from {blob}")
def launch_from_drop(blob: str, etag: str) -> str:
    """Launch the campaign of the file `blob`. Each version of it, told by `etag`, is launched once.

    Answers the campaign's title.
    """
    with named_lock(drop_lease(blob)):
        launched = find_earlier_launch(blob, etag)
        if launched is not None:
            return launched
        with recording_refusals(blob, etag):
            campaign = read_dropped_campaign(blob)
        with recording_refusals(blob, etag, campaign.title):
            title = launch_campaign(campaign)
        record_drop_launch(blob, etag, title)
    return title
