"""Verifies registered datasets: their files, their images, and which version is the newest.

The store compares its files. Images that it keeps are compared with the manifest by one listing. Images that are kept
elsewhere (on the platform, in the user's folder, in a container) are compared as far as sizes are known there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from labelwright.campaigns.image_source import stamp_of
from labelwright.domain.commands import quoted
from labelwright.ingest import CannotRead, Finding, SourceError, SourceFile
from labelwright.ledger import ManifestEntry
from labelwright.network.concurrency import bounded_map
from labelwright.platforms import PlatformError
from labelwright.platforms.protocol import KeepsImageSets, ServesImages
from labelwright.stores import latest
from labelwright.stores.local import LocalStore
from labelwright.stores.protocol import DatasetGone, DatasetStore, KeepsImages, ReceiptDamaged
from labelwright.tasks.campaign.excluded_images import excluded_names
from labelwright.tasks.context import CampaignContext

from .images import ManifestImages, digest_of_images
from .registration import as_registered
from .stores import store_that_holds


@runtime_checkable
class ReadsImages(Protocol):
    """Platforms from which an image can be downloaded."""

    def read_image(self, image: str) -> str:
        """Download an image by the platform's id. Returns the SHA-256 of its bytes."""


@dataclass(frozen=True)
class Findings:
    """Findings of a verification, as sentences."""

    wrong: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """What could not be compared, and why."""
    repair: str = ""
    """How to repair what is wrong; empty when nothing is."""


class Verifier:
    """Verifies registered versions. Images that several versions share are compared once."""

    def __init__(self, *, deep: bool = False) -> None:
        self._deep = deep
        self._images: dict[tuple[str, str, frozenset[str]], Findings] = {}

    def verify(self, context: CampaignContext, row: Mapping[str, Any]) -> Findings:
        """Verify a version, a row of `Campaigns.datasets`. Raises PlatformError, SettingsError."""
        dataset = as_registered(row)
        store = store_that_holds(dataset.location, context.spec.export, context.settings)
        wrong = store.verify(dataset, deep=self._deep)
        pointer = _pointer_fault(store, row)
        images = self._verify_images(context, store, row)
        command = f"labelwright export {quoted(context.title)}"
        advice = []
        if wrong or pointer:
            advice.append(
                f"{command} writes the files again if the labels on the platform are still those of this version; if "
                "they have changed, this version cannot be repaired and the export registers another one."
            )
        if images.repair:
            advice.append(images.repair)
        return Findings([*wrong, *pointer, *images.wrong], images.unchecked, " ".join(advice))

    def _verify_images(self, context: CampaignContext, store: DatasetStore, row: Mapping[str, Any]) -> Findings:
        receipt = None
        with suppress(DatasetGone, ReceiptDamaged):
            receipt = store.receipt(as_registered(row))
        excluded = _excluded_by(receipt or {}, context)
        if not isinstance(store, KeepsImages):
            key = (context.title, "", excluded)
            if key not in self._images:
                self._images[key] = images_elsewhere(context, deep=self._deep, excluded=excluded)
            return self._images[key]
        if receipt is None:
            return Findings(unchecked=["the images: the receipt with their folder cannot be read"])
        folder = str(receipt.get("image_folder") or "")
        if not folder:
            return Findings(unchecked=["the images: this receipt has no folder of them; verify the dataset of images"])
        key = (context.title, folder, excluded)
        if key not in self._images:
            self._images[key] = self._verify_kept(context, store, folder, ManifestImages(context, excluded))
        return self._images[key]

    def _verify_kept(
        self, context: CampaignContext, store: KeepsImages, folder: str, images: ManifestImages
    ) -> Findings:
        whole = digest_of_images(images) == folder.rpartition("/")[2]
        mismatches = store.compare_images(folder, images, deep=self._deep)
        wrong = [
            f"{mismatch.name} {mismatch.reason}"
            for mismatch in mismatches
            if whole or mismatch.finding is not Finding.SURPLUS
        ]
        unchecked = []
        if not whole:
            left = sum(mismatch.finding is Finding.SURPLUS for mismatch in mismatches)
            unchecked = [f"{left} images in {folder} that left the campaign after this version was registered"]
        if not self._deep:
            unchecked.append("the images' bytes: sizes and stored MD5s were compared; --deep reads them")
        repair = (
            f"labelwright export {quoted(context.title)} sends the images again from where they came from."
            if wrong
            else ""
        )
        return Findings(wrong, unchecked, repair)


def _excluded_by(receipt: Mapping[str, Any], context: CampaignContext) -> frozenset[str]:
    """Names of the campaign's images that are not in a version, by its receipt.

    The receipt lists the first ones only; the others are taken from the labels that were read last.
    """
    excluded, delivery = receipt.get("excluded") or {}, receipt.get("delivery") or {}
    names = frozenset(str(image["image"]) for image in (*excluded.get("images", ()), *delivery.get("listed", ())))
    count = max(excluded.get("count", 0), sum(delivery.get("by_reason", {}).values()))
    return names if count <= len(names) else names | excluded_names(context)


def _pointer_fault(store: DatasetStore, row: Mapping[str, Any]) -> list[str]:
    """Sentences on a store and a ledger that disagree about the newest version, or a link that points elsewhere."""
    if not row["newest"]:
        return []
    faults = []
    if isinstance(store, LocalStore):
        folder = Path(row["location"]).parent
        store, faults = LocalStore(folder.parent), latest.faults(folder)
    newest = store.newest(row["name"])
    if newest is None or newest.content_hash == row["content_hash"]:
        return faults
    return [f"the store says that version {newest.version} is the newest, the ledger says {row['version']}"]


# --- images that the store does not keep


def images_elsewhere(context: CampaignContext, *, deep: bool, excluded: Collection[str] = ()) -> Findings:
    """Verify images where they are kept: on a platform that serves them, else at their source.

    excluded: names of images that are in no dataset.
    """
    try:
        platform = context.platform
        if isinstance(platform, ServesImages) and isinstance(platform, KeepsImageSets):
            return _on_platform(context, platform, deep, excluded)
        return _at_source(context, deep, excluded)
    except (PlatformError, SourceError, ValueError) as error:
        return Findings(unchecked=[f"the images: {error}"])


def _entries(context: CampaignContext, excluded: Collection[str]) -> Iterator[ManifestEntry]:
    return (entry for entry in context.ledger.manifests.entries(context.title) if entry.image.name not in excluded)


def _on_platform(context: CampaignContext, platform: KeepsImageSets, deep: bool, excluded: Collection[str]) -> Findings:
    remote_images = {image.id: image for image in platform.list_images(context.image_set)}
    wrong, sound = [], []
    for entry in _entries(context, excluded):
        image = remote_images.get(entry.remote_id or "")
        if image is None:
            wrong.append(f"{entry.image.name} is no longer on the platform")
        elif image.bytes is not None and image.bytes != entry.image.bytes:
            wrong.append(f"{entry.image.name} has {image.bytes:,} bytes on the platform and had {entry.image.bytes:,}")
        else:
            sound.append(entry)
    unchecked = ["the images' bytes: names and sizes on the platform were compared; --deep reads them"]
    if deep and isinstance(platform, ReadsImages):
        reader = platform  # the type is lost in the lambda
        wrong += _wrong_bytes(sound, lambda entry: reader.read_image(entry.remote_id or ""), context)
        unchecked = []
    elif deep:
        unchecked = ["the images' bytes: they cannot be downloaded from this platform"]
    repair = "The images are the platform's: restore them there from its backup." if wrong else ""
    return Findings(wrong, unchecked, repair)


def _at_source(context: CampaignContext, deep: bool, excluded: Collection[str]) -> Findings:
    images = context.spec.images
    if deep:
        wrong = _wrong_bytes(_entries(context, excluded), lambda entry: _read(context, entry), context)
        return Findings(wrong, [], _REPAIR_AT_SOURCE if wrong else "")
    if images.urls or images.manifest:
        return Findings(unchecked=["the images: they are at addresses of their own; --deep reads them"])
    files = {file.location: file for file in context.source.find() if isinstance(file, SourceFile)}
    wrong, touched = [], 0
    for entry in _entries(context, excluded):
        file = files.get(entry.location)
        if file is None:
            wrong.append(f"{entry.image.name} is gone: {entry.location}")
        elif file.bytes is not None and file.bytes != entry.image.bytes:
            wrong.append(f"{entry.image.name} has {file.bytes:,} bytes and had {entry.image.bytes:,}: {entry.location}")
        else:
            touched += entry.stamp is not None and stamp_of(file) != entry.stamp
    unchecked = ["the images' bytes: their sizes were compared; --deep reads them"]
    if touched:
        unchecked = [f"{unchecked[0]} ({touched} of them were written to since they were checked)"]
    return Findings(wrong, unchecked, _REPAIR_AT_SOURCE if wrong else "")


_REPAIR_AT_SOURCE = (
    "There is no copy of the images: restore the same files at the place from which the campaign took them."
)


def _read(context: CampaignContext, entry: ManifestEntry) -> str:
    with context.source.open(entry.location) as stream:
        return sha256_of(stream)


def sha256_of(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def _wrong_bytes(
    entries: Iterator[ManifestEntry] | list[ManifestEntry],
    read: Callable[[ManifestEntry], str],
    context: CampaignContext,
) -> list[str]:
    """Read every image, several at once; `read` returns the SHA-256 of one. Returns a sentence per wrong image."""

    def check(entry: ManifestEntry) -> str:
        try:
            sha256 = read(entry)
        except (CannotRead, OSError) as error:
            return f"{entry.image.name} cannot be read: {getattr(error, 'strerror', None) or error}"
        except PlatformError as error:
            return f"{entry.image.name} cannot be read: {error}"
        return "" if sha256 == entry.image.sha256 else f"{entry.image.name} has other bytes than when it was checked"

    messages = bounded_map(check, entries, threads=context.settings.upload_threads, name="read")
    return [message for message in messages if message]
