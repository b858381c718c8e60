"""Opens the image source that a campaign names, and reads its limits per image."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from labelwright.ingest.checks.decode import Limits
from labelwright.ingest.sources.azure_container import ContainerSource
from labelwright.ingest.sources.local import FilesSource, FolderSource, SharesUrls, Source, SourceError, SourceFile
from labelwright.ingest.sources.manifest import ManifestSource
from labelwright.ingest.sources.urls import UrlSource
from labelwright.ingest.video.decoding import FrameChoice
from labelwright.ingest.video.source import VideoSource
from labelwright.platforms.protocol import Secret
from labelwright.security.credential_shapes import credential_in_url
from labelwright.settings import Settings

from .spec import ImagesFrom

if TYPE_CHECKING:
    from labelwright.ingest.checks.inventory import InventoryItem
    from labelwright.ledger import ManifestEntry

_COPY_URL_LIFETIME = 2 * 3600.0
"""Seconds that a URL for a server-side copy is valid."""


def open_source(images: ImagesFrom, settings: Settings) -> Source:
    """The source of a campaign's images. Raises SourceError.

    An Azure container's signature comes from the settings, never from the campaign.
    """
    limits, private = limits_of(images), images.allow_private_addresses
    if images.folder:
        return FolderSource(images.folder, images.include, images.exclude)
    if images.files:
        return FilesSource(images.files)
    if images.manifest:
        return ManifestSource(images.manifest, max_bytes=limits.max_bytes, allow_private=private)
    if images.video:
        choice = FrameChoice(images.every, images.per_second)
        return VideoSource(
            images.video,
            choice,
            settings.frames_folder,
            include=images.include,
            exclude=images.exclude,
            max_pixels=limits.max_pixels,
        )
    if images.urls:
        return UrlSource(images.urls, max_bytes=limits.max_bytes, allow_private=private)
    return open_container(
        images.container or "",
        settings,
        prefix=images.prefix,
        include=images.include,
        exclude=images.exclude,
        threads=settings.upload_threads,
        max_bytes=limits.max_bytes,
    )


def open_container(url: str, settings: Settings, **more: Any) -> ContainerSource:
    """Opens a container by the first of: its signature, its account's key, this machine's identity, anonymously."""
    return ContainerSource(
        url,
        sas=settings.container_sas.get_secret_value() if settings.container_sas else None,
        key=settings.container_key.get_secret_value() if settings.container_key else None,
        identity=settings.container_identity,
        timeout=settings.request_timeout,
        **more,
    )


def shared_url(source: Source, location: str, settings: Settings) -> Secret | None:
    """A URL from which a platform can fetch the image, valid for settings.image_url_days; None where it cannot."""
    return source.url_for(location, settings.image_url_days * 86_400) if isinstance(source, SharesUrls) else None


_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")
"""What `quote` leaves as it is: matching is several times as fast."""


def address_of(images: ImagesFrom, location: str) -> str:
    """The unsigned URL of a source's location."""
    if images.container:
        return f"{images.container.rstrip('/')}/{location if _PLAIN.fullmatch(location) else quote(location)}"
    if "://" in location:
        return location.partition("#")[0]
    return f"file://{location if _PLAIN.fullmatch(location) else quote(os.fsencode(location))}"


def dataset_addresses(images: ImagesFrom, source: Callable[[], Source]) -> Callable[[str], str]:
    """A function from a location to the source's own address of it, for datasets.

    An address holds no credential and is the same in every export. source: opens the source, for URLs with a query,
    which locations lack.
    """
    if not images.container:
        return lambda location: _dataset_address(images, location, source)
    container = images.container.rstrip("/")
    # Called for every image of an export: `address_of` would take twice as long.
    return lambda location: f"{container}/{location if _PLAIN.fullmatch(location) else quote(location)}"


def _dataset_address(images: ImagesFrom, location: str, source: Callable[[], Source]) -> str:
    address = address_of(images, location)
    if "#" in location and location.startswith(("http://", "https://")):
        try:
            opened = source()
            whole = opened.url_for(location, 0) if isinstance(opened, SharesUrls) else None
        except SourceError:
            return address  # the manifest is gone
        if whole is not None and credential_in_url(whole.value) is None:
            return whole.value
    return address


def addresses_to_copy(images: ImagesFrom, source: Source, settings: Settings) -> Callable[[str], str] | None:
    """A function from location to signed URL (a secret), for server-side copies by Azure.

    None when only this machine's identity can read the container.
    """
    if settings.container_sas:  # one from an empty file is none
        sas = settings.container_sas.get_secret_value().removeprefix("?")
        return lambda location: f"{address_of(images, location)}?{sas}"
    if settings.container_identity and not settings.container_key:
        return None

    def address(location: str) -> str:
        shared = source.url_for(location, _COPY_URL_LIFETIME) if isinstance(source, SharesUrls) else None
        return shared.value if shared is not None else address_of(images, location)

    return address


def limits_of(images: ImagesFrom) -> Limits:
    megabytes, megapixels = round(images.max_megabytes * 1_000_000), round(images.max_megapixels * 1_000_000)
    look_alike = images.near_duplicates != "plan"
    return Limits(megabytes, megapixels, take_damaged=images.on_damage == "warn", perceptual_hash=look_alike)


def stamp_of(file: SourceFile) -> str | None:
    """A value that changes when the file does; None when the source has no version."""
    return None if file.version is None else f"{file.version}/{file.bytes}"


def entry_of(item: InventoryItem, stamp: str | None) -> ManifestEntry:
    """The manifest's entry for a checked image."""
    from labelwright.ledger import ManifestEntry

    return ManifestEntry(
        item.image,
        item.location,
        stamp=stamp,
        source_name=item.source_name,
        group=item.group,
        frame=item.frame,
    )


def version_in(stamp: str | None) -> str | None:
    """The source's version (a blob's etag) in a stamp; None when it has none."""
    return stamp.rpartition("/")[0] if stamp else None
