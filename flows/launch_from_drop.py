"""A campaign.yaml that arrived in the drop container, with its images beside it, becomes a campaign."""

from prefect import flow

from labelwright.tasks.campaign.drops import drop_lease, launched_before, note_launched, read_dropped_campaign, settling
from labelwright.tasks.leases import named_lock

from .launch_campaign import launch_campaign


@flow(name="launch-from-drop", flow_run_name="launch from {blob}")
def launch_from_drop(blob: str, etag: str) -> str:
    """Launch the campaign of the file `blob`. Each version of it, told by `etag`, is launched once.

    Answers the campaign's title.
    """
    with named_lock(drop_lease(blob)):
        known = launched_before(blob, etag)
        if known is not None:
            return known
        with settling(blob, etag):
            campaign = read_dropped_campaign(blob)
        with settling(blob, etag, campaign.title):
            title = launch_campaign(campaign)
        note_launched(blob, etag, title)
    return title
