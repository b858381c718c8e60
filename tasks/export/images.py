"""Images on their way into a store that keeps them beside the labels; other stores have nothing to do here."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from prefect import task

from labelwright.campaigns.image_source import addresses_to_copy, version_in
from labelwright.domain import Image
from labelwright.ingest import InventoryItem
from labelwright.ingest.upload.verify import Finding
from labelwright.ledger import EffectItem
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.prefect_integration.blocks import with_signature
from labelwright.stores.protocol import ImageSource, KeepsImages
from labelwright.tasks.campaign.excluded_images import excluded_names
from labelwright.tasks.context import CampaignContext
from labelwright.tasks.reporting import log, publish_progress
from labelwright.tasks.retries import RETRY_POLICY

from .stores import open_store

STEP, BATCH, REPAIR = "keep the images", "keep images", "repair the images"


class ImagesNotKept(PlatformRefused):
    """Images that the store could not take, each with its reason."""


def keep_all_images(title: str) -> None:
    """Bring every image into the store, batch by batch, and have the whole compared with the manifest."""
    folder = choose_image_folder(title) if _keeper(CampaignContext(title)) is not None else None
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
    """Answers the folder that lacks images, None when all are there as the manifest says.

    The folder is named by the images' names and hashes. It is listed and compared every time: what was whole once may
    have been damaged since, and then only the batches with damage are brought again. Raises ImagesNotKept for files in
    it that are no images of the campaign: they are not ours to delete.
    """
    context = CampaignContext(title)
    keeper = _the_keeper(context)
    images = ManifestImages(context, excluded_names(context))
    folder = keeper.image_folder(title, digest_of_images(images))
    effects = context.ledger.effects
    known = effects.find(title, STEP, _item(context))
    if known is not None and known.outcome not in (None, folder):  # the platform dropped an image since
        effects.forget(title, STEP, _item(context))
        known = None
    marked = keeper.has_images(folder)
    found = keeper.compare_images(folder, images)
    _refuse_surplus(folder, [one.name for one in found if one.finding is Finding.SURPLUS])
    if not found:
        if not marked:
            keeper.seal_images(folder, images)
        effects.forget(title, REPAIR, _item(context))
        effects.intend(title, STEP, _item(context))
        if known is None or known.done_at is None:
            effects.settle(title, STEP, folder, _item(context))
        return None
    if marked or (known is not None and known.done_at is not None):  # they were there, and are no longer
        log().warning("%d images of %s are gone or changed in the store: bringing them again", len(found), title)
        effects.intend(title, REPAIR, _item(context))
        effects.forget(title, STEP, _item(context))
    forget_batches(context, [one.name for one in found])
    effects.intend(title, STEP, _item(context))
    return folder


class ManifestImages:
    """Images of the campaign's manifest that are not `excluded`; may be gone through again and again."""

    def __init__(self, context: CampaignContext, excluded: Collection[str]) -> None:
        self._bench, self._excluded = context, excluded

    def __iter__(self) -> Iterator[Image]:
        entries = self._bench.ledger.manifests.entries(self._bench.title)
        return (entry.image for entry in entries if entry.image.name not in self._excluded)


def _refuse_surplus(folder: str, names: list[str]) -> None:
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        message = f"{folder} has {len(names)} files that are no images of the campaign: {shown}"
        raise ImagesNotKept("the store", "keep images", message=message, advice="Remove them, then export again.")


@task(task_run_name="keep images {first}-{last} of {title}", **RETRY_POLICY)
def keep_images(title: str, folder: str, first: int, last: int) -> None:
    """Bring the images at positions first to last (both counted, from 1) into the store's folder.

    Raises ImagesNotKept for files that changed since they were checked, or that the store refuses.
    """
    context = CampaignContext(title)
    item = replace(_item(context), folder=folder[-12:], first_image=first, last_image=last)
    known = context.ledger.effects.find(title, BATCH, item)
    if known is not None and known.done_at is not None:
        return
    context.ledger.effects.intend(title, BATCH, item)
    excluded = excluded_names(context)
    entries = [one for one in context.ledger.manifests.between(title, first, last) if one.image.name not in excluded]
    stamps = {entry.location: entry.stamp for entry in entries}
    items = [InventoryItem(entry.image, entry.location) for entry in entries]
    repairing = context.ledger.effects.find(title, REPAIR, _item(context)) is not None
    report = _the_keeper(context).keep_images(folder, items, _image_source(context, stamps), replace=repairing)
    if report.failed:
        some = "; ".join(f"{name}: {reason}" for name, reason in report.failed[:5])
        raise ImagesNotKept("the store", "keep images", message=f"{len(report.failed)} were not taken: {some}")
    context.ledger.effects.settle(title, BATCH, f"{report.sent} sent, {report.present} there", item)
    log().info("images %d to %d of %s: %d sent, %d were there", first, last, title, report.sent, report.present)
    publish_progress(title, "keeping images", last, context.record.images or last)


@task(task_run_name="compare the kept images of {title}", **RETRY_POLICY)
def seal_images(title: str, folder: str) -> None:
    """Compare what the store's folder holds, sizes and MD5s, with the manifest."""
    context = CampaignContext(title)
    wrong = _the_keeper(context).seal_images(folder, ManifestImages(context, excluded_names(context)))
    if wrong:
        forget_batches(context)
        message = f"{len(wrong)} images are not as they should be: {'; '.join(wrong[:5])}"
        raise PlatformUnavailable("the store", "keep images", message=message, advice="Export again.")
    context.ledger.effects.settle(title, STEP, folder, _item(context))
    context.ledger.effects.forget(title, REPAIR, _item(context))
    log().info("all images of %s are in %s", title, folder)


def forget_batches(context: CampaignContext, names: Iterable[str] | None = None) -> None:
    """Batches that were brought into the store and are not whole there: the next run brings them again.

    Those in which one of the named images is; without names all of them.
    """
    places = None if names is None else sorted(context.ledger.manifests.positions(context.title, names))
    export = context.spec.export
    for effect in context.ledger.effects.in_store(context.title, BATCH, export.store, export.workspace):
        first, last = effect.item.first_image, effect.item.last_image
        if places is None or bisect_left(places, first) < bisect_right(places, last):
            context.ledger.effects.forget(context.title, BATCH, effect.item)


def kept_folder(context: CampaignContext) -> str | None:
    """Where the store of the campaign keeps its images; None when it keeps none, or does not keep all of them yet."""
    known = context.ledger.effects.find(context.title, STEP, _item(context))
    return known.outcome if known is not None and known.done_at is not None else None


def kept_url(context: CampaignContext) -> Callable[[str], str] | None:
    """The address of an image by its name, in a store that keeps it."""
    folder = kept_folder(context)
    if folder is None:
        return None
    keeper = _the_keeper(context)
    return lambda name: keeper.image_url(folder, name)


def digest_of_images(images: Iterable[Image]) -> str:
    """SHA-256 over the sorted names and hashes of the images that come into the dataset."""
    together = hashlib.sha256()
    for image in images:
        together.update(f"{image.sha256}  {image.name}\n".encode())
    return together.hexdigest()


def _item(context: CampaignContext) -> EffectItem:
    return EffectItem(store=context.spec.export.store, workspace=context.spec.export.workspace)


def _keeper(context: CampaignContext) -> KeepsImages | None:
    store = open_store(context.spec.export, context.settings)
    return store if isinstance(store, KeepsImages) else None


def _the_keeper(context: CampaignContext) -> KeepsImages:
    keeper = _keeper(context)
    if keeper is None:
        raise PlatformRefused(context.spec.export.store, "keep images", message="this store keeps no images")
    return keeper


def _image_source(context: CampaignContext, stamps: dict[str, str | None]) -> ImageSource:
    images, settings, source = (
        context.spec.images,
        with_signature(context.settings, context.spec.images),
        context.source,
    )
    address = addresses_to_copy(images, source, settings) if images.container is not None else None
    if address is None:
        return ImageSource(source.open, platform_folder=context.title)
    return ImageSource(source.open, signed_url=address, etag=lambda location: version_in(stamps.get(location)))
