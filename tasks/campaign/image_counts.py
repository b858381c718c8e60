"""Counts of images that failed or were cancelled, skipped or deleted, kept in the ledger for `status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from labelwright.domain import LABELED, OPEN, ImageState, State
from labelwright.domain.commands import quoted
from labelwright.ledger import CampaignRecord
from labelwright.ledger.image_states import CANCELLED, FAILED, LISTED
from labelwright.platforms.protocol import Platform, RemoteCampaign, ResendsImages
from labelwright.tasks.context import the_ledger

from .excluded_images import find_deleted_images

SKIPPED, GONE = ImageState.SKIPPED.value, ImageState.GONE.value


def recorded_counts(record: CampaignRecord) -> dict[str, int]:
    """How many images are in each state, by the ledger: as of the last refresh, or the last reading of labels."""
    return the_ledger().image_states.counts([record.title]).get(record.title, {})


def with_deleted_images(
    record: CampaignRecord, remote: RemoteCampaign, platform: Platform, counts_before: Mapping[str, int]
) -> RemoteCampaign:
    """The platform's counts, plus images that it no longer counts because they were deleted: as done, and as gone.

    They are searched for only when all remaining images are done and there are fewer than were sent.
    """
    lacking = (record.images or 0) - remote.total
    if lacking <= 0 or remote.lost_with_tasks or remote.done != remote.total or record.state not in OPEN | LABELED:
        return remote
    if counts_before.get(GONE) != remote.gone + lacking:
        gone = find_deleted_images(record, platform)
        lacking = len(gone)
        # Those of an exported campaign are recorded when its labels are read again: recorded here, an interruption
        # before the campaign is reopened would hide them from the next refresh.
        if lacking and not remote.gone and record.state is not State.EXPORTED:
            listed = [(image.name, image.detail) for image in gone]
            the_ledger().image_states.record(record.title, {GONE: listed}, only=[GONE])
    return replace(remote, done=remote.done + lacking, total=remote.total + lacking, gone=remote.gone + lacking)


def record_image_counts(
    record: CampaignRecord, remote: RemoteCampaign, platform: Platform, counts_before: Mapping[str, int]
) -> bool:
    """Record how many images failed or were cancelled, skipped or deleted, and names and reasons of those that failed.

    For a labeled campaign, skipped and deleted images stay as its labels said. Returns whether any count changed.
    """
    image_states = the_ledger().image_states
    failed = {FAILED: remote.failed, CANCELLED: remote.cancelled}
    changed = any(counts_before.get(state, 0) != count for state, count in failed.items())
    if changed and any(failed.values()) and isinstance(platform, ResendsImages):
        names: dict[str, list[tuple[str, str]]] = {FAILED: [], CANCELLED: []}
        for image in islice(platform.list_failed_images(remote.id), LISTED):
            names[CANCELLED if image.cancelled else FAILED].append((image.name, image.reason))
        image_states.record(record.title, names, only=[FAILED, CANCELLED])
    counts = failed | ({SKIPPED: remote.skipped, GONE: remote.gone} if record.state in OPEN else {})
    if all(counts_before.get(state, 0) == count for state, count in counts.items()):
        return False
    image_states.record_counts(record.title, counts)
    return True


def exclusions_since_export(remote: RemoteCampaign, counts_before: Mapping[str, int]) -> str:
    """How many images were skipped or deleted since the labels were read, as a phrase; empty when none were."""
    added = {
        SKIPPED: remote.skipped - counts_before.get(SKIPPED, 0),
        GONE: remote.gone - counts_before.get(GONE, 0),
    }
    phrases = [f"{count} {state}" for state, count in added.items() if count > 0]
    return f"since its export: {', '.join(phrases)}" if phrases else ""


def dead_end_reason(record: CampaignRecord, remote: RemoteCampaign) -> str:
    """Why the campaign cannot go on by itself, and the commands that help; empty while it can."""
    title, stuck = record.title, remote.failed + remote.cancelled
    if stuck and remote.done + stuck >= remote.total:
        kinds = ((remote.failed, "failed"), (remote.cancelled, "cancelled"))
        message = " and ".join(f"{count:,} {kind}" for count, kind in kinds if count)
        return (
            f"of its {remote.total:,} images {remote.done:,} are labeled and the others will not be: {message} on the "
            f"platform. List them with their reasons: labelwright failed {quoted(title)}. Send them again: labelwright "
            f"failed {quoted(title)} --resend. Go on without them: labelwright failed {quoted(title)} --leave-out"
        )
    added = remote.total - (record.images or 0)
    if record.images and added > 0 and remote.done == remote.total:
        return (
            f"all {remote.total:,} images on the platform are labeled, and {added:,} of them were not sent from here:"
            " somebody added them, and datasets need their files. Take them out of the campaign on the platform, then: "
            f"labelwright resume {quoted(title)}. Or put their files among the images of the campaign file, then: "
            f"labelwright forget {quoted(title)} --force and labelwright adopt {quoted(title)} --file CAMPAIGN.YAML"
        )
    excluded = remote.skipped + remote.gone
    if excluded and excluded >= remote.total and excluded == (record.images or 0):
        kinds = ((remote.gone, GONE), (remote.skipped, SKIPPED))
        message = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
        return (
            f"nothing is left to deliver: of its {excluded:,} images {message}. Put images back on the platform and "
            f"have them labeled, then: labelwright resume {quoted(title)}. Or cancel it: labelwright cancel "
            f"{quoted(title)}"
        )
    return ""
