"""One look at every open campaign; what is complete is finished and exported."""

from prefect import flow

from labelwright.domain import LABELED, State
from labelwright.flows.campaign_export import export_campaign
from labelwright.flows.campaign_finish import finish_campaign
from labelwright.tasks.campaigns import delivered_campaigns, open_campaigns, read_progress
from labelwright.tasks.sweeping import look_at_all, note_failure, publish_overview


@flow(name="sweep-campaigns", flow_run_name="sweep")
def sweep_campaigns(finish: bool = True) -> dict[str, str]:
    """Answers the state of each campaign that was open. A campaign that fails delays no other one.

    finish: also finish and export what is completely labeled.
    """
    look_at_all(read_progress, delivered_campaigns())  # those of which something was taken back are open again
    states = look_at_all(read_progress, open_campaigns())
    for title, state in states.items():
        if finish and state in LABELED:
            with note_failure(title):
                if state is State.COMPLETED:
                    finish_campaign(title)
                export_campaign(title)
                states[title] = State.EXPORTED
    publish_overview()
    return {title: state.value for title, state in states.items()}
