"""Records that a campaign needs a person before it can go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from labelwright.campaigns.changes import CampaignChanged
from labelwright.campaigns.next_steps import names_command
from labelwright.datasets import NotDelivered, SpoolDamaged, ValidationFailed
from labelwright.domain import IllegalMove, State
from labelwright.domain.commands import quoted
from labelwright.domain.errors import error_code_of, with_code
from labelwright.ingest import SourceError
from labelwright.ledger import CampaignBusy, LeaseLost, LedgerError
from labelwright.platforms import PlatformRefused
from labelwright.stores.protocol import ContentMismatch, UnsafeDataset
from labelwright.tasks.chaining import task

from .context import the_ledger
from .reporting import log
from .retries import UNCACHED

REFUSALS = (
    PlatformRefused,
    LedgerError,
    SourceError,
    ValidationFailed,
    NotDelivered,
    SpoolDamaged,
    ContentMismatch,
    UnsafeDataset,
)
"""Errors that a retry cannot fix."""


@task(task_run_name="ask for attention to {title}", **UNCACHED)
def ask_for_attention(title: str, reason: str, code: str, back_to: State | None = None) -> None:
    """Move the campaign to "needs attention" and record the reason, with its error code at the end.

    reason: names a command that leads on; without one, `labelwright resume` is added.
    back_to: the state to which `labelwright resume` returns it; by default its present state.
    """
    reason = with_code(with_command(title, reason), code)
    log().error("%s needs attention: %s", title, reason)
    campaigns = the_ledger().campaigns
    if campaigns.find(title) is not None:
        try:
            campaigns.move(title, State.NEEDS_ATTENTION, reason, back_to)
        except IllegalMove:
            log().warning("%s stays %s", title, campaigns.get(title).state.value)
        _update_page(title)


def _update_page(title: str) -> None:
    """Write the campaign's page anew, so that it shows the state and the reason that the ledger has."""
    from .campaign.summary import publish_summary  # which imports modules that ask for attention

    try:
        publish_summary(title)
    except Exception as error:  # noqa: BLE001 - the reason is recorded, and the run ends with its own error
        log().warning("the page of %s could not be written: %s", title, error)


@contextmanager
def asking_for_attention(title: str) -> Iterator[None]:
    """Record a refusal in the ledger before it ends the run.

    A run that lost the campaign to another run records nothing: the other run goes on with it. Nor does one of another
    campaign file with a title that is in use: the campaign of that title has nothing to do with it.
    """
    try:
        yield
    except (CampaignBusy, LeaseLost, CampaignChanged):
        raise
    except REFUSALS as error:
        ask_for_attention(title, reason_of(title, error), error_code_of(error))
        raise


def reason_of(title: str, error: Exception) -> str:
    """The reason for attention that a refusal is: its message, and the commands that lead on."""
    message = str(error)
    if isinstance(error, ValidationFailed):
        return (
            f"{message}\nCorrect the labels on the platform, or allow more in the campaign file: labelwright change "
            f"'{title}' CAMPAIGN.YAML. Then: labelwright resume {quoted(title)}"
        )
    return with_command(title, message)


def with_command(title: str, reason: str) -> str:
    """The reason, with `labelwright resume` at its end if it names no command for this campaign."""
    if names_command(title, reason):
        return reason
    return f"{reason.rstrip().rstrip('.')}. When that is done: labelwright resume {quoted(title)}"
