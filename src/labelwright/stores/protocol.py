"""What a place for datasets can do, and what every store means by equal content."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

if TYPE_CHECKING:
    from labelwright.domain import Image
    from labelwright.ingest import InventoryItem, UploadReport
    from labelwright.ingest.upload.verify import Difference

RECEIPT = "receipt.json"
"""In a version, beside its files; never part of the content hash."""


HASHED_AT_ONCE = 4


class ContentMismatch(ValueError):
    """The files are not those whose hash was given: something wrote to the folder in between."""


class DatasetGone(LookupError):
    """The ledger knows the dataset and the store does not."""


class ReceiptDamaged(LookupError):
    """The receipt in the store is gone or cannot be read: the message says which."""


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
    serial: int = field(default=0, compare=False)
    """The store's number of the last export of this version: of all versions, the highest is the newest. 0: unknown."""
    receipt_sha256: str = field(default="", compare=False)
    """SHA-256 of the receipt's file; empty when it is not known."""


@dataclass(frozen=True, slots=True)
class Newest:
    """Which version of a dataset was exported last, as its store says."""

    version: int | str
    content_hash: str
    serial: int
    """Grows with every export that makes another version the newest."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a dataset. `name` is relative, with forward slashes; `sha256` 64 hexadecimal digits."""

    name: str
    size: int
    sha256: str


class DatasetStore(Protocol):
    """A store numbers versions itself, and gives the same content of a name one version, however often it is asked."""

    @property
    def identity(self) -> str:
        """Which store this is, the same in every process; holds no secret."""

    def register(self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any]) -> RegisteredDataset:
        """Keeps the files of a folder for good, and makes their version the newest of its name.

        Raises ContentMismatch when they are not those of the hash, UnsafeDataset for a name or file it cannot take.
        """

    def find(self, name: str, content_hash: str) -> RegisteredDataset | None: ...

    def versions(self, name: str) -> list[RegisteredDataset]:
        """Oldest first; empty when there is no such dataset."""

    def newest(self, name: str) -> Newest | None:
        """The version that was exported last; None where the store has no record of it."""

    def verify(self, dataset: RegisteredDataset, *, deep: bool = False) -> list[str]:
        """What is not as it was registered, in words; empty when all is. Images are not looked at.

        A store that keeps checksums compares sizes and checksums; `deep` reads every byte.
        """

    def repair(self, dataset: RegisteredDataset, files: Path, receipt: Mapping[str, Any]) -> list[str]:
        """Put back what is gone or changed of a registered version, from files that have its content hash.

        Answers what was put back, in words. Nothing is touched when the files have another content.
        """

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

    def keep_images(
        self, folder: str, items: Sequence[InventoryItem], source: ImageSource, *, replace: bool = False
    ) -> UploadReport:
        """Keeps a batch. What is there already is not sent again.

        `replace`: all of them were there and compared once, so whatever else is under their names is damage, and is
        written over with the image of the manifest.
        """
        ...

    def compare_images(self, folder: str, images: Iterable[Image], *, deep: bool = False) -> list[Difference]:
        """What differs between the folder and the manifest, by one paged listing (sizes and MD5s); `deep` reads all."""
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
    digest = hashlib.sha256()
    for name, sha256 in sorted((file.name, file.sha256) for file in files):
        digest.update(f"{sha256}  {name}\n".encode())
    return digest.hexdigest()


def stored_files(folder: Path) -> list[StoredFile]:
    """Every file below the folder but the receipt, sorted by name, hashed as it is now."""

    def hashed(path: Path) -> StoredFile:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return StoredFile(path.relative_to(folder).as_posix(), path.stat().st_size, digest)

    # Hashing leaves Python's lock alone: several files at a time.
    with ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="hash") as pool:
        return list(pool.map(hashed, paths_of(folder)))


def next_serial(last: int) -> int:
    """A number above the last one. It follows the clock, so that it keeps growing when a store's record is lost."""
    return max(last + 1, int(time.time()))


def paths_of(folder: Path) -> Iterator[Path]:
    """The files below the folder but the receipt, sorted by name. Raises UnsafeDataset for what is no plain file."""
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UnsafeDataset(f"{path.relative_to(folder)} is a link or a device: a dataset holds plain files")
        if path.is_file() and path != folder / RECEIPT:
            yield path
