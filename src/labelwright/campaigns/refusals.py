"""For which states of a campaign a person's command is refused: by the ledger's record alone, nothing is asked.

Commands, flows and the operations page check the same. What only the platform can tell is checked when it is done.
"""

from __future__ import annotations

from labelwright.domain import BLOCKED, MOVES, OPEN, WORK, State
from labelwright.domain.commands import quoted
from labelwright.domain.errors import NothingDone, PlatformLacks, WrongState
from labelwright.ledger import CampaignRecord
from labelwright.platforms.protocol import DeletesCampaigns, RotatesLabelerKeys
from labelwright.platforms.registry import PLATFORMS

_NOT_SENT = frozenset({State.PLANNED, State.UPLOADING, State.CREATED})


class NotLabeledYet(Exception):
    """The campaign cannot be finished yet: images are not labeled, or it needs attention."""

    error_code = "LW1308"


def check_resume(record: CampaignRecord) -> None:
    """Raises NothingDone for a campaign that its labelers have anyway, CannotRun for one that is over."""
    title, state = record.title, record.state_before if record.state in BLOCKED else record.state
    if record.state in OPEN:
        raise NothingDone(
            f"nothing was resumed: '{title}' is {record.state.value}, and its labelers can work on it. "
            "Check it now: labelwright sweep"
        )
    if state in (State.CANCELLED, State.EXPORTED):
        raise WrongState(f"'{title}' is {state.value}: there is nothing to retry. {_ways_on(title, state)}")


def _ways_on(title: str, state: State) -> str:
    """What can be done with a campaign that is over."""
    word = quoted(title)
    if state is State.EXPORTED:
        return f"Have it labeled again: labelwright reopen {word}. Write it anew: labelwright export {word}"
    return f"To go on after all: labelwright forget {word}, then labelwright adopt {word} --file CAMPAIGN.YAML"


def check_pause(record: CampaignRecord) -> None:
    """Raises NothingDone for a campaign whose next step is no run."""
    if record.state in WORK:
        return
    why = "no run is going to work on it"
    if record.state in OPEN:
        why = "its labelers work on it, and no run does. To end it: labelwright cancel " + quoted(record.title)
    raise NothingDone(f"nothing was paused: '{record.title}' is {record.state.value}: {why}")


def check_cancel(record: CampaignRecord, *, delete: bool = False) -> None:
    """Raises CannotRun for a campaign that is finished, or that its platform cannot delete.

    delete: whether it is also to be deleted there.
    """
    if record.state is not State.CANCELLED and State.CANCELLED not in MOVES[record.state]:
        raise WrongState(f"'{record.title}' is {record.state.value}: it is too late to cancel it")
    platform = PLATFORMS[str(record.spec["platform"])]
    if delete and record.remote_id is not None and not issubclass(platform.adapter(), DeletesCampaigns):
        raise PlatformLacks(f"{platform.name} cannot delete campaigns: cancel it without --delete")


def check_delivery(record: CampaignRecord) -> None:
    """Raises NotLabeledYet before labelers can work on the campaign, CannotRun when it was cancelled."""
    title = record.title
    if record.state is State.CANCELLED:
        raise WrongState(f"'{title}' is cancelled: launch its images as a new campaign, under another title")
    if record.remote_id is None or record.state in _NOT_SENT:
        raise NotLabeledYet(
            f"'{title}' is {record.state.value}: nothing is labeled yet. See: labelwright status {quoted(title)}"
        )


def check_rotation(record: CampaignRecord) -> None:
    """Raises CannotRun where the platform makes no new keys for labelers."""
    platform = PLATFORMS[str(record.spec["platform"])]
    if not issubclass(platform.adapter(), RotatesLabelerKeys):
        raise PlatformLacks(f"{platform.name} makes no new keys: ask its operator")
