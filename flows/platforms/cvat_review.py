"""A round of reviews of a campaign on CVAT."""

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.cvat_review import request_review, settle_review


@flow(name="cvat-review-campaign", flow_run_name="review {title}")
@with_run_lease
def cvat_review_campaign(title: str) -> dict[str, int]:
    """Accept what reviewers approved, give back what they rejected, and hand them what labelers completed since.

    Returns how many jobs each of it were. Run it again as often as you like; a schedule does.
    """
    accepted, rejected = settle_review(title)
    return {"accepted": accepted, "rejected": rejected, "to review": request_review(title)}
