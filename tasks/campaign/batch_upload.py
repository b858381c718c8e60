"""Uploads images in batches into a campaign, on platforms that keep no image sets."""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import replace
from typing import BinaryIO, TypeVar

from labelwright.campaigns.image_source import shared_url
from labelwright.domain import ExcludedImage, LabeledImage, Reject, State
from labelwright.ingest import CannotRead, Source
from labelwright.ledger import EffectItem, ManifestEntry, stretches
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import ImageToSend, KeepsImageSets, SetState, TakesImages
from labelwright.settings import Settings
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import LongWait, log, publish_progress
from labelwright.tasks.retries import RETRY_POLICY

from .image_checks import FilesLeftOut, report_rejects
from .image_sizes import ResizedImage, resized_images, withdraw_resized
from .lost_images import report_lost_images

_STEP = "send images"


class ImageChanged(PlatformRefused):
    """An image was changed after it was checked: labels would be drawn on other pixels."""

    error_code = "LW3002"


def keeps_image_sets(title: str) -> bool:
    """Whether the campaign's platform keeps images in sets, to which campaigns refer."""
    return isinstance(CampaignContext(title).platform, KeepsImageSets)


@task(task_run_name="find missing images of {title}", **RETRY_POLICY)
def list_missing_images(title: str) -> list[int]:
    """Compare the campaign's images on the platform with the manifest, and record the platform's id of each.

    Returns the batches (numbered from 1) that lack images. Raises PlatformRefused for images that are not ours.
    """
    context = CampaignContext(title)
    _record_images(context)
    report_lost_images(context)
    if context.record.state in (State.FINISHED, State.EXPORTED):
        return []  # its labels were read
    size = _batch_size(context)
    batches = sorted({(position - 1) // size + 1 for position in context.ledger.manifests.positions_not_stored(title)})
    log().info("%s lacks images of %d batches", title, len(batches))
    if not batches and context.record.state is State.UPLOADING:
        context.ledger.campaigns.move(title, State.CREATED)
    return batches


def _record_images(context: CampaignContext) -> None:
    """Record the campaign's images on the platform, and remove those that it reads in another size."""
    while withdraw_resized(context, _record_listing(context)):
        pass


def _record_listing(context: CampaignContext) -> list[ResizedImage]:
    """Record the images that the platform lists. Returns those whose size differs from the manifest's."""
    platform, manifests, title = context.require_capability(TakesImages), context.ledger.manifests, context.title
    resized: list[ResizedImage] = []
    # While this lists, images count as missing that are there. If the process dies here, that is corrected by the next
    # listing, with which every run begins.
    manifests.mark_all_stored(title, stored=False)
    for images in stretches(platform.list_campaign_images(context.remote_id), 2000):
        manifests.record_remote_ids(title, ((image.name, image.id) for image in images))
        sizes = manifests.sizes_of(title, [image.name for image in images])
        foreign = [image.name for image in images if image.name not in sizes]
        if foreign:
            raise PlatformRefused(
                context.platform.name,
                "hold the campaign's images",
                message=f"it holds {len(foreign)} images that are not ours: {', '.join(foreign[:5])}",
                advice="Remove them from the campaign on the platform, then run again.",
            )
        resized += resized_images(context.platform.name, images, sizes)
    return resized


@task(task_run_name="send-batch-{batch:03d} of {title}", **RETRY_POLICY)
def send_images(title: str, batch: int) -> int:
    """Send the images of a batch that are not there yet. Returns how many it sent.

    After an attempt that was interrupted it first lists what has arrived. Raises ImageChanged.
    """
    context = CampaignContext(title)
    manifests, effects, item = context.ledger.manifests, context.ledger.effects, EffectItem(batch=batch)
    effect = effects.find(title, _STEP, item)
    if effect is not None and effect.done_at is None:
        _record_images(context)
    size = _batch_size(context)
    entries = manifests.not_stored(title, (batch - 1) * size + 1, batch * size)
    if entries:
        log().info("send %d images of %s", len(entries), title)
        source = context.source
        effects.forget(title, _STEP, item)
        effects.intend(title, _STEP, item)
        images = [image_to_send(entry, source, context.settings) for entry in entries]
        context.require_capability(TakesImages).send_images(context.remote_id, batch, images)
        effects.settle(title, _STEP, f"{len(entries)} images", item)
    last = min(batch * size, manifests.last_position(title))
    publish_progress(title, "uploading", last, context.record.images or 0)
    return len(entries)


def image_to_send(entry: ManifestEntry, source: Source, settings: Settings) -> ImageToSend:
    """The image as platforms take it, with its URL where the source has one that others can read."""
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
    """Wait until the platform has processed a batch. Returns the platform's error message; empty when it succeeded.

    Images that the platform left out for good become rejects with their reason. Raises FilesLeftOut (strict),
    PlatformUnavailable at the deadline.
    """
    context = CampaignContext(title)
    platform = context.require_capability(TakesImages)
    end = time.monotonic() + context.settings.sealing_deadline
    wait = LongWait(f"{context.platform.name} has processed a batch of {title}", context.settings.sealing_deadline)
    while (status := platform.read_batch(context.remote_id, batch)).state is SetState.FINISHING:
        if time.monotonic() > end:
            raise PlatformUnavailable(
                context.platform.name,
                "take in the images",
                message="it is still processing them",
                advice="Run again to wait on.",
            )
        wait.check()
        wait.sleep(at_least=0.2)
    for name, reason in status.rejected:
        context.ledger.manifests.drop(title, Reject(name, f"left out by the platform: {reason}"))
    if status.rejected and report_rejects(context) and context.spec.images.strict:
        raise FilesLeftOut(f"the platform left out {len(status.rejected)} images and the campaign is strict")
    if status.state is SetState.FAILED:
        message = status.message or "the platform gives no reason"
        log().warning("batch %d of %s failed: %s", batch, title, message)
        return message
    return ""


def refuse_missing_batches(title: str, batches: list[int], message: str) -> None:
    """Raises PlatformRefused: images are still missing after several rounds of sending."""
    raise PlatformRefused(
        CampaignContext(title).platform.name,
        "take in every image",
        message=f"{len(batches)} batches of '{title}' lack images after they were sent: {message or 'no reason given'}",
        advice="Look at the campaign on the platform, then run again.",
    )


_ImageT = TypeVar("_ImageT", LabeledImage, ExcludedImage)


def with_manifest_names(context: CampaignContext, images: tuple[_ImageT, ...]) -> tuple[_ImageT, ...]:
    """The images under the names of the manifest: some platforms give images names of their own."""
    if isinstance(context.platform, KeepsImageSets):
        return images
    names = context.ledger.manifests.names_of(context.title, [image.remote_id for image in images])
    return tuple(replace(image, name=names.get(image.remote_id, image.name)) for image in images)


def _batch_size(context: CampaignContext) -> int:
    return context.require_capability(TakesImages).batch_size() or context.settings.batch_size
