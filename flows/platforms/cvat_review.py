"""Flow for a round of reviews of a campaign on CVAT."""

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.cvat_review import request_review, settle_review


@flow(name="cvat-review-campaign", flow_run_name="review {title}")
@with_run_lease
def cvat_review_campaign(title: str) -> dict[str, int]:
    """Accepts approved jobs, returns rejected ones to labelers, and assigns newly completed ones to reviewers.

    Returns the number of jobs of each. Idempotent, so that it can run on a schedule.
    """
    accepted, rejected = settle_review(title)
    return {"accepted": accepted, "rejected": rejected, "to review": request_review(title)}
