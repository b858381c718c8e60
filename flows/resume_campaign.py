"""Resumes a campaign that needs attention, is paused, or whose run was interrupted."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from labelwright.domain import Work
from labelwright.tasks.campaign.interventions import resume
from labelwright.tasks.context import campaign_states, recorded_spec
from labelwright.tasks.leases import with_run_lease

from .finish_campaign import finish_campaign
from .launch_campaign import launch_campaign


@flow(name="resume-campaign", flow_run_name="resume {title}")
@with_run_lease
def resume_campaign(title: str) -> State[None]:
    """Goes on with a campaign from where it stopped, and does the work that is due within this run.

    The run's state says where the campaign is then.
    """
    work = resume(title)
    if work is Work.LAUNCH:
        launch_campaign(recorded_spec(title))
    elif work is Work.FINISH:
        finish_campaign(title, export=True)
    return Completed(message=f"'{title}' was resumed and is {campaign_states([title])[title]}")
