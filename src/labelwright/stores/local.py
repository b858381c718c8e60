"""Datasets in a local folder: ``datasets/<name>/v<N>/``, written once.

Beside the versions, `latest` is a link to the one that was exported last, and `latest.json` records the same: version,
content hash, and a serial number that grows with every change. The file is authoritative; the link is for people.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from labelwright.domain.paths import flush_to_disk
from labelwright.network.guards import before_change

from . import latest
from .protocol import (
    RECEIPT,
    ContentMismatch,
    DatasetGone,
    Newest,
    ReceiptDamaged,
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
    """A version appears by one rename, so a reader sees a complete version or none.

    One process at a time registers under a name (a lock that the system releases when a process dies). So a
    half-written folder found under the lock is left over from a crash, and is removed.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @property
    def identity(self) -> str:
        return f"local {self.root.absolute()}"

    def register(self, name: str, files: Path, *, content_hash: str, receipt: Mapping[str, Any]) -> RegisteredDataset:
        home = self._home(name)
        if (files / RECEIPT).exists():
            raise UnsafeDataset(f"the folder must not contain {RECEIPT}: the store writes that file")
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home):
            dataset = self.find(name, content_hash)
            if dataset is None:
                version = max(_numbers(home), default=0) + 1
                target = home / f"v{version}"
                _write_version(files, target, name=name, content_hash=content_hash, receipt=receipt)
                dataset = RegisteredDataset(name, version, str(target), True, content_hash)
            serial = latest.point_to(home, int(dataset.version), content_hash)
        return replace(dataset, serial=serial, receipt_sha256=_sha256(Path(dataset.location) / RECEIPT))

    def find(self, name: str, content_hash: str) -> RegisteredDataset | None:
        return next((version for version in self.versions(name) if version.content_hash == content_hash), None)

    def versions(self, name: str) -> list[RegisteredDataset]:
        home = self._home(name)
        return [
            RegisteredDataset(name, number, str(home / f"v{number}"), False, content_of(home / f"v{number}"))
            for number in _numbers(home)
        ]

    def newest(self, name: str) -> Newest | None:
        return latest.read(self._home(name))

    def verify(self, dataset: RegisteredDataset, *, deep: bool = False) -> list[str]:
        """Reads every byte, `deep` or not: the files are small compared with the images."""
        folder = Path(dataset.location)
        if not folder.is_dir():
            moved = self._home(dataset.name) / f"v{dataset.version}"
            if moved != folder and moved.is_dir() and content_of(moved) == dataset.content_hash:
                return [f"{folder} is gone: it is at {moved} now"]
            return [f"{folder} is gone"]
        return verify(folder, content_hash=dataset.content_hash, receipt_sha256=dataset.receipt_sha256)

    def repair(self, dataset: RegisteredDataset, files: Path, receipt: Mapping[str, Any]) -> list[str]:
        home, number = self._home(dataset.name), f"v{dataset.version}"
        folder, expected = home / number, {file.name: file for file in stored_files(files)}
        if not _VERSION.fullmatch(number) or hash_of_files(expected.values()) != dataset.content_hash:
            return []
        if not _is_at(dataset, folder):
            return []  # registered in another folder: here it would be another version
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home):
            if folder.is_dir():
                return _put_back_all(folder, files, expected, dataset, receipt)
            _write_version(files, folder, name=dataset.name, content_hash=dataset.content_hash, receipt=receipt)
        return [f"the folder {folder}"]

    def receipt(self, dataset: RegisteredDataset) -> dict[str, Any]:
        folder = Path(dataset.location)
        if not folder.is_dir():
            raise DatasetGone(f"{folder} is gone, or is on another machine")
        return _receipt_in(folder)

    def file(self, dataset: RegisteredDataset, name: str, folder: Path) -> Path | None:
        path = Path(dataset.location) / name
        return path if path.is_file() else None

    def _home(self, name: str) -> Path:
        if not name or name[0] == "." or name != Path(name).name or "\\" in name or "\0" in name:
            raise UnsafeDataset(f"{name!r} cannot be the name of a dataset's folder")
        return self.root / name


def verify(version_folder: Path, *, content_hash: str = "", receipt_sha256: str = "") -> list[str]:
    """Differences between a version and its receipt, as sentences; empty when every byte is as registered.

    `content_hash` and `receipt_sha256` come from the ledger; when empty, the receipt is trusted.
    """
    differences = _receipt_faults(version_folder, content_hash, receipt_sha256)
    files, unreadable = _files_in(version_folder)
    differences += unreadable
    try:
        receipt = _receipt_in(version_folder)
    except ReceiptDamaged:
        if content_hash and hash_of_files(files) != content_hash:
            differences.append("the files are not those that were registered; without a receipt it is unknown which")
        return differences
    expected = {entry["name"]: StoredFile(**entry) for entry in receipt["files"]}
    present = {file.name: file for file in files}
    hidden = {message.partition(" ")[0] for message in unreadable}
    differences += [f"{name} is gone" for name in sorted(expected.keys() - present.keys() - hidden)]
    differences += [f"{name} was added: delete it" for name in sorted(present.keys() - expected.keys())]
    for name in sorted(expected.keys() & present.keys()):
        before, now = expected[name], present[name]
        if before.size != now.size:
            differences.append(f"{name} has {now.size} bytes and had {before.size}")
        elif before.sha256 != now.sha256:
            differences.append(f"{name} has other bytes than when it was registered")
    return differences


def _receipt_faults(folder: Path, content_hash: str, receipt_sha256: str) -> list[str]:
    """Faults of the receipt itself."""
    try:
        receipt = _receipt_in(folder)
    except ReceiptDamaged as damage:
        return [str(damage)]
    if receipt_sha256 and _sha256(folder / RECEIPT) != receipt_sha256:
        return [f"{RECEIPT} has other bytes than when it was registered"]
    faults = []
    if hash_of_files(StoredFile(**entry) for entry in receipt["files"]) != receipt["content_hash"]:
        faults.append(f"{RECEIPT} contradicts itself: its content hash is not that of its list of files")
    if content_hash and receipt["content_hash"] != content_hash:
        faults.append("its content hash is not the one that was registered")
    return faults


def _receipt_in(folder: Path) -> dict[str, Any]:
    """Raises ReceiptDamaged."""
    try:
        receipt = json.loads((folder / RECEIPT).read_bytes())
        receipt["content_hash"].encode()
        for entry in receipt["files"]:
            (StoredFile(**entry).name + entry["sha256"]).encode()
    except FileNotFoundError:
        raise ReceiptDamaged(f"{RECEIPT} is gone") from None
    except OSError as error:
        raise ReceiptDamaged(f"{RECEIPT} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReceiptDamaged(f"{RECEIPT} is damaged: it cannot be read as a receipt") from None
    return dict(receipt)


def content_of(folder: Path) -> str:
    """The content hash of a version: from a consistent receipt, else from the files."""
    try:
        receipt = _receipt_in(folder)
        if hash_of_files(StoredFile(**entry) for entry in receipt["files"]) == receipt["content_hash"]:
            return str(receipt["content_hash"])
    except ReceiptDamaged:
        pass
    return hash_of_files(_files_in(folder)[0])


def _files_in(folder: Path) -> tuple[list[StoredFile], list[str]]:
    """Every file of a version except the receipt, hashed; and sentences about those that cannot be read."""
    files, unreadable = [], []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if name == RECEIPT:
            continue
        try:
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                unreadable.append(f"{name} is a link or a device, which a dataset never contains")
            elif path.is_file():
                files.append(StoredFile(name, path.stat().st_size, _sha256(path)))
        except OSError as error:
            unreadable.append(f"{name} cannot be read ({error.strerror})")
    return files, unreadable


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _numbers(home: Path) -> list[int]:
    if not home.is_dir():
        return []
    return sorted(int(match[1]) for folder in home.iterdir() if (match := _VERSION.fullmatch(folder.name)))


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Holds the folder's lock, and first removes half-written folders and files left by a crash."""
    with (home / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for leftover in home.glob(f"{_INCOMING}*"):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
        yield  # closing the file releases the lock


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    """Removes a half-written folder after an error, such as a full disk or Ctrl+C."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_version(files: Path, target: Path, *, name: str, content_hash: str, receipt: Mapping[str, Any]) -> None:
    """Copies the files, then renames the folder. Raises ContentMismatch when the files have another hash."""
    home = target.parent
    incoming = home / f"{_INCOMING}{os.getpid()}"
    with _removed_on_failure(incoming):
        copied = _copy(files, incoming)
        if hash_of_files(copied) != content_hash:
            raise ContentMismatch(f"the files of '{name}' changed after they were checked. Export the campaign again")
        registered: dict[str, str | int] = {"name": name, "version": int(target.name[1:]), "content_hash": content_hash}
        _write_receipt(incoming / RECEIPT, receipt, copied, **registered)
        for folder in (incoming, *(path for path in incoming.rglob("*") if path.is_dir())):
            flush_to_disk(folder)
        before_change()
        incoming.rename(target)
    flush_to_disk(home)


def _is_at(dataset: RegisteredDataset, folder: Path) -> bool:
    """Whether the folder is where the version was registered, or where the datasets folder was moved to."""
    if Path(dataset.location).absolute() == folder.absolute():
        return True
    return not Path(dataset.location).is_dir() and folder.is_dir() and content_of(folder) == dataset.content_hash


def _put_back_all(
    folder: Path,
    files: Path,
    expected: Mapping[str, StoredFile],
    dataset: RegisteredDataset,
    receipt: Mapping[str, Any],
) -> list[str]:
    repaired, present = [], {file.name: file for file in _files_in(folder)[0]}
    for name, one in expected.items():
        if present.get(name) != one:
            _put_back(files / name, folder / name, folder.parent)
            repaired.append(name)
    if _receipt_faults(folder, dataset.content_hash, dataset.receipt_sha256):
        incoming = folder.parent / f"{_INCOMING}{os.getpid()}"
        _write_receipt(
            incoming,
            {**receipt, "written_again": True},
            list(expected.values()),
            name=dataset.name,
            version=int(dataset.version),
            content_hash=dataset.content_hash,
        )
        before_change()
        incoming.replace(folder / RECEIPT)
        repaired.append(RECEIPT)
    flush_to_disk(folder)
    return repaired


def _put_back(source: Path, target: Path, home: Path) -> None:
    """A file of a version, in place of whatever is there, by one rename."""
    incoming = home / f"{_INCOMING}{os.getpid()}"
    with source.open("rb") as before, incoming.open("wb") as after:
        shutil.copyfileobj(before, after, _CHUNK)
        _seal(after)
    before_change()
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    for parent in reversed(target.relative_to(home).parents):
        if (home / parent).is_symlink() or (home / parent).is_file():
            (home / parent).unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming.replace(target)
    flush_to_disk(target.parent)


def _copy(source: Path, target: Path) -> list[StoredFile]:
    """Copies and hashes in one pass: what is registered is what was hashed."""
    target.mkdir()
    copied = []
    for path in paths_of(source):
        name = path.relative_to(source)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if path.stat().st_nlink > 1 and _linked(path, target / name):
            copied.append(StoredFile(name.as_posix(), path.stat().st_size, _sha256(target / name)))
            continue
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as before, (target / name).open("wb") as after:
            while chunk := before.read(_CHUNK):
                digest.update(chunk)
                size += after.write(chunk)
            _seal(after)
        copied.append(StoredFile(name.as_posix(), size, digest.hexdigest()))
    return copied


def _linked(source: Path, target: Path) -> bool:
    """Whether the target is another hard link to the source now: of an image that the delivery itself only links."""
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True


def _write_receipt(path: Path, receipt: Mapping[str, Any], files: list[StoredFile], **registered: str | int) -> None:
    content = {
        **receipt,
        **registered,
        "registered_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [asdict(file) for file in files],
    }
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False, default=str)
        file.write("\n")
        _seal(file)


def _seal(file: IO[Any]) -> None:
    """On the disk, and read-only."""
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())
