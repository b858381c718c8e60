"""Pauses a campaign, so that no run is started for it."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from labelwright.tasks.campaign.interventions import pause
from labelwright.tasks.leases import with_run_lease


@flow(name="pause-campaign", flow_run_name="pause {title}")
@with_run_lease
def pause_campaign(title: str) -> State[None]:
    """Starts no run for a campaign until it is resumed. A run that works on it is to be cancelled in Prefect instead.

    The run's state says what was done.
    """
    return Completed(message=pause(title))
