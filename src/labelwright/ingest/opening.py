"""The source that a campaign names, and what one image of it may cost."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from labelwright.platforms.protocol import Secret
from labelwright.settings import Settings
from labelwright.spec import ImagesFrom

from .checking import Limits
from .container import ContainerSource
from .manifests import ManifestSource
from .sources import FilesSource, FolderSource, Found, SharesUrls, Source
from .urls import UrlSource


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
    sas = settings.container_sas.get_secret_value() if settings.container_sas else None
    return ContainerSource(
        images.container or "",
        images.prefix,
        images.include,
        images.exclude,
        sas=sas,
        key=settings.container_key.get_secret_value() if settings.container_key else None,
        threads=settings.upload_threads,
        timeout=settings.request_timeout,
        max_bytes=limits.max_bytes,
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


def signed_address_of(images: ImagesFrom, location: str, settings: Settings) -> str:
    """The URL of an image of an Azure container with the signature that opens it: a secret, for Azure's own copying."""
    sas = settings.container_sas.get_secret_value().removeprefix("?") if settings.container_sas else ""
    return address_of(images, location) + (f"?{sas}" if sas else "")


def limits_of(images: ImagesFrom) -> Limits:
    return Limits(int(images.max_megabytes * 1_000_000), int(images.max_megapixels * 1_000_000))


def stamp_of(found: Found) -> str | None:
    """Tells whether a file was touched since it was checked; None where the source cannot tell."""
    return None if found.version is None else f"{found.version}/{found.bytes}"


def version_in(stamp: str | None) -> str | None:
    """What the source called the version of the file (a blob's etag); None where the stamp has none."""
    return stamp.rpartition("/")[0] if stamp else None
