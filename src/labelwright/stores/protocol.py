"""What a place for datasets can do, and what every store means by equal content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

if TYPE_CHECKING:
    from labelwright.domain import Image
    from labelwright.ingest import StockItem, UploadReport

RECEIPT = "receipt.json"
"""In a version, beside its files; never part of the content hash."""


HASHED_AT_ONCE = 4


class ContentMismatch(ValueError):
    """The files are not those whose hash was given: something wrote to the folder in between."""


class DatasetGone(LookupError):
    """The ledger knows the dataset and the store does not."""


class UnsafeDataset(ValueError):
    """A dataset name or a file that a store must not take; the message says which and why."""


@dataclass(frozen=True, slots=True)
class RegisteredDataset:
    """A version of a dataset. `created` is False when the same content was there already."""

    name: str
    version: int | str
    location: str
    created: bool
    content_hash: str
    parts: tuple[RegisteredDataset, ...] = ()
    """What else the store keeps of the same delivery under names of their own, one a file or folder."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a dataset. `name` is relative, with forward slashes; `sha256` 64 hexadecimal digits."""

    name: str
    size: int
    sha256: str


class DatasetStore(Protocol):
    """A store numbers versions itself, and gives the same content of a name one version, however often it is asked."""

    def register(self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any]) -> RegisteredDataset:
        """Keeps the files of a folder for good.

        Raises ContentMismatch when they are not those of the hash, UnsafeDataset for a name or file it cannot take.
        """

    def find(self, name: str, content_hash: str) -> RegisteredDataset | None: ...

    def versions(self, name: str) -> list[RegisteredDataset]:
        """Oldest first; empty when there is no such dataset."""

    def verify(self, dataset: RegisteredDataset) -> list[str]:
        """What is not as it was registered, in words; empty when all is."""

    def receipt(self, dataset: RegisteredDataset) -> dict[str, Any]:
        """What was said of it when it was registered. Raises DatasetGone."""


@dataclass(frozen=True)
class ImageSource:
    """Where the bytes of images come from."""

    open: Callable[[str], BinaryIO]
    """Of a location, from any thread."""
    signed_url: Callable[[str], str] | None = None
    """Of a location, with what opens it, where Azure itself can copy from there. Holds a secret."""
    etag: Callable[[str], str | None] | None = None
    """Of a location, as it was when the image was checked."""
    platform_folder: str = ""
    """Where the platform may keep the same images in the store's own container; empty when nowhere."""

    def __repr__(self) -> str:
        return "ImageSource()"


@runtime_checkable
class TakesFiles(Protocol):
    """Stores that are far away: each file can be sent by itself before the dataset is registered."""

    def send(self, name: str, files: Path, file: str, *, content_hash: str) -> bool:
        """A file of the folder, by its relative name. False when it was there already."""
        ...


@runtime_checkable
class KeepsImages(Protocol):
    """Stores that keep the images as well, in a folder that is filled once and does not change afterwards.

    Such a store registers the images themselves: `register` with the folder as `image_folder`.
    """

    def image_folder(self, title: str, digest: str) -> str:
        """Where the images of a set go whose names and hashes have this digest."""
        ...

    def has_images(self, folder: str) -> bool:
        """Whether all of them are there, and were compared with the manifest."""
        ...

    def keep_images(self, folder: str, items: Sequence[StockItem], source: ImageSource) -> UploadReport:
        """Keeps a batch. What is there already is not sent again."""
        ...

    def seal_images(self, folder: str, images: Iterable[Image]) -> list[str]:
        """Compares the folder with the manifest: what is wrong, in words. When nothing is, `has_images` from now on."""
        ...

    def image_url(self, folder: str, name: str) -> str:
        """Where a dataset says that the image is: percent-encoded, without a secret."""
        ...

    def register_images(
        self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any], image_folder: str
    ) -> RegisteredDataset:
        """The folder of images as a dataset, and the files that tell of it."""
        ...


def content_hash(folder: Path) -> str:
    """SHA-256 over the sorted names and hashes of all files. Times, modes and a receipt at the top do not count."""
    return hash_of_files(stored_files(folder))


def hash_of_files(files: Iterable[StoredFile]) -> str:
    together = hashlib.sha256()
    for name, sha256 in sorted((one.name, one.sha256) for one in files):
        together.update(f"{sha256}  {name}\n".encode())
    return together.hexdigest()


def stored_files(folder: Path) -> list[StoredFile]:
    """Every file below the folder but the receipt, sorted by name, hashed as it is now."""

    def hashed(path: Path) -> StoredFile:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return StoredFile(path.relative_to(folder).as_posix(), path.stat().st_size, digest)

    # Hashing leaves Python's lock alone: several files at a time.
    with ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="hash") as pool:
        return list(pool.map(hashed, paths_of(folder)))


def paths_of(folder: Path) -> Iterator[Path]:
    """The files below the folder but the receipt, sorted by name. Raises UnsafeDataset for what is no plain file."""
    for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UnsafeDataset(f"{path.relative_to(folder)} is a link or a device: a dataset holds plain files")
        if path.is_file() and path != folder / RECEIPT:
            yield path
