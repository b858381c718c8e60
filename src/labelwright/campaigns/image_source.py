"""Opens the image source that a campaign names, and reads its limits per image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labelwright.ingest.checks.decode import Limits
from labelwright.ingest.sources.azure_container import ContainerSource
from labelwright.ingest.sources.local import FilesSource, FolderSource, SharesUrls, Source, SourceFile
from labelwright.ingest.sources.manifest import ManifestSource
from labelwright.ingest.sources.urls import UrlSource
from labelwright.platforms.protocol import Secret
from labelwright.settings import Settings

from .spec import ImagesFrom

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


def address_of(images: ImagesFrom, location: str) -> str:
    """The unsigned URL of a source's location, for datasets of platforms that do not serve images."""
    if images.container:
        return f"{images.container.rstrip('/')}/{quote(location)}"
    if "://" in location:
        return location.partition("#")[0]
    return Path(location).as_uri()


def addresses_to_copy(images: ImagesFrom, source: Source, settings: Settings) -> Callable[[str], str] | None:
    """A function from location to signed URL (a secret), for server-side copies by Azure.

    None when only this machine's identity can read the container.
    """
    if settings.container_sas is not None:
        sas = settings.container_sas.get_secret_value().removeprefix("?")
        return lambda location: f"{address_of(images, location)}?{sas}"
    if settings.container_identity and settings.container_key is None:
        return None

    def address(location: str) -> str:
        shared = source.url_for(location, _COPY_URL_LIFETIME) if isinstance(source, SharesUrls) else None
        return shared.value if shared is not None else address_of(images, location)

    return address


def limits_of(images: ImagesFrom) -> Limits:
    return Limits(int(images.max_megabytes * 1_000_000), int(images.max_megapixels * 1_000_000))


def stamp_of(file: SourceFile) -> str | None:
    """A value that changes when the file does; None when the source has no version."""
    return None if file.version is None else f"{file.version}/{file.bytes}"


def version_in(stamp: str | None) -> str | None:
    """The source's version (a blob's etag) in a stamp; None when it has none."""
    return stamp.rpartition("/")[0] if stamp else None
