"""One look at every open campaign; what is complete is finished and exported."""

from typing import Any

from prefect import flow

from labelwright.flows.campaign_export import export_campaign
from labelwright.flows.campaign_finish import finish_campaign
from labelwright.tasks.campaigns import open_campaigns, read_progress
from labelwright.tasks.sweeping import look_at_all, note_failure, publish_overview


@flow(name="sweep-campaigns", flow_run_name="sweep")
def sweep_campaigns(finish: bool = True) -> dict[str, str]:
    """Answers the state of each campaign that was open. A campaign that fails delays no other one.

    finish: also finish and export what is completely labeled.
    """
    states: dict[str, Any] = look_at_all(read_progress, open_campaigns())
    if finish:
        for title in [title for title, state in states.items() if state in ("completed", "finished")]:
            with note_failure(title):
                if states[title] == "completed":
                    finish_campaign(title)
                export_campaign(title)
                states[title] = "exported"
    publish_overview()
    return states
