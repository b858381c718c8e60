"""Images that were deleted from the platform after the launch: reported, and sent to it again."""

from __future__ import annotations

from labelwright.domain import OPEN, State
from labelwright.domain.commands import quoted
from labelwright.ledger import CampaignRecord, EffectItem
from labelwright.platforms.protocol import RemoteCampaign
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_table

from .image_sizes import is_launched

STEP = "images gone from the platform"
"""The step of the ledger's effects that records each loss."""

_HOLDS_IMAGES = OPEN | {State.COMPLETED, State.FINISHED}
"""States in which every image has to be on the platform, because its labels are still to be read there."""
_SHOWN = 20
_ROWS = 500


def count_lost_images(record: CampaignRecord, remote: RemoteCampaign) -> int:
    """How many images were on the platform and were lost with the task that held them.

    They count as lost when an earlier refresh saw all images, or when two refreshes in a row miss the same number: a
    platform may still be counting what was sent.
    """
    images = record.images or 0
    if (
        not remote.lost_with_tasks
        or record.state not in _HOLDS_IMAGES
        or remote.total >= images
        or record.looked_at is None
    ):
        return 0
    return images - remote.total if record.total >= images or record.total == remote.total else 0


def lost_images_reason(record: CampaignRecord, platform: str, gone: int) -> str:
    """The reason for attention: what happened, and the commands to choose from."""
    title = record.title
    return (
        f"{gone:,} of {record.images or 0:,} images are gone from the campaign on {platform}: somebody deleted them, "
        f"or what held them. Labels that were drawn on them there are lost; {record.done:,} images were labeled at the "
        f"last check. To send them to the labelers again: labelwright resume {quoted(title)}. If the campaign was "
        "taken off "
        f"on purpose: labelwright cancel {quoted(title)}"
    )


def begin_repair(title: str, gone: int, images: int) -> None:
    """Record the loss, and make the next launch send images and activate the campaign again."""
    effects = the_ledger().effects
    repair = EffectItem(attempt=len(effects.of_step(title, STEP)) + 1)
    message = f"{gone:,} of {images:,} images were gone; labels on them there are lost, and they are sent again"
    effects.intend(title, STEP, repair)
    effects.settle(title, STEP, message, repair)
    # Both steps are harmless when repeated, on every platform.
    for effect in (*effects.of_step(title, "activate"), *effects.of_step(title, "add images")):
        effects.forget(title, effect.step, effect.item)


def report_lost_images(context: CampaignContext) -> None:
    """Report images that were listed before and are not any more; begin the repair if the campaign is launched."""
    title = context.title
    names, count = context.ledger.manifests.missing(title, _ROWS)
    if not count:
        return
    shown = ", ".join(names[:_SHOWN])
    log().warning("%s: %d images were on the platform and are gone: %s", title, count, shown)
    publish_table(title, "gone", [{"file": name} for name in names], f"{count} images of {title} were gone")
    if is_launched(context):
        log().warning("%s: labels that were drawn on them there are lost; they are sent again", title)
        begin_repair(title, count, context.record.images or 0)


def repair_notes(title: str) -> list[str]:
    """One sentence per loss, with its time, the oldest first."""
    repairs = the_ledger().effects.of_step(title, STEP)
    return [f"{repair.intended_at:%Y-%m-%d %H:%M:%S} UTC: {repair.outcome}" for repair in repairs]
