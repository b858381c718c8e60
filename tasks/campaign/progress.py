"""Progress of one campaign: read from its platform, recorded in the ledger, and the state that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labelwright.campaigns.next_steps import unanswered_notes
from labelwright.campaigns.outlook import outlook_of
from labelwright.campaigns.spec import stored_spec
from labelwright.domain import LABELED, OPEN, State
from labelwright.domain.commands import quoted
from labelwright.ledger import CampaignRecord
from labelwright.network.deadlines import time_limit
from labelwright.platforms.protocol import Platform, RemoteCampaign, RemoteState
from labelwright.settings import settings
from labelwright.tasks.attention import ask_for_attention
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_progress
from labelwright.tasks.retries import RETRY_POLICY

from .image_counts import (
    dead_end_reason,
    exclusions_since_export,
    record_image_counts,
    recorded_counts,
    with_deleted_images,
)
from .lifecycle import BY_HAND, refuse_unlabeled
from .lost_images import begin_repair, count_lost_images, lost_images_reason
from .platform_labels import LabelsChanged, refuse_changed_labels
from .summary import publish_summary


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh found."""

    state: State
    """The campaign's state afterwards."""
    recorded: bool
    """Whether progress was recorded; of an unchanged campaign it is not, not even that it was read."""


@task(task_run_name="read progress of {title}", **RETRY_POLICY)
def read_progress(title: str) -> State:
    """Read the campaign's progress from its platform once and record it. Returns the campaign's state."""
    context = CampaignContext(title)
    record = context.record
    if record.state not in OPEN | LABELED or record.remote_id is None:
        return record.state
    with time_limit(settings().look_deadline):
        return refresh_progress(record, context.platform).state


def require_labeled(title: str) -> None:
    """Read the progress of a campaign that is to be exported. Raises NotLabeledYet while images are not labeled.

    One that needed attention after it was labeled goes on where it was.
    """
    record = the_ledger().campaigns.get(title)
    if record.state is State.NEEDS_ATTENTION and record.state_before in LABELED:
        the_ledger().campaigns.move(title, record.state_before, "exported by a person")
    refuse_unlabeled(title, read_progress(title))


def refresh_progress(
    record: CampaignRecord,
    platform: Platform,
    in_use: Callable[[], bool] = lambda: False,
    counts_before: Mapping[str, int] | None = None,
) -> Refreshed:
    """Read the campaign's progress once, record what changed, and move the campaign to the state that follows.

    in_use: whether another run works on the campaign, which may be sending lost images at this moment.
    counts_before: images by state as the ledger had them with the record; read now by default.
    """
    if counts_before is None:
        counts_before = recorded_counts(record)
    remote = platform.read_campaign(record.remote_id or "")
    remote = with_deleted_images(record, remote, platform, counts_before)
    # Compared with the counts of before: recording replaces them in the ledger.
    excluded = exclusions_since_export(remote, counts_before) if record.state is State.EXPORTED else ""
    recorded = _record(record, remote, platform, counts_before)
    return Refreshed(_move(record, remote, platform, excluded, in_use), recorded)


def _record(
    record: CampaignRecord, remote: RemoteCampaign, platform: Platform, counts_before: Mapping[str, int]
) -> bool:
    """Record and publish the progress. Returns False, having written nothing, when it is the same as before."""
    campaigns, title = the_ledger().campaigns, record.title
    labelers = [(labeler.name, labeler.done, labeler.total) for labeler in remote.labelers]
    unchanged = (remote.done, remote.total) == (record.done, record.total) and record.looked_at is not None
    if labelers:
        unchanged = unchanged and campaigns.has_progress(title, remote.done, remote.total, labelers)
    notes_changed = remote.unanswered_notes != record.unanswered_notes
    if notes_changed:
        unchanged = False
        campaigns.record_unanswered_notes(title, remote.unanswered_notes)
        if remote.unanswered_notes:
            log().info("%s: %s", title, unanswered_notes(title, remote.unanswered_notes))
    log_progress = log().debug if unchanged else log().info
    log_progress(
        "%s: %d of %d images labeled, %s on the platform", title, remote.done, remote.total, remote.state.value
    )
    recounted = record_image_counts(record, remote, platform, counts_before)
    if remote.failed or remote.cancelled:
        message = "%s: %d images failed, %d were cancelled: labelwright failed '%s' lists them and sends them again"
        (log().warning if recounted else log().debug)(message, title, remote.failed, remote.cancelled, title)
    changed = not unchanged and campaigns.record_look(title, remote.done, remote.total, labelers)
    if changed:
        outlook = outlook_of(campaigns.get(title), campaigns.progress(title))
        publish_progress(title, "labeling", remote.done, remote.total, outlook.pace.expected_end)
    if changed or recounted or notes_changed:
        publish_summary(title, platform)
    return not unchanged


def _move(
    record: CampaignRecord, remote: RemoteCampaign, platform: Platform, excluded: str, in_use: Callable[[], bool]
) -> State:
    """Move the campaign to the state that its progress on the platform implies. Returns that state.

    The platform's statement that all is done counts only when it counts every image as done.
    excluded: which images were skipped or deleted since the export; empty when none were.
    """
    ledger, title = the_ledger(), record.title
    if record.state in OPEN and (cause := _cause_for_attention(record, remote)) is not None:
        ask_for_attention(title, *cause)
        return ledger.campaigns.get(title).state
    _warn_of_setbacks(record, remote)
    lost = count_lost_images(record, remote)
    if lost and not in_use():
        begin_repair(title, lost, record.images or 0)
        ask_for_attention.fn(title, lost_images_reason(record, platform.name, lost), "LW1402", State.UPLOADING)
        return ledger.campaigns.get(title).state
    complete = remote.total > 0 and remote.done == remote.total == record.images
    closed = remote.state in (RemoteState.COMPLETED, RemoteState.FINISHED)
    if closed and not complete:
        return _handle_early_close(record, remote)
    if closed and record.state in OPEN:
        return ledger.campaigns.move(title, State.COMPLETED, _closed_by_hand(record, remote))
    if closed and excluded:
        log().warning("%s is exported again: %s", title, excluded)
        ledger.effects.forget(title, "finish")
        ledger.campaigns.move(title, State.REOPENED, excluded)
        return ledger.campaigns.move(title, State.COMPLETED, excluded)
    return record.state if closed else _follow_reopening(record, remote)


def _follow_reopening(record: CampaignRecord, remote: RemoteCampaign) -> State:
    """Of a campaign that labelers can work on: a labeled one was given back to them by somebody else."""
    unopened = remote.state is RemoteState.CREATED and remote.done == remote.total
    if record.state not in LABELED or unopened:
        return record.state
    why = f"reopened on the platform, not by Labelwright: {remote.done:,} of {remote.total:,} images are done"
    log().warning("%s was %s", record.title, why)
    the_ledger().effects.forget(record.title, "finish")
    return the_ledger().campaigns.move(record.title, State.REOPENED, why)


def _closed_by_hand(record: CampaignRecord, remote: RemoteCampaign) -> str | None:
    """What to record of a campaign that is complete on the platform; None when nobody but its labelers acted."""
    if remote.state is not RemoteState.FINISHED or the_ledger().effects.find(record.title, "finish") is not None:
        return None
    log().warning("%s was %s", record.title, BY_HAND)
    return BY_HAND


def _handle_early_close(record: CampaignRecord, remote: RemoteCampaign) -> State:
    """Of a campaign that is closed on the platform though not all of its images are done, or not as many as were sent.

    Where images are not done, a person closed it, and its labelers cannot go on.
    """
    title = record.title
    message = "%s is %s on the platform with %d of %d images done"
    log().warning(message, title, remote.state, remote.done, remote.total)
    if record.state not in OPEN or remote.done >= remote.total:
        return record.state
    deliver = f"Deliver what is done, and list the others: labelwright deliver {quoted(title)} --accept-partial. "
    reason = (
        f"{remote.state.value} on the platform, not by Labelwright, with {remote.done:,} of {remote.total:,} images "
        f"done: its labelers cannot go on. Give it back to them: labelwright reopen {quoted(title)}. "
        f"{deliver if remote.done else ''}Or cancel it: labelwright cancel {quoted(title)}"
    )
    ask_for_attention(title, reason, "LW1401")
    return the_ledger().campaigns.get(title).state


def _cause_for_attention(record: CampaignRecord, remote: RemoteCampaign) -> tuple[str, str] | None:
    """Why the campaign needs a person, and the error code; None when it does not."""
    label_names = {str(label.get("name")) for label in record.spec.get("labels", ()) if isinstance(label, dict)}
    if remote.labels is not None and not label_names <= set(remote.labels.names):
        try:  # building the specification is slow, so only when a name is missing
            refuse_changed_labels(stored_spec(record.spec), remote.labels)
        except LabelsChanged as error:
            return str(error), error.error_code
    reason = dead_end_reason(record, remote)
    return (reason, "LW1403") if reason else None


def _warn_of_setbacks(record: CampaignRecord, remote: RemoteCampaign) -> None:
    """Log, once, what should not happen by itself and may be somebody's decision."""
    if record.state not in OPEN or record.looked_at is None:
        return
    if remote.done < record.done:
        message = "%s: %d images are labeled, %d were before: labels were deleted, or images returned to labelers"
        log().warning(message, record.title, remote.done, record.done)
    counts_changed = (remote.done, remote.total) != (record.done, record.total)
    if remote.state is RemoteState.CREATED and remote.total and counts_changed:
        message = "%s: labelers cannot work on all of it on the platform; launch it again to activate it"
        log().warning(message, record.title)
