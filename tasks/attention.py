"""When a campaign cannot go on without a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import task

from labelwright.datasets import NotDelivered, SpoolDamaged, ValidationFailed
from labelwright.domain import IllegalMove, State
from labelwright.ingest import SourceError
from labelwright.ledger import CampaignBusy, LeaseLost, LedgerError
from labelwright.platforms import PlatformRefused
from labelwright.stores.protocol import ContentMismatch, UnsafeDataset

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
"""Failures that trying again does not mend."""


@task(task_run_name="ask for attention to {title}", **UNCACHED)
def ask_for_attention(title: str, reason: str, back_to: State | None = None) -> None:
    """Write down that the campaign needs a person, and why.

    back_to: the state in which it goes on when the person takes it up; by default the one in which it stands.
    """
    log().error("%s needs attention: %s", title, reason)
    if the_ledger().campaigns.find(title) is not None:
        try:
            the_ledger().campaigns.move(title, State.NEEDS_ATTENTION, reason, back_to)
        except IllegalMove:
            log().warning("%s stays %s", title, the_ledger().campaigns.get(title).state.value)


@contextmanager
def asking_for_attention(title: str) -> Iterator[None]:
    """Let a refusal be seen in the ledger before it ends the run. Whoever lost the campaign to another run says nothing
    of it."""
    try:
        yield
    except (CampaignBusy, LeaseLost):
        raise
    except REFUSALS as refusal:
        ask_for_attention(title, str(refusal))
        raise
