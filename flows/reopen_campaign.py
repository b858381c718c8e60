"""Returns a campaign to its labelers."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from labelwright.tasks.campaign.interventions import reopen
from labelwright.tasks.leases import with_run_lease


@flow(name="reopen-campaign", flow_run_name="reopen {title}")
@with_run_lease
def reopen_campaign(title: str, wrong: bool = False, reason: str = "") -> State[None]:
    """Returns a campaign to its labelers. It is finished and exported again afterwards.

    wrong: only images with shapes that a dataset must not have. reason: what labelers are to correct; they see it.
    The run's state says what was done.
    """
    return Completed(message=reopen(title, wrong, reason))
