"""Lists, resends or leaves out images that failed on the platform."""

from prefect import flow

from labelwright.tasks.campaign.failed_images import (
    drop_failed_images,
    in_batches,
    list_failed_images,
    resend_failed_images,
    resume_campaign,
)
from labelwright.tasks.leases import campaign_lock


@flow(name="settle-failed-images", flow_run_name="failed images of {title}")
def settle_failed_images(title: str, send_again: bool = False, leave_out: bool = False) -> list[dict[str, str]]:
    """Lists the failed images of a campaign with their reasons, and resends them or leaves them out.

    send_again: replace them by new ones, from the campaign's source of images.
    leave_out: remove them from the campaign, which is then complete without them.
    Either returns a campaign that needed attention to its previous state. Returns file and reason of each failed image.
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
