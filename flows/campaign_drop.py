"""A campaign.yaml that arrived in the drop container, with its images beside it, becomes a campaign."""

from prefect import flow

from labelwright.flows.campaign_launch import launch_campaign
from labelwright.tasks.drops import launched_before, note_launched, read_dropped_campaign


@flow(name="launch-from-drop", flow_run_name="launch from {blob}")
def launch_from_drop(blob: str, etag: str) -> str:
    """Launch the campaign of the file `blob`. Each version of it, told by `etag`, is launched once.

    Answers the campaign's title.
    """
    known = launched_before(blob, etag)
    if known is not None:
        return known
    title = launch_campaign(read_dropped_campaign(blob))
    note_launched(blob, etag, title)
    return title
