"""Runs a campaign from images to datasets in one flow run, for short campaigns on one machine."""

from typing import Any

from prefect import flow

from labelwright.campaigns.queue import waiting_lease
from labelwright.campaigns.spec import CampaignSpec
from labelwright.domain import State
from labelwright.tasks.campaign.waiting import wait_for_labels
from labelwright.tasks.credentials import Credentials, with_credentials
from labelwright.tasks.leases import named_lock

from .export_campaign import export_campaign
from .finish_campaign import finish_campaign
from .launch_campaign import launch_campaign


@flow(name="run-campaign", flow_run_name="run {campaign.title}")
def run_campaign(
    campaign: CampaignSpec, wait_hours: float = 24, look_every: float = 30, credentials: Credentials | None = None
) -> list[dict[str, Any]]:
    """Launches a campaign, waits for the labels, finishes and exports. Run again, it continues where it stopped.

    wait_hours: how long this run waits for labels. look_every: seconds between two checks of the progress.
    credentials: a block of the campaign's platform, instead of the connection that the campaign names.
    Returns the registered datasets. Raises LabelsLate when labels are missing after that time.
    """
    campaign = with_credentials(campaign, credentials)
    with named_lock(waiting_lease(campaign.title)):
        title = launch_campaign(campaign)
        if wait_for_labels(title, wait_hours, look_every) is State.COMPLETED:
            finish_campaign(title)
        return export_campaign(title)
