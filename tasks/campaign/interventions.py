"""What a person decides about a campaign in Prefect or on the operations page, as the commands do it."""

from __future__ import annotations

from labelwright.campaigns import interventions
from labelwright.campaigns.kept_keys import KeptKeys
from labelwright.campaigns.reopening import Selection
from labelwright.domain import Work
from labelwright.domain.commands import quoted
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import settings
from labelwright.tasks.chaining import task
from labelwright.tasks.context import recorded_spec, the_ledger
from labelwright.tasks.retries import RETRY_POLICY


@task(task_run_name="resume {title}", **RETRY_POLICY)
def resume(title: str) -> Work | None:
    """Return the campaign to the state before it was blocked. Returns the work that is due now, if any."""
    return interventions.retry_blocked(title)[1]


@task(task_run_name="pause {title}", **RETRY_POLICY)
def pause(title: str) -> str:
    """Pause the campaign. Returns what was done, as a sentence."""
    return interventions.pause(title)


@task(task_run_name="cancel {title}", **RETRY_POLICY)
def cancel(title: str, delete: bool) -> str:
    """Cancel the campaign; delete: also on its platform. Returns what was done, as a sentence."""
    return f"'{title}' is cancelled; {interventions.cancel(title, CONNECTIONS, delete=delete)}"


@task(task_run_name="reopen {title}", **RETRY_POLICY)
def reopen(title: str, wrong: bool, reason: str) -> str:
    """Return the campaign, or its images with wrong shapes, to its labelers. Returns what was done, as a sentence."""
    return interventions.reopen(title, CONNECTIONS, Selection(wrong=wrong, reason=reason))


@task(task_run_name="make a new labeler key for {title}", **RETRY_POLICY)
def rotate_key(title: str) -> str:
    """Have the platform make a new key for the campaign's labeler, and keep it. Returns where it is, never the key."""
    spec = recorded_spec(title)
    interventions.rotate_labeler_key(spec, KeptKeys(settings(), the_ledger(), CONNECTIONS), CONNECTIONS)
    return f"{spec.labeler} has a new key, the old one does not work any more: labelwright labeler-key {quoted(title)}"
