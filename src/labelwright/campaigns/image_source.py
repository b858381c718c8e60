"""The source that a campaign names, and what one image of it may cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from labelwright.ingest.checks.decode import Limits
from labelwright.ingest.sources.azure_container import ContainerSource
from labelwright.ingest.sources.local import FilesSource, FolderSource, Found, SharesUrls, Source
from labelwright.ingest.sources.manifest import ManifestSource
from labelwright.ingest.sources.urls import UrlSource
from labelwright.platforms.protocol import Secret
from labelwright.settings import Settings

from .spec import ImagesFrom

_COPIED_WITHIN = 2 * 3600.0
"""Seconds."""


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
    """A container by the first that the settings have: its signature, its account's key, this machine's identity; else
    as anybody may read it."""
    return ContainerSource(
        url,
        sas=settings.container_sas.get_secret_value() if settings.container_sas else None,
        key=settings.container_key.get_secret_value() if settings.container_key else None,
        identity=settings.container_identity,
        timeout=settings.request_timeout,
        **more,
    )


def shared_url(source: Source, location: str, settings: Settings) -> Secret | None:
    """Where a platform can fetch the image by itself, for as long as the settings say; None where it cannot."""
    return source.url_for(location, settings.image_url_days * 86_400) if isinstance(source, SharesUrls) else None


def address_of(images: ImagesFrom, location: str) -> str:
    """The URL of what a source calls `location`, without any signature: what a dataset says of an image that its
    platform does not serve."""
    if images.container:
        return f"{images.container.rstrip('/')}/{quote(location)}"
    if "://" in location:
        return location.partition("#")[0]
    return Path(location).as_uri()


def addresses_to_copy(images: ImagesFrom, source: Source, settings: Settings) -> Callable[[str], str] | None:
    """Gives the URL of an image of an Azure container with what opens it: a secret, for Azure's own copying.

    None where there is none to give: only this machine's identity opens the container.
    """
    if settings.container_sas is not None:
        sas = settings.container_sas.get_secret_value().removeprefix("?")
        return lambda location: f"{address_of(images, location)}?{sas}"
    if settings.container_identity and settings.container_key is None:
        return None

    def address(location: str) -> str:
        shared = source.url_for(location, _COPIED_WITHIN) if isinstance(source, SharesUrls) else None
        return shared.value if shared is not None else address_of(images, location)

    return address


def limits_of(images: ImagesFrom) -> Limits:
    return Limits(int(images.max_megabytes * 1_000_000), int(images.max_megapixels * 1_000_000))


def stamp_of(file: Found) -> str | None:
    """Tells whether a file was touched since it was checked; None where the source cannot tell."""
    return None if file.version is None else f"{file.version}/{file.bytes}"


def version_in(stamp: str | None) -> str | None:
    """What the source called the version of the file (a blob's etag); None where the stamp has none."""
    return stamp.rpartition("/")[0] if stamp else None
