"""Decides whether a campaign file still describes the campaign that was launched under its title."""

from __future__ import annotations

from labelwright.domain import State
from labelwright.ledger import CampaignRecord, LedgerError

from .spec import CampaignSpec

_CHANGEABLE = {"deadline", "export", "connection", "on_unsupported", "timezone"}
"""Fields of a campaign file that may change after the launch."""


class CampaignChanged(LedgerError):
    """The campaign file differs from the campaign that was launched under its title."""


def refuse_changes(record: CampaignRecord, spec: CampaignSpec) -> None:
    """Raises CampaignChanged when a launched campaign differs in more than deadline, export or connection.

    spec: with absolute paths, as the ledger records it.
    """
    if record.state is State.PLANNED and record.images is None:
        return  # nothing was checked or sent yet
    current = spec.model_dump(mode="json")
    changed = sorted(key for key in current if record.spec.get(key) != current[key] and key not in _CHANGEABLE)
    if not changed:
        return
    title = record.title
    if "platform" in changed:
        raise CampaignChanged(
            f"the title '{title}' is in use by a campaign on {record.spec.get('platform')}; choose another title"
        )
    raise CampaignChanged(
        f"'{title}' was launched with different {', '.join(changed)}. Restore them in the campaign file, or "
        "choose another title for a new campaign"
    )
