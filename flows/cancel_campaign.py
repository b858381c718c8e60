"""Cancels a campaign."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from labelwright.tasks.campaign.interventions import cancel
from labelwright.tasks.leases import with_run_lease


@flow(name="cancel-campaign", flow_run_name="cancel {title}")
@with_run_lease
def cancel_campaign(title: str, delete: bool = False) -> State[None]:
    """Cancels a campaign: nothing more is done with it.

    delete: also delete the campaign on its platform. The run's state says what was done.
    """
    return Completed(message=cancel(title, delete))
