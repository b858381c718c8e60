"""Launches a campaign: from images to a campaign that labelers can work on."""

from prefect import flow

from labelwright.campaigns.spec import CampaignSpec
from labelwright.tasks.campaign.batch_upload import (
    keeps_image_sets,
    list_missing_images,
    refuse_missing_batches,
    send_images,
    wait_for_batch,
)
from labelwright.tasks.campaign.billing import announce_bill, bills_tasks
from labelwright.tasks.campaign.image_checks import check_images, register_campaign
from labelwright.tasks.campaign.image_set_upload import (
    create_image_set,
    find_missing_images,
    match_images,
    refuse_missing,
    seal_image_set,
    upload_batches,
    wait_for_image_set,
)
from labelwright.tasks.campaign.lifecycle import activate_campaign, add_images, create_campaign, position_ranges
from labelwright.tasks.campaign.summary import show_campaign
from labelwright.tasks.credentials import Credentials, with_credentials
from labelwright.tasks.leases import campaign_lock
from labelwright.tasks.sweep.slots import start_next_runs

ROUNDS = 3
"""How often a run sends images that are missing on the platform."""


@flow(
    name="launch-campaign",
    flow_run_name="launch {campaign.title}",
    on_completion=[start_next_runs],
    on_failure=[start_next_runs],
)
def launch_campaign(campaign: CampaignSpec, credentials: Credentials | None = None) -> str:
    """Checks and uploads the images, creates the campaign and activates it. Idempotent: does only what is missing.

    credentials: a block of the campaign's platform, instead of the connection that the campaign names.
    Returns the campaign's title.
    """
    campaign = with_credentials(campaign, credentials)
    with campaign_lock(campaign.title, "launch", begins=False):
        title = register_campaign(campaign)
        check_images(title)
        if bills_tasks(title):
            announce_bill(title)
        if keeps_image_sets(title):
            make_image_set(title)
            create_campaign(title)
            for first, last in position_ranges(title):
                add_images(title, first, last)
        else:
            create_campaign(title)
            fill_campaign(title)
        activate_campaign(title)
        show_campaign(title)
    return title


def make_image_set(title: str) -> None:
    """Uploads the images into a set on the platform, seals it, and waits until it is processed."""
    create_image_set(title)
    for _ in range(ROUNDS):
        batches = find_missing_images(title)
        if not batches:
            break
        upload_batches(title, batches)
    else:
        refuse_missing(title)
    seal_image_set(title)
    wait_for_image_set(title)
    match_images(title)


def fill_campaign(title: str) -> None:
    """Sends the images into the campaign itself, batch by batch, until none is missing."""
    message = ""
    batches = list_missing_images(title)
    for _ in range(ROUNDS):
        for batch in batches:
            send_images(title, batch)
        for batch in batches:
            message = wait_for_batch(title, batch) or message
        batches = list_missing_images(title) if batches else []
        if not batches:
            return
    refuse_missing_batches(title, batches, message)
