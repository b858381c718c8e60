"""Launches a campaign from a campaign.yaml in the drop container, with its images beside it."""

from prefect import flow

from labelwright.tasks.campaign.drops import (
    drop_lease,
    find_earlier_launch,
    read_dropped_campaign,
    record_drop_launch,
    recording_refusals,
)
from labelwright.tasks.leases import named_lock

from .launch_campaign import launch_campaign


@flow(name="launch-from-drop", flow_run_name="launch from {blob}")
def launch_from_drop(blob: str, etag: str) -> str:
    """Launches the campaign of a file. Each version of the file is launched once. Returns the campaign's title.

    blob: the file's name in the container. etag: identifies its version.
    """
    with named_lock(drop_lease(blob)):
        launched = find_earlier_launch(blob, etag)
        if launched is not None:
            return launched
        with recording_refusals(blob, etag):
            campaign = read_dropped_campaign(blob)
        with recording_refusals(blob, etag, campaign.title, campaign):
            title = launch_campaign(campaign)
        record_drop_launch(blob, etag, title)
    return title
