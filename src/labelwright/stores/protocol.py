"""What a place for datasets can do, and what every store means by equal content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

RECEIPT = "receipt.json"
"""In a version, beside its files; never part of the content hash."""


class ContentMismatch(ValueError):
    """The files are not those whose hash was given: something wrote to the folder in between."""


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
    found = []
    for path in paths_of(folder):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append(StoredFile(path.relative_to(folder).as_posix(), path.stat().st_size, digest))
    return found


def paths_of(folder: Path) -> Iterator[Path]:
    """The files below the folder but the receipt, sorted by name. Raises UnsafeDataset for what is no plain file."""
    for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).as_posix()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UnsafeDataset(f"{path.relative_to(folder)} is a link or a device: a dataset holds plain files")
        if path.is_file() and path != folder / RECEIPT:
            yield path
