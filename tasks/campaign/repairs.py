"""Images that are gone from the platform after a launch: reported, sent again, and given to the labelers again."""

from __future__ import annotations

from labelwright.domain import OPEN, State
from labelwright.ledger import CampaignRecord, EffectItem
from labelwright.platforms.protocol import RemoteCampaign
from labelwright.tasks.context import CampaignContext, the_ledger
from labelwright.tasks.reporting import log, publish_table

from .image_sizes import is_launched

STEP = "images gone from the platform"
"""The effect under which the ledger keeps what happened."""

_LOOKED_FOR = OPEN | {State.COMPLETED, State.FINISHED}
"""The states in which every image has to be on the platform: its labels are still to be read there."""
_SHOWN = 20
_ROWS = 500


def gone_from(record: CampaignRecord, found: RemoteCampaign) -> int:
    """How many images a look misses on the platform that were there and were lost with the task that held them.

    It is believed when an earlier look saw all of them, or when a second look in a row misses as many: a platform may
    still be counting what was sent.
    """
    images = record.images or 0
    if (
        not found.lost_with_tasks
        or record.state not in _LOOKED_FOR
        or found.total >= images
        or record.looked_at is None
    ):
        return 0
    return images - found.total if record.total >= images or record.total == found.total else 0


def reason_for(record: CampaignRecord, platform: str, gone: int) -> str:
    """What a person has to know to decide."""
    title = record.title
    return (
        f"{gone:,} of {record.images or 0:,} images are gone from the campaign on {platform}: somebody deleted them, "
        f"or what held them. Labels that were drawn on them there are lost; {record.done:,} images were labeled at the "
        f"last look. To send them again and give them to the labelers: labelwright resume '{title}'. If the campaign "
        f"was taken off on purpose: labelwright cancel '{title}'"
    )


def begin_repair(title: str, gone: int, images: int) -> None:
    """Keep in the ledger what happened, and have images and labelers put into the campaign again by the next launch."""
    effects = the_ledger().effects
    repair = EffectItem(attempt=len(effects.of_step(title, STEP)) + 1)
    message = f"{gone:,} of {images:,} images were gone; labels on them there are lost, and they are sent again"
    effects.intend(title, STEP, repair)
    effects.settle(title, STEP, message, repair)
    # Said twice neither does harm on any platform.
    for effect in (*effects.of_step(title, "activate"), *effects.of_step(title, "add images")):
        effects.forget(title, effect.step, effect.item)


def note_gone(context: CampaignContext) -> None:
    """After the platform's images were listed: report those that were there before, and begin the repair of a campaign
    whose labelers are at work."""
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


def repairs_of(title: str) -> list[str]:
    """What happened so far, with its time, the oldest first."""
    repairs = the_ledger().effects.of_step(title, STEP)
    return [f"{repair.intended_at:%Y-%m-%d %H:%M:%S} UTC: {repair.outcome}" for repair in repairs]
