"""What a place for datasets can do, and what every store means by equal content."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

from labelwright.network.concurrency import bounded_map

if TYPE_CHECKING:
    from labelwright.domain import Image
    from labelwright.ingest import InventoryItem, UploadReport
    from labelwright.ingest.upload.verify import Difference

RECEIPT = "receipt.json"
"""In a version, beside its files; never part of the content hash."""


HASHED_AT_ONCE = 4


class ContentMismatch(ValueError):
    """The files do not have the expected hash: they were changed in between."""

    error_code = "LW5005"


class DatasetGone(LookupError):
    """The ledger knows the dataset and the store does not."""

    error_code = "LW5006"


class ReceiptDamaged(LookupError):
    """The receipt in the store is gone or cannot be read: the message says which."""

    error_code = "LW5007"


class UnsafeDataset(ValueError):
    """A dataset name or a file that a store must not take; the message says which and why."""

    error_code = "LW5008"


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
    """A store numbers versions itself. The same content under a name is one version: `register` is idempotent."""

    @property
    def identity(self) -> str:
        """Identifies the store, the same in every process. Contains no secret."""

    def register(self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any]) -> RegisteredDataset:
        """Stores the files of a folder permanently, as the newest version of the name.

        Raises ContentMismatch when they are not those of the hash, UnsafeDataset for a name or file it cannot take.
        """

    def find(self, name: str, content_hash: str) -> RegisteredDataset | None: ...

    def versions(self, name: str) -> list[RegisteredDataset]:
        """Oldest first; empty when there is no such dataset."""

    def newest(self, name: str) -> Newest | None:
        """The version that was exported last; None where the store has no record of it."""

    def verify(self, dataset: RegisteredDataset, *, deep: bool = False) -> list[str]:
        """Differences from what was registered, as sentences; empty when there are none. Images are not checked.

        A store that keeps checksums compares sizes and checksums; `deep` reads every byte.
        """

    def repair(self, dataset: RegisteredDataset, files: Path, receipt: Mapping[str, Any]) -> list[str]:
        """Restores missing or changed files of a registered version from files with its content hash.

        Returns what was restored. Does nothing when the files have other content.
        """

    def receipt(self, dataset: RegisteredDataset) -> dict[str, Any]:
        """The receipt that was stored at registration. Raises DatasetGone."""

    def file(self, dataset: RegisteredDataset, name: str, folder: Path) -> Path | None:
        """A file of a version: in the store, or copied below `folder`. None when it has no such file."""


@dataclass(frozen=True)
class ImageSource:
    """Where the bytes of images come from."""

    open: Callable[[str], BinaryIO]
    """Opens a location. Called from any thread."""
    signed_url: Callable[[str], str] | None = None
    """Signed URL of a location that Azure can copy from. A secret."""
    etag: Callable[[str], str | None] | None = None
    """Etag of a location when the image was checked."""
    platform_folder: str = ""
    """Folder of the store's container where the platform may have the same images; empty: none."""

    def __repr__(self) -> str:
        return "ImageSource()"


@runtime_checkable
class TakesFiles(Protocol):
    """Remote stores: each file can be sent by itself before the dataset is registered."""

    def send(self, name: str, files: Path, file: str, *, content_hash: str) -> bool:
        """Sends a file of the folder, by its relative name. Returns False when it exists already."""
        ...


@runtime_checkable
class KeepsImages(Protocol):
    """Stores that also keep the images, in a folder that is filled once and does not change afterwards.

    Such a store registers the images themselves: `register` with the folder as `image_folder`.
    """

    path_column: str
    """The column of the tables of labels and images that has the `listed_path` of each image."""

    def image_folder(self, title: str, digest: str) -> str:
        """The folder for an image set whose names and hashes have this digest."""
        ...

    def has_images(self, folder: str) -> bool:
        """Whether the folder is complete and was compared with the manifest."""
        ...

    def keep_images(
        self, folder: str, items: Sequence[InventoryItem], source: ImageSource, *, replace: bool = False
    ) -> UploadReport:
        """Stores a batch. Existing images are not sent again.

        `replace`: the folder was complete once, so other content under these names is damage and is replaced.
        """
        ...

    def compare_images(self, folder: str, images: Iterable[Image], *, deep: bool = False) -> list[Difference]:
        """Differences of the folder from the manifest, by one listing (sizes, MD5s); `deep` reads every image."""
        ...

    def seal_images(self, folder: str, images: Iterable[Image]) -> list[str]:
        """Compares the folder with the manifest. Returns the faults; without any, `has_images` is true from now on."""
        ...

    def image_url(self, folder: str, name: str) -> str:
        """The image's URL for datasets: percent-encoded, without a secret."""
        ...

    def listed_path(self, name: str) -> str:
        """The image's path as readers of the registered dataset of images list it, by which the two datasets join."""
        ...

    def register_images(
        self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any], image_folder: str
    ) -> RegisteredDataset:
        """Registers the image folder as a dataset, together with its description files."""
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

    # Hashing releases the GIL, so several files at a time are faster.
    return list(bounded_map(hashed, paths_of(folder), threads=HASHED_AT_ONCE, name="hash"))


def next_serial(last: int) -> int:
    """A number above the last one. Based on the clock, so that it keeps growing when a store's record is lost."""
    return max(last + 1, int(time.time()))


def paths_of(folder: Path) -> Iterator[Path]:
    """The files below the folder except the receipt, sorted by name. Raises UnsafeDataset for links and devices."""
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UnsafeDataset(
                f"{path.relative_to(folder)} is a link or a device; a dataset may contain plain files only"
            )
        if path.is_file() and path != folder / RECEIPT:
            yield path
