"""What becomes of images that a platform could not take."""

from prefect import flow

from labelwright.tasks.campaign.failed_images import (
    in_batches,
    drop_failed_images,
    list_failed_images,
    resend_failed_images,
    resume_campaign,
)
from labelwright.tasks.leases import campaign_lock


@flow(name="settle-failed-images", flow_run_name="failed images of {title}")
def settle_failed_images(title: str, send_again: bool = False, leave_out: bool = False) -> list[dict[str, str]]:
    """List the failed images of a campaign with their reasons, and do with them what is asked.

    send_again: put new ones in their place, from where the images came from.
    leave_out: take them out of the campaign, which is then complete without them.
    After either a campaign that needed attention is with its labelers again.
    Answers file and reason of each image that failed.
    """
    if send_again and leave_out:
        raise ValueError("failed images are sent again or left out, not both")
    with campaign_lock(title, "settle failed images"):
        failed = list_failed_images(title)
        if send_again:
            for names in in_batches(title, failed):
                resend_failed_images(title, names)
        if leave_out and failed:
            drop_failed_images(title)
        if send_again or leave_out:
            resume_campaign(title)
    return failed
