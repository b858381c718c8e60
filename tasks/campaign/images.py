"""Images on their way into a campaign, where the platform keeps no image sets."""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import replace
from typing import BinaryIO, TypeVar

from prefect import task

from labelwright.campaigns.image_source import shared_url
from labelwright.domain import ExcludedImage, LabeledImage, Reject, State
from labelwright.ingest import CannotRead, Source
from labelwright.ledger import EffectItem, ManifestEntry, stretches
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import ImageToSend, KeepsImageSets, SetState, TakesImages
from labelwright.settings import Settings
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_progress
from labelwright.tasks.retries import RETRY_POLICY

from .checking import FilesLeftOut, report_rejects
from .image_sizes import Misfit, leave_out, misfits
from .repairs import note_gone

_STEP = "send images"


class ImageChanged(PlatformRefused):
    """An image is no longer what it was when it was checked: labels would be put on other pixels."""


def keeps_image_sets(title: str) -> bool:
    """Whether images go into a set first, and campaigns refer to it."""
    return isinstance(CampaignContext(title).platform, KeepsImageSets)


@task(task_run_name="look for missing images of {title}", **RETRY_POLICY)
def list_missing_images(title: str) -> list[int]:
    """Compare what the campaign holds with the manifest, and learn what the platform calls each image.

    Answers the batches (numbered from 1) that lack images. Raises PlatformRefused for images that are not ours.
    """
    context = CampaignContext(title)
    _take_note_of_images(context)
    note_gone(context)
    if context.record.state in (State.FINISHED, State.EXPORTED):
        return []  # its labels were read
    size = _batch_size(context)
    batches = sorted({(position - 1) // size + 1 for position in context.ledger.manifests.positions_not_stored(title)})
    log().info("%s lacks images of %d batches", title, len(batches))
    if not batches and context.record.state is State.UPLOADING:
        context.ledger.campaigns.move(title, State.CREATED)
    return batches


def _take_note_of_images(context: CampaignContext) -> None:
    """List what the campaign holds, until every image there has the size that it has here."""
    while leave_out(context, _list_images(context)):
        pass


def _list_images(context: CampaignContext) -> list[Misfit]:
    """Write down what the campaign holds. Returns the images whose size differs from the manifest's."""
    platform, manifests, title = context.require_capability(TakesImages), context.ledger.manifests, context.title
    found: list[Misfit] = []
    # Until the listing is through some count as missing that are there: a kill in between is mended by the next look,
    # which is the first thing that every run does.
    manifests.mark_all_stored(title, stored=False)
    for some in stretches(platform.list_campaign_images(context.remote_id), 2000):
        manifests.record_remote_ids(title, ((image.name, image.id) for image in some))
        sizes = manifests.sizes_of(title, [image.name for image in some])
        foreign = [image.name for image in some if image.name not in sizes]
        if foreign:
            raise PlatformRefused(
                context.platform.name,
                "hold the campaign's images",
                message=f"it holds {len(foreign)} images that are not ours: {', '.join(foreign[:5])}",
                advice="Take them out of the campaign on the platform, then run again.",
            )
        found += misfits(context.platform.name, some, sizes)
    return found


@task(task_run_name="send-batch-{batch:03d} of {title}", **RETRY_POLICY)
def send_images(title: str, batch: int) -> int:
    """Send the images of a batch that are not there yet. Answers how many it sent.

    After a try that broke off it looks first what has arrived. Raises ImageChanged.
    """
    context = CampaignContext(title)
    manifests, effects, item = context.ledger.manifests, context.ledger.effects, EffectItem(batch=batch)
    earlier = effects.find(title, _STEP, item)
    if earlier is not None and earlier.done_at is None:
        _take_note_of_images(context)
    size = _batch_size(context)
    entries = manifests.not_stored(title, (batch - 1) * size + 1, batch * size)
    if entries:
        log().info("send %d images of %s", len(entries), title)
        source = context.source
        effects.forget(title, _STEP, item)
        effects.intend(title, _STEP, item)
        images = [to_send(entry, source, context.settings) for entry in entries]
        context.require_capability(TakesImages).send_images(context.remote_id, batch, images)
        effects.settle(title, _STEP, f"{len(entries)} images", item)
    last = min(batch * size, manifests.last_position(title))
    publish_progress(title, "uploading", last, context.record.images or 0)
    return len(entries)


def to_send(entry: ManifestEntry, source: Source, settings: Settings) -> ImageToSend:
    """The image as a platform gets it; with an address where the source has one that others can read."""
    image = entry.image

    def open_image() -> BinaryIO:
        try:
            with source.open(entry.location) as file:
                data = file.read()
        except (OSError, CannotRead) as error:
            raise ImageChanged("image source", "read", message=f"{image.name}: {error}") from None
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageChanged(
                "image source",
                "read",
                message=f"{image.name} was changed after it was checked",
                advice="Put the file back as it was, or give the campaign another title.",
            )
        return io.BytesIO(data)

    return ImageToSend(image, open_image, shared_url(source, entry.location, settings))


@task(task_run_name="wait for batch {batch} of {title}", **RETRY_POLICY)
def wait_for_batch(title: str, batch: int) -> str:
    """Until the platform has taken in a batch. Answers why it failed, in the platform's words; nothing when it did not.

    Images that the platform left out for good leave the manifest with their reason. Raises FilesLeftOut (strict),
    PlatformUnavailable at the deadline: run again to wait on.
    """
    context = CampaignContext(title)
    platform = context.require_capability(TakesImages)
    end, pause = time.monotonic() + context.settings.sealing_deadline, 0.2
    while (found := platform.read_batch(context.remote_id, batch)).state is SetState.FINISHING:
        if time.monotonic() > end:
            raise PlatformUnavailable(
                context.platform.name, "take in the images", message="it is still at it", advice="Run again to wait on."
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 15)
    for name, reason in found.rejected:
        context.ledger.manifests.drop(title, Reject(name, f"left out by the platform: {reason}"))
    if found.rejected and report_rejects(context) and context.spec.images.strict:
        raise FilesLeftOut(f"the platform left out {len(found.rejected)} images and the campaign is strict")
    if found.state is SetState.FAILED:
        message = found.message or "the platform does not say why"
        log().warning("batch %d of %s failed: %s", batch, title, message)
        return message
    return ""


def refuse_missing_batches(title: str, batches: list[int], message: str) -> None:
    """Raises PlatformRefused: images were sent again and again and are still not there."""
    raise PlatformRefused(
        CampaignContext(title).platform.name,
        "take in every image",
        message=f"{len(batches)} batches of '{title}' lack images after they were sent: {message or 'no word of why'}",
        advice="Look at the campaign on the platform, then run again.",
    )


_OfAnImage = TypeVar("_OfAnImage", LabeledImage, ExcludedImage)


def with_our_names(context: CampaignContext, images: tuple[_OfAnImage, ...]) -> tuple[_OfAnImage, ...]:
    """The same under the names of our manifest: some platforms show images under names of their own."""
    if isinstance(context.platform, KeepsImageSets):
        return images
    names = context.ledger.manifests.names_of(context.title, [image.remote_id for image in images])
    return tuple(replace(image, name=names.get(image.remote_id, image.name)) for image in images)


def _batch_size(context: CampaignContext) -> int:
    return context.require_capability(TakesImages).batch_size() or context.settings.batch_size
