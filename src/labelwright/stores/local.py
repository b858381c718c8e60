"""Datasets in a folder: ``datasets/<name>/v<N>/``, written once and read-only from then on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .protocol import (
    RECEIPT,
    ContentMismatch,
    DatasetGone,
    RegisteredDataset,
    StoredFile,
    UnsafeDataset,
    hash_of_files,
    paths_of,
    stored_files,
)

_VERSION = re.compile(r"v([1-9]\d*)")
_INCOMING = ".incoming-"
_CHUNK = 1 << 20


class LocalStore:
    """Versions appear by one rename, so a reader sees a whole version or none, whenever the writer is killed.

    One process at a time registers under a name (a lock that the system takes back when a process dies). So whatever
    half-written folder is found with the lock in hand belongs to nobody, and is removed.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def register(self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any]) -> RegisteredDataset:
        home = self._home(name)
        if (files / RECEIPT).exists():
            raise UnsafeDataset(f"the folder has a {RECEIPT} of its own: the store writes that file")
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home / ".lock"):
            for leftover in home.glob(f"{_INCOMING}*"):
                shutil.rmtree(leftover)
            found = self.find(name, content_hash)
            if found is not None:
                return found
            version = max(_numbers(home), default=0) + 1
            incoming = home / f"{_INCOMING}{os.getpid()}"
            target = home / f"v{version}"
            with _removed_on_failure(incoming):
                copied = _copy(files, incoming)
                if hash_of_files(copied) != content_hash:
                    raise ContentMismatch(
                        f"the files of '{name}' are not those that were checked: write them again, then register"
                    )
                registered: dict[str, str | int] = {"name": name, "version": version, "content_hash": content_hash}
                _write_receipt(incoming / RECEIPT, receipt, copied, **registered)
                for folder in (incoming, *(path for path in incoming.rglob("*") if path.is_dir())):
                    _sync(folder)
                incoming.rename(target)
            _sync(home)
        return RegisteredDataset(name, version, str(target), True, content_hash)

    def find(self, name: str, content_hash: str) -> RegisteredDataset | None:
        return next((one for one in self.versions(name) if one.content_hash == content_hash), None)

    def versions(self, name: str) -> list[RegisteredDataset]:
        home = self._home(name)
        found = []
        for number in _numbers(home):
            folder = home / f"v{number}"
            told = json.loads((folder / RECEIPT).read_bytes())
            found.append(RegisteredDataset(name, number, str(folder), False, told["content_hash"]))
        return found

    def verify(self, dataset: RegisteredDataset) -> list[str]:
        folder = Path(dataset.location)
        if not (folder / RECEIPT).is_file():
            return [f"{folder} is gone"]
        differences = verify(folder)
        if json.loads((folder / RECEIPT).read_bytes())["content_hash"] != dataset.content_hash:
            differences.append("its content hash is another one than when it was registered")
        return differences

    def receipt(self, dataset: RegisteredDataset) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((Path(dataset.location) / RECEIPT).read_bytes())
        except FileNotFoundError:
            raise DatasetGone(f"{dataset.location} is gone, or is on another machine") from None
        return told

    def _home(self, name: str) -> Path:
        if not name or name[0] == "." or name != Path(name).name or "\\" in name or "\0" in name:
            raise UnsafeDataset(f"{name!r} cannot be the name of a dataset's folder")
        return self.root / name


def verify(version_folder: Path) -> list[str]:
    """What differs between a version and its receipt, in words; empty when every byte is as it was registered."""
    told = json.loads((version_folder / RECEIPT).read_bytes())
    expected = {one["name"]: StoredFile(**one) for one in told["files"]}
    present = {one.name: one for one in stored_files(version_folder)}
    differences = [f"{name} is gone" for name in sorted(expected.keys() - present.keys())]
    differences += [f"{name} was added" for name in sorted(present.keys() - expected.keys())]
    for name in sorted(expected.keys() & present.keys()):
        before, now = expected[name], present[name]
        if before.size != now.size:
            differences.append(f"{name} has {now.size} bytes and had {before.size}")
        elif before.sha256 != now.sha256:
            differences.append(f"{name} has other bytes than when it was registered")
    if hash_of_files(expected.values()) != told["content_hash"]:
        differences.append(f"{RECEIPT} contradicts itself: its content hash is not that of its list of files")
    return differences


def _numbers(home: Path) -> list[int]:
    if not home.is_dir():
        return []
    return sorted(int(found[1]) for one in home.iterdir() if (found := _VERSION.fullmatch(one.name)))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file gives the lock back


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """On a full disk or after Ctrl+C a half-written folder only takes room."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copy(source: Path, target: Path) -> list[StoredFile]:
    """Copies and hashes in one pass: what is registered is what was hashed."""
    target.mkdir()
    copied = []
    for path in paths_of(source):
        name = path.relative_to(source)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as before, (target / name).open("wb") as after:
            while chunk := before.read(_CHUNK):
                digest.update(chunk)
                size += after.write(chunk)
            _seal(after)
        copied.append(StoredFile(name.as_posix(), size, digest.hexdigest()))
    return copied


def _write_receipt(path: Path, receipt: Mapping[str, Any], files: list[StoredFile], **registered: str | int) -> None:
    told = {
        **receipt,
        **registered,
        "registered_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [asdict(one) for one in files],
    }
    with path.open("w", encoding="utf-8") as file:
        json.dump(told, file, indent=2, ensure_ascii=False, default=str)
        file.write("\n")
        _seal(file)


def _seal(file: IO[Any]) -> None:
    """On the disk, and read-only."""
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
