"""Decides whether a campaign file may be launched under its title: for the first time, again, or not any more."""

from __future__ import annotations

from collections.abc import Callable

from labelwright.domain import State
from labelwright.domain.commands import quoted
from labelwright.ledger import CampaignRecord, Ledger, LedgerError
from labelwright.platforms.protocol import KeepsImageSets, Platform

from .differences import LOCAL, differences
from .spec import CampaignSpec, stored_spec

_MAKING = ("create image set", "create campaign")
"""The first steps that make something on a platform: without them nothing of a campaign exists there."""


class CampaignChanged(LedgerError):
    """The title is in use by another campaign, or by a campaign that the file would change. Nothing was changed."""

    error_code = "LW1203"


def may_be_replaced(ledger: Ledger, record: CampaignRecord) -> bool:
    """Whether the ledger has no sign that anything of the campaign was made on its platform.

    A step that was begun and broke off is no sign: see `nothing_made`.
    """
    steps = [effect for step in _MAKING for effect in ledger.effects.of_step(record.title, step)]
    return record.image_set is None and record.remote_id is None and all(step.done_at is None for step in steps)


def nothing_made(ledger: Ledger, record: CampaignRecord, connect: Callable[[], Platform]) -> bool:
    """Whether nothing of the campaign exists on its platform, which is asked if a step broke off.

    connect: returns the platform of the recorded campaign. Raises PlatformError.
    """
    if not may_be_replaced(ledger, record):
        return False
    if not any(ledger.effects.of_step(record.title, step) for step in _MAKING):
        return True
    platform = connect()
    if platform.find_campaign(record.title) is not None:
        return False
    return not isinstance(platform, KeepsImageSets) or platform.find_image_set(record.title) is None


def refuse_changes(record: CampaignRecord, spec: CampaignSpec) -> None:
    """Raises CampaignChanged when a campaign of which something was made differs in more than LOCAL, or is cancelled.

    spec: with absolute paths, as the ledger records it.
    """
    title, state = record.title, record.state
    if state is State.CANCELLED:
        raise CampaignChanged(
            f"the title '{title}' is in use by a campaign that was cancelled, and what was made of it is still on its "
            f"platform. Choose another title; to go on with that campaign: labelwright forget {quoted(title)}, then "
            f"labelwright adopt {quoted(title)} --file CAMPAIGN.YAML"
        )
    before = stored_spec(record.spec)
    found = [difference for difference in differences(before, spec) if difference.field not in LOCAL]
    if not found:
        return
    progress = f", {record.done} of {record.images} images labeled" if record.images else ""
    be = "" if state is State.NEEDS_ATTENTION else "is "
    head = f"the title '{title}' is in use: that campaign {be}{state.value}{progress}, on {before.platform}"
    refused = next((difference for difference in found if difference.refusal), None)
    listed = "; ".join(difference.text for difference in found[:5]) + ("; ..." if len(found) > 5 else "")
    advice = (
        f"Choose another title for a new campaign, or change that one: labelwright change {quoted(title)} CAMPAIGN.YAML"
    )
    if refused is not None:
        advice = f"Choose another title for a new campaign. That one cannot change so: {refused.refusal}"
    raise CampaignChanged(f"{head}. It was left as it is; this file differs: {listed}. {advice}")
