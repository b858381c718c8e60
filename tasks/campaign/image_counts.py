"""Images that a look at a campaign finds failed, cancelled, skipped or deleted, kept in the ledger for `status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from labelwright.domain import LABELED, OPEN, ImageState, State
from labelwright.ledger import CampaignRecord
from labelwright.ledger.image_states import CANCELLED, FAILED, LISTED
from labelwright.platforms.protocol import Platform, RemoteCampaign, ResendsImages
from labelwright.tasks.context import the_ledger

from .excluded_images import deleted_on_the_platform

SKIPPED, GONE = ImageState.SKIPPED.value, ImageState.GONE.value


def counts_of(record: CampaignRecord) -> dict[str, int]:
    """What the last look, or the last reading of labels, came to: how many images are in each state."""
    return the_ledger().image_states.counts([record.title]).get(record.title, {})


def with_deleted_images(
    record: CampaignRecord, found: RemoteCampaign, platform: Platform, before: Mapping[str, int]
) -> RemoteCampaign:
    """The campaign with images counted that were deleted on the platform without a trace: as done, and as gone.

    It is looked at more closely only when all images that are left are done and there are fewer than were sent.
    """
    lacking = (record.images or 0) - found.total
    if lacking <= 0 or found.lost_with_tasks or found.done != found.total or record.state not in OPEN | LABELED:
        return found
    if before.get(GONE) != found.gone + lacking:
        gone = deleted_on_the_platform(record, platform)
        lacking = len(gone)
        # Of an exported campaign they are kept when its labels are read anew: a look that breaks off before it says so
        # would hide them from the next one.
        if lacking and not found.gone and record.state is not State.EXPORTED:
            listed = [(one.name, one.detail) for one in gone]
            the_ledger().image_states.record(record.title, {GONE: listed}, only=[GONE])
    return replace(found, done=found.done + lacking, total=found.total + lacking, gone=found.gone + lacking)


def note_image_counts(
    record: CampaignRecord, found: RemoteCampaign, platform: Platform, before: Mapping[str, int]
) -> bool:
    """Keep how many images failed, were cancelled, skipped or deleted, and the names and reasons of those that failed.

    Of a labeled campaign, what its labels came to stays. Returns whether any of that changed since the last look.
    """
    kept = the_ledger().image_states
    failed = {FAILED: found.failed, CANCELLED: found.cancelled}
    changed = any(before.get(state, 0) != count for state, count in failed.items())
    if changed and any(failed.values()) and isinstance(platform, ResendsImages):
        names: dict[str, list[tuple[str, str]]] = {FAILED: [], CANCELLED: []}
        for one in islice(platform.list_failed_images(found.id), LISTED):
            names[CANCELLED if one.cancelled else FAILED].append((one.name, one.reason))
        kept.record(record.title, names, only=[FAILED, CANCELLED])
    counts = failed | ({SKIPPED: found.skipped, GONE: found.gone} if record.state in OPEN else {})
    if all(before.get(state, 0) == count for state, count in counts.items()):
        return False
    kept.record_counts(record.title, counts)
    return True


def excluded_since(found: RemoteCampaign, before: Mapping[str, int]) -> str:
    """What was deleted or skipped since the labels were read last, in words; empty when nothing was."""
    counts = ((SKIPPED, found.skipped), (GONE, found.gone))
    more = [f"{count - before.get(state, 0)} {state}" for state, count in counts if count > before.get(state, 0)]
    return f"since its export: {', '.join(more)}" if more else ""


def why_it_cannot_go_on(record: CampaignRecord, found: RemoteCampaign) -> str:
    """Why nothing more comes of a campaign by itself, and the commands that lead on; empty while something may come."""
    title, stuck = record.title, found.failed + found.cancelled
    if stuck and found.done + stuck >= found.total:
        kinds = ((found.failed, "failed"), (found.cancelled, "cancelled"))
        message = " and ".join(f"{count:,} {kind}" for count, kind in kinds if count)
        return (
            f"of its {found.total:,} images {found.done:,} are labeled and the others will not be: {message} on the "
            f"platform. List them with their reasons: labelwright failed '{title}'. Send them again: labelwright "
            f"failed '{title}' --resend. Go on without them: labelwright failed '{title}' --leave-out"
        )
    excluded = found.skipped + found.gone
    if excluded and excluded >= found.total and excluded == (record.images or 0):
        kinds = ((found.gone, GONE), (found.skipped, SKIPPED))
        message = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
        return (
            f"nothing is left to deliver: of its {excluded:,} images {message}. Put images back on the platform and "
            f"have them labeled, then: labelwright resume '{title}'. Or give it up: labelwright cancel '{title}'"
        )
    return ""
