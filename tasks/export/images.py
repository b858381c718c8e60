"""Copies the campaign's images into a store that keeps them beside the labels. Other stores need nothing of this."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from labelwright.campaigns.image_source import addresses_to_copy, version_in
from labelwright.domain import Image
from labelwright.ingest import InventoryItem
from labelwright.ingest.upload.verify import Finding
from labelwright.ledger import EffectItem
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.stores.protocol import ImageSource, KeepsImages
from labelwright.tasks.campaign.excluded_images import excluded_names
from labelwright.tasks.chaining import task
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_progress
from labelwright.tasks.retries import RETRY_POLICY

from .stores import open_store

STEP, BATCH, REPAIR = "keep the images", "keep images", "repair the images"


class ImagesNotKept(PlatformRefused):
    """The store could not take images; the message gives the reasons."""

    error_code = "LW3006"


def keep_all_images(title: str) -> None:
    """Copy every image into the store, batch by batch, and compare the whole with the manifest."""
    folder = choose_image_folder(title) if _image_store(CampaignContext(title)) is not None else None
    if folder is None:
        return
    last, size = (
        CampaignContext(title).ledger.manifests.last_position(title),
        CampaignContext(title).settings.batch_size,
    )
    for first in range(1, last + 1, size):
        keep_images(title, folder, first, min(first + size - 1, last))
    seal_images(title, folder)


@task(task_run_name="choose where the images of {title} are kept", **RETRY_POLICY)
def choose_image_folder(title: str) -> str | None:
    """Returns the folder that lacks images, None when it has all of them as the manifest says.

    The folder's name comes from the images' names and hashes. It is listed and compared every time, because it may have
    been damaged since; then only the damaged batches are copied again. Raises ImagesNotKept for files in it that are
    not the campaign's: they are not ours to delete.
    """
    context = CampaignContext(title)
    store = _require_image_store(context)
    images = ManifestImages(context, excluded_names(context))
    folder = store.image_folder(title, digest_of_images(images))
    effects = context.ledger.effects
    effect = effects.find(title, STEP, _effect_item(context))
    if effect is not None and effect.outcome not in (None, folder):  # the platform dropped an image since
        effects.forget(title, STEP, _effect_item(context))
        effect = None
    marked = store.has_images(folder)
    mismatches = store.compare_images(folder, images)
    _refuse_surplus(folder, [mismatch.name for mismatch in mismatches if mismatch.finding is Finding.SURPLUS])
    if not mismatches:
        if not marked:
            store.seal_images(folder, images)
        effects.forget(title, REPAIR, _effect_item(context))
        effects.intend(title, STEP, _effect_item(context))
        if effect is None or effect.done_at is None:
            effects.settle(title, STEP, folder, _effect_item(context))
        return None
    if marked or (effect is not None and effect.done_at is not None):  # they were there, and are no longer
        log().warning("%d images of %s are missing or changed in the store: copying them again", len(mismatches), title)
        effects.intend(title, REPAIR, _effect_item(context))
        effects.forget(title, STEP, _effect_item(context))
    forget_batches(context, [mismatch.name for mismatch in mismatches])
    effects.intend(title, STEP, _effect_item(context))
    return folder


class ManifestImages:
    """Images of the campaign's manifest that are not `excluded` (names). Can be iterated several times."""

    def __init__(self, context: CampaignContext, excluded: Collection[str]) -> None:
        self._context, self._excluded = context, excluded

    def __iter__(self) -> Iterator[Image]:
        entries = self._context.ledger.manifests.entries(self._context.title)
        return (entry.image for entry in entries if entry.image.name not in self._excluded)


def _refuse_surplus(folder: str, names: list[str]) -> None:
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        message = f"{folder} has {len(names)} files that are not images of the campaign: {shown}"
        raise ImagesNotKept("the store", "keep images", message=message, advice="Remove them, then export again.")


@task(task_run_name="keep images {first}-{last} of {title}", **RETRY_POLICY)
def keep_images(title: str, folder: str, first: int, last: int) -> None:
    """Copy the images at positions first to last (inclusive, from 1) into the store's folder.

    Raises ImagesNotKept for files that changed since they were checked, or that the store refuses.
    """
    context = CampaignContext(title)
    item = replace(_effect_item(context), folder=folder[-12:], first_image=first, last_image=last)
    effect = context.ledger.effects.find(title, BATCH, item)
    if effect is not None and effect.done_at is not None:
        return
    context.ledger.effects.intend(title, BATCH, item)
    excluded = excluded_names(context)
    entries = [
        entry for entry in context.ledger.manifests.between(title, first, last) if entry.image.name not in excluded
    ]
    stamps = {entry.location: entry.stamp for entry in entries}
    items = [InventoryItem(entry.image, entry.location) for entry in entries]
    repairing = context.ledger.effects.find(title, REPAIR, _effect_item(context)) is not None
    report = _require_image_store(context).keep_images(folder, items, _image_source(context, stamps), replace=repairing)
    if report.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in report.failed[:5])
        raise ImagesNotKept("the store", "keep images", message=f"{len(report.failed)} were not taken: {reasons}")
    context.ledger.effects.settle(title, BATCH, f"{report.sent} sent, {report.present} there", item)
    log().info("images %d to %d of %s: %d sent, %d were already there", first, last, title, report.sent, report.present)
    publish_progress(title, "keeping images", last, context.record.images or last)


@task(task_run_name="compare the kept images of {title}", **RETRY_POLICY)
def seal_images(title: str, folder: str) -> None:
    """Compare the files in the store's folder, by size and MD5, with the manifest, and mark the folder as complete."""
    context = CampaignContext(title)
    mismatches = _require_image_store(context).seal_images(folder, ManifestImages(context, excluded_names(context)))
    if mismatches:
        forget_batches(context)
        message = f"{len(mismatches)} images differ from the manifest: {'; '.join(mismatches[:5])}"
        raise PlatformUnavailable("the store", "keep images", message=message, advice="Export again.")
    context.ledger.effects.settle(title, STEP, folder, _effect_item(context))
    context.ledger.effects.forget(title, REPAIR, _effect_item(context))
    log().info("all images of %s are in %s", title, folder)


def forget_batches(context: CampaignContext, names: Iterable[str] | None = None) -> None:
    """Forget that batches were copied, so that the next run copies them again.

    names: of images whose batches are meant; by default all batches.
    """
    positions = None if names is None else sorted(context.ledger.manifests.positions(context.title, names))
    export = context.spec.export
    for effect in context.ledger.effects.in_store(context.title, BATCH, export.store, export.workspace):
        first, last = effect.item.first_image, effect.item.last_image
        if positions is None or bisect_left(positions, first) < bisect_right(positions, last):
            context.ledger.effects.forget(context.title, BATCH, effect.item)


def kept_folder(context: CampaignContext) -> str | None:
    """The folder in the campaign's store that has all of its images; None when there is none, or not yet."""
    effect = context.ledger.effects.find(context.title, STEP, _effect_item(context))
    return effect.outcome if effect is not None and effect.done_at is not None else None


def kept_url(context: CampaignContext) -> Callable[[str], str] | None:
    """Maps an image's name to its URL in the store; None when the store does not keep the images."""
    folder = kept_folder(context)
    if folder is None:
        return None
    store = _require_image_store(context)
    return lambda name: store.image_url(folder, name)


def path_column(context: CampaignContext) -> str:
    """The column of tables for the path by which the store lists an image; empty when it keeps no images."""
    return _require_image_store(context).path_column if kept_folder(context) is not None else ""


def listed_path(context: CampaignContext) -> Callable[[str], str]:
    """Maps an image's name to the path by which the store lists it; to an empty one when it keeps no images."""
    return _require_image_store(context).listed_path if kept_folder(context) is not None else lambda _: ""


def digest_of_images(images: Iterable[Image]) -> str:
    """SHA-256 over the names and hashes of the images, in their order."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.sha256}  {image.name}\n".encode())
    return digest.hexdigest()


def _effect_item(context: CampaignContext) -> EffectItem:
    return EffectItem(store=context.spec.export.store, workspace=context.spec.export.workspace)


def _image_store(context: CampaignContext) -> KeepsImages | None:
    store = open_store(context.spec.export, context.settings)
    return store if isinstance(store, KeepsImages) else None


def _require_image_store(context: CampaignContext) -> KeepsImages:
    store = _image_store(context)
    if store is None:
        raise PlatformRefused(context.spec.export.store, "keep images", message="this store keeps no images")
    return store


def _image_source(context: CampaignContext, stamps: dict[str, str | None]) -> ImageSource:
    images, source = context.spec.images, context.source
    signed_url = addresses_to_copy(images, source, context.image_settings) if images.container is not None else None
    if signed_url is None:
        return ImageSource(source.open, platform_folder=context.title)
    return ImageSource(source.open, signed_url=signed_url, etag=lambda location: version_in(stamps.get(location)))
