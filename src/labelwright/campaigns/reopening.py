"""Gives a campaign, or some of its images, back to its labelers: on the platform first, then in the ledger.

What the ledger says of the campaign is not relied on: no sweep may have seen yet that it was completed. The platform is
read before, and again afterwards. An intent is recorded in between, so that a command that was killed can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from labelwright.domain import OPEN, ImageState, State
from labelwright.domain.commands import quoted
from labelwright.domain.errors import NothingDone, UnknownImages
from labelwright.domain.file_names import name_among
from labelwright.ledger import CampaignRecord, Ledger
from labelwright.platforms import PlatformRefused
from labelwright.platforms.protocol import (
    ListsUnlabeledImages,
    Platform,
    RemoteCampaign,
    RemoteState,
    ReopensCampaigns,
    ReopensImages,
)

from .spec import stored_spec
from .wrong_labels import wrong_images

STEP = "reopen"
LONGEST_REASON = 2000
_NOT_BEGUN = frozenset({ImageState.NOT_LABELED, ImageState.DRAFT})
_SHOWN = 20
"""Unknown names in a message."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to reopen: the whole campaign, or the images of these names, or those with wrong shapes."""

    names: tuple[str, ...] | None = None
    wrong: bool = False
    reason: str = ""
    """What labelers read, where their platform shows it."""


WHOLE = Selection()


def launched_id(record: CampaignRecord) -> str:
    """Returns the id of a campaign that labelers have, or had, on its platform. Raises NothingDone for any other."""
    title, state = record.title, record.state_before or record.state
    if state is State.CANCELLED:
        raise NothingDone(
            f"nothing was reopened: '{title}' is cancelled. Launch its images under another title to label them again: "
            "labelwright launch FILE"
        )
    if record.remote_id is None or state in (State.PLANNED, State.UPLOADING, State.CREATED):
        raise NothingDone(
            f"nothing was reopened: '{title}' is {record.state.value}, and not launched completely. Go on with its "
            f"launch: labelwright resume {quoted(title)}"
        )
    return record.remote_id


def reopen_on_platform(
    ledger: Ledger, record: CampaignRecord, campaign_id: str, platform: Platform, selection: Selection
) -> str:
    """Reopens the selection. Returns what was done, as a sentence. Call it with the campaign's lease.

    Raises CannotRun, PlatformError; NothingDone when nothing was reopened.
    """
    remote = platform.read_campaign(campaign_id)
    if remote.state is RemoteState.CREATED:
        raise NothingDone(
            f"nothing was reopened: '{record.title}' is not active on the platform yet: labelwright launch FILE"
        )
    whole = selection.names is None and not selection.wrong
    interrupted = _interrupted(ledger, record.title)
    if whole and remote.state is RemoteState.ACTIVE and not interrupted:
        return _follow(ledger, record, remote)
    by_images = isinstance(platform, ReopensImages) and (
        not whole or interrupted or remote.done == remote.total or selection.reason != ""
    )
    if by_images:
        reasons = _reasons(ledger, record, platform, campaign_id, selection)
        if remote.state is RemoteState.ACTIVE and record.state in OPEN and not interrupted:
            _refuse_unlabeled(record.title, platform, campaign_id, reasons)
        act, outcome = _image_reopening(platform, campaign_id, reasons, whole), _counted(len(reasons))
    elif whole and not selection.reason and isinstance(platform, ReopensCampaigns):
        # Closed by hand before everything was labeled: what is not done is left to do, and the rest stays done.
        act, outcome = _campaign_reopening(platform, campaign_id), "what was left"
    else:
        raise NothingDone(_refusal(record.title, platform, whole))
    note = _reopen(ledger, record, platform, campaign_id, act, outcome)
    if whole:
        return f"'{record.title}' is reopened{note}: it is complete when every image that is not done was submitted"
    return f"{outcome} of '{record.title}' reopened" + (note or "; the others stay as they are")


def _counted(images: int) -> str:
    return f"{images:,} image{'' if images == 1 else 's'}"


def _refuse_unlabeled(title: str, platform: Platform, campaign_id: str, images: Iterable[str]) -> None:
    """Raises NothingDone when labelers have not labeled any of the images yet: there is nothing to give back."""
    images = set(images)
    if not images or not isinstance(platform, ListsUnlabeledImages):
        return
    waiting = {image.id for image in platform.list_unlabeled_images(campaign_id) if image.state in _NOT_BEGUN}
    if images <= waiting:
        raise NothingDone(
            f"nothing was reopened: labelers of '{title}' have {_counted(len(images))} to label anyway, and none of "
            f"them was submitted yet. labelwright status {quoted(title)} counts the images by state"
        )


def _image_reopening(
    platform: Platform, campaign_id: str, reasons: dict[str, str], whole: bool
) -> Callable[[str], str]:
    """Reopens these images; where that cannot be done for all of a campaign, the campaign as it is."""

    def reopen(call_id: str) -> str:
        try:
            return platform.reopen_images(campaign_id, reasons, call_id) if isinstance(platform, ReopensImages) else ""
        except PlatformRefused:
            if not whole or any(reasons.values()) or not isinstance(platform, ReopensCampaigns):
                raise
            return _campaign_reopening(platform, campaign_id)(call_id)

    return reopen


def _campaign_reopening(platform: ReopensCampaigns, campaign_id: str) -> Callable[[str], str]:
    def reopen(_call_id: str) -> str:
        platform.reopen_campaign(campaign_id)
        return ""

    return reopen


def _follow(ledger: Ledger, record: CampaignRecord, remote: RemoteCampaign) -> str:
    """The whole campaign is with its labelers on the platform: the ledger follows, or there is nothing to do."""
    title = record.title
    if record.state in OPEN:
        raise NothingDone(
            f"nothing was reopened: the labelers of '{title}' can still change all of it ({remote.done:,} of "
            f"{remote.total:,} images are done). To give single images back: labelwright reopen {quoted(title)} "
            "--images FILE"
        )
    ledger.effects.forget(title, "finish")
    ledger.campaigns.move(title, State.REOPENED, "reopened on the platform, not by Labelwright")
    return f"'{title}' was reopened on the platform already, not by Labelwright: sweeps check it again"


def _refusal(title: str, platform: Platform, whole: bool) -> str:
    if isinstance(platform, ReopensCampaigns):
        what, way = "single images or show a reason", f"Reopen all of it: labelwright reopen {quoted(title)}"
    else:
        what = "campaigns" if whole else "single images"
        way = f"Have the labels corrected on its own page, then export them again: labelwright export {quoted(title)}"
    return f"nothing was reopened: {platform.name} cannot reopen {what}. {way}"


def _interrupted(ledger: Ledger, title: str) -> bool:
    """Whether an earlier reopening did not come to its end, in the ledger or on the platform."""
    earlier = ledger.effects.find(title, STEP)
    if earlier is None or earlier.done_at is not None:
        return False
    moves = ledger.campaigns.moves(title)  # a sweep that saw the campaign reopened has recorded that
    return not any(move.became is State.REOPENED and move.at >= earlier.intended_at for move in moves)


def _reopen(
    ledger: Ledger,
    record: CampaignRecord,
    platform: Platform,
    campaign_id: str,
    act: Callable[[str], str],
    outcome: str,
) -> str:
    """Makes the change, checks it, and moves the campaign in the ledger. Returns a note for people, maybe empty."""
    title, effects = record.title, ledger.effects
    if not _interrupted(ledger, title):
        effects.forget(title, STEP)
    effects.intend(title, STEP)
    intent = effects.find(title, STEP)
    try:
        note = act(intent.intended_at.isoformat() if intent else "")
    except PlatformRefused:
        effects.forget(title, STEP)
        raise
    state = platform.read_campaign(campaign_id).state
    if state is not RemoteState.ACTIVE:
        effects.forget(title, STEP)
        raise PlatformRefused(
            platform.name,
            f"reopen '{title}'",
            message=f"the campaign is {state.value} after it was reopened",
            advice="Somebody may have completed it again, or none of the images was labeled before: look at its page.",
        )
    effects.settle(title, STEP, outcome)
    effects.forget(title, "finish")
    ledger.campaigns.move(title, State.REOPENED, f"{outcome} reopened by a person")
    return f" ({note})" if note else ""


def _reasons(
    ledger: Ledger, record: CampaignRecord, platform: Platform, campaign_id: str, selection: Selection
) -> dict[str, str]:
    """Returns the reason for each selected image, by the platform's id."""
    if selection.wrong:
        faults = wrong_images(platform, campaign_id, stored_spec(record.spec).schema_of_labels())
        if not faults:
            raise NothingDone(
                f"nothing was reopened: every shape of '{record.title}' is as its labels allow. To give images back "
                f"for another reason: labelwright reopen {quoted(record.title)} --images FILE --reason TEXT"
            )
        lead = f"{selection.reason}: " if selection.reason else ""
        return {image: f"{lead}{fault}"[:LONGEST_REASON] for image, fault in faults.items()}
    entries = ((entry.image.name, entry.remote_id) for entry in ledger.manifests.entries(record.title))
    ids = {name: remote_id for name, remote_id in entries if remote_id}
    chosen = ids.values() if selection.names is None else _ids_of(record.title, selection.names, ids)
    return dict.fromkeys(chosen, selection.reason[:LONGEST_REASON])


def _ids_of(title: str, names: Iterable[str], ids: dict[str, str]) -> list[str]:
    """Returns the platform's ids of these names. Raises CannotRun with all names that the campaign does not have."""
    matches = {name: ids.get(name_among(name, ids)) for name in names}
    unknown = [name for name, image in matches.items() if image is None]
    if not matches:
        raise UnknownImages(f"no image of '{title}' is named: write one name a line, as in the campaign's images")
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else "")
        raise UnknownImages(
            f"nothing was reopened: {len(unknown):,} of {len(matches):,} names are no images of '{title}': {shown}. "
            "Write them as they are in the campaign's images, with their subfolder"
        )
    return [image for image in matches.values() if image is not None]
