"""Replaces the key of a campaign's labeler."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from labelwright.tasks.campaign.interventions import rotate_key
from labelwright.tasks.leases import with_run_lease


@flow(name="rotate-labeler-key", flow_run_name="new labeler key for {title}")
@with_run_lease
def rotate_labeler_key(title: str) -> State[None]:
    """Has the platform make a new key for the campaign's labeler. The old one stops working at once.

    The key is kept as the worker's settings say, and is in no result, log or artifact.
    """
    return Completed(message=rotate_key(title))
