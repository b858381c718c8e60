"""The `Source` protocol, and the sources on a disk: folders and lists of files."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from labelwright.domain import Reject, UnsafeName, VideoFrame, safe_name
from labelwright.domain.file_names import escaped
from labelwright.domain.paths import in_home, path_fault, shown_path
from labelwright.platforms.protocol import Secret

from .patterns import Patterns


class SourceError(Exception):
    """The source as a whole cannot be used. The message says why and what to do."""

    error_code = "LW3001"


class CannotRead(Exception):
    """One file of a source cannot be read, now or later. The message is the reason, without secrets."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that may be an image and is not checked yet."""

    name: str
    """Relative, with forward slashes, safe (see domain.safe_name)."""
    location: str
    """By which the source opens the file, in any process. Contains no secret."""
    bytes: int | None = None
    """None when unknown before the file is read."""
    sha256: str | None = None
    """Expected SHA-256, from a manifest."""
    source_name: str | None = None
    """The name as the source has it, where it differs: not in Unicode NFC, or with backslashes."""
    group: str | None = None
    """Images of one group are in one part of a split; from a manifest."""
    version: str | None = None
    """Changes whenever the file does: a modification time, an ETag. None when the source has no such thing."""
    frame: VideoFrame | None = None
    """Of an image that is a frame of a video."""


class Source(Protocol):
    """A place to find images."""

    def find(self) -> Iterator[SourceFile | Reject]:
        """Every file in an order that is the same each time. Raises SourceError."""
        ...

    def open(self, location: str) -> BinaryIO:
        """The file's bytes from the beginning. The caller closes it.

        Raises OSError or CannotRead when the file cannot be read, PlatformUnavailable when it may be read later,
        AccessDenied when nothing of this source may be read.
        """
        ...


@runtime_checkable
class SharesUrls(Protocol):
    """A source whose images a platform can fetch by URL."""

    def url_for(self, location: str, seconds: float) -> Secret | None:
        """URL by which anybody can read the file for this time; None when there is none."""
        ...


_LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "@eadir", "lost+found"})


def is_litter(name: str) -> bool:
    """Whether a path part is a hidden file, or one that operating systems and storage devices leave in folders."""
    return name.startswith(".") or name.lower() in _LITTER


def printable(text: str) -> str:
    """The text with undecodable bytes escaped, so that it can be encoded."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class FolderSource:
    """All files of a folder and its subfolders, in the order of their names (by code point).

    Hidden and system files are skipped silently. Links to folders are not followed, links to files only within the
    folder. Memory: the names of one folder at a time, and of those above it.
    """

    def __init__(self, path: str | Path, include: Iterable[str] = ("**/*",), exclude: Iterable[str] = ()) -> None:
        self._given = str(path)
        self._fault = path_fault(self._given)
        self._root = "" if self._fault else os.path.realpath(in_home(path))
        self._patterns = Patterns(include, exclude)

    def find(self) -> Iterator[SourceFile | Reject]:
        if self._fault:
            shown = shown_path(self._given)
            raise SourceError(f"The folder '{shown}' cannot be read: {self._fault}. Correct the path.")
        if not os.path.exists(self._root):  # noqa: PTH110 - pathlib raises for names that are too long
            raise SourceError(
                f"There is no folder '{shown_path(self._given)}'. Check the path that says where the images are."
            )
        if not Path(self._root).is_dir():
            raise SourceError(
                f"'{shown_path(self._given)}' is a file, not a folder. Give the folder, or list single files instead."
            )
        try:
            with os.scandir(self._root):
                pass
        except OSError as error:
            raise SourceError(
                f"The folder '{shown_path(self._given)}' cannot be read ({error.strerror}). "
                "Give the user that runs Labelwright read access."
            ) from None
        return self._walk()

    def _walk(self) -> Iterator[SourceFile | Reject]:
        yielded = unmatched = 0
        for path, relative in self._files(self._root, ""):
            if isinstance(path, Reject):
                yielded += 1
                yield path
            elif self._patterns.take(relative):
                yielded += 1
                yield self._look(path, relative)
            else:
                unmatched += 1
        if yielded:
            return
        if unmatched:
            raise SourceError(
                f"None of the {unmatched} files in '{self._given}' matches the patterns (include "
                f"{list(self._patterns.include)}, exclude {list(self._patterns.exclude)}). Change the patterns."
            )
        raise SourceError(f"The folder '{self._given}' holds no files. Put the images there, or give another folder.")

    def _files(self, folder: str, relative: str) -> Iterator[tuple[str | Reject, str]]:
        try:
            with os.scandir(folder) as entries:
                listed = [
                    (unicodedata.normalize("NFC", entry.name) + ("/" if is_folder else ""), entry.name, is_folder)
                    for entry in entries
                    if not is_litter(entry.name)
                    for is_folder in (_is_folder(entry),)
                ]
        except OSError as error:
            yield Reject(printable(relative), f"the folder cannot be read ({error.strerror})"), relative
            return
        listed.sort()  # folders carry their slash, so the whole walk comes in the order of the full names
        for _, name, is_folder in listed:
            path, inner = f"{folder}{os.sep}{name}", f"{relative}/{name}" if relative else name
            if not is_folder:
                yield path, inner
            elif self._patterns.leave_out(inner):
                continue
            elif not os.path.islink(path):  # noqa: PTH114
                yield from self._files(path, inner)
            elif _inside(os.path.realpath(path), self._root):
                why = "is a link to another folder in this folder, whose files are taken once, from there"
                yield Reject(printable(inner), why), inner
            else:
                why = (
                    "is a link to a folder outside, which is not followed: put the images into the folder, or list them"
                )
                yield Reject(printable(inner), why), inner

    def _look(self, path: str, relative: str) -> SourceFile | Reject:
        try:
            name = safe_name(relative)
        except UnsafeName as error:
            return Reject(printable(relative), printable(str(error)))
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if not _inside(os.path.realpath(path), self._root):
                    return Reject(name, "is a link that leaves the folder: put the file itself there")
                status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            return Reject(name, f"cannot be read ({error.strerror})")
        if not stat.S_ISREG(status.st_mode):
            return Reject(name, "is not an ordinary file")
        version = str(status.st_mtime_ns)
        return SourceFile(name, path, status.st_size, source_name=other_name(relative, name), version=version)

    def open(self, location: str) -> BinaryIO:
        """Raises CannotRead when the location is outside the folder now (a link)."""
        file = open(location, "rb")  # noqa: PTH123, SIM115 - the caller closes it
        if not _inside(_path_of(file, location), self._root):
            file.close()
            raise CannotRead("is no longer inside the folder")
        return file


def _path_of(file: BinaryIO, location: str) -> str:
    """The path of an open file without links. Linux tells it by one call, whatever becomes of the links meanwhile."""
    try:
        return os.readlink(f"/proc/self/fd/{file.fileno()}")  # noqa: PTH115
    except OSError:
        return os.path.realpath(location)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root if root.endswith(os.sep) else root + os.sep)


class FilesSource:
    """Single files, each under its own file name, in the order of the names. One file given twice counts once."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._paths = tuple(in_home(path) for path in paths)

    def find(self) -> Iterator[SourceFile | Reject]:
        if not self._paths:
            raise SourceError("The list of files is empty. Name at least one image.")
        return self._list()

    def _list(self) -> Iterator[SourceFile | Reject]:
        first: dict[str, Path] = {}
        for path in sorted(set(self._paths), key=lambda path: (path.name, str(path))):
            file = source_file(path, path.name)
            if isinstance(file, SourceFile):
                earlier = first.setdefault(file.name, path)
                if earlier != path:
                    if os.path.realpath(earlier) == os.path.realpath(path):
                        continue
                    yield Reject(path.name, same_name(str(earlier), str(path)))
                    continue
            yield file

    def open(self, location: str) -> BinaryIO:
        return open(location, "rb")  # noqa: PTH123


def other_name(source_name: str, name: str) -> str | None:
    """What `SourceFile.source_name` is for a source's name and the safe one made of it."""
    return source_name if source_name != name else None


def same_name(taken: str, left_out: str) -> str:
    """The reason for leaving out a file whose name is in use; both are told apart, however alike they look."""
    return (
        f"two files have this name (as Unicode NFC, with forward slashes): '{escaped(taken)}' is taken, "
        f"'{escaped(left_out)}' is left out. Rename one of them."
    )


def source_file(
    path: Path, source_name: str, sha256: str | None = None, group: str | None = None
) -> SourceFile | Reject:
    """A single file on the disk, under the given name."""
    try:
        name = safe_name(source_name)
    except UnsafeName as error:
        return Reject(printable(source_name), printable(str(error)))
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return Reject(name, _no_status(path, error))
    if stat.S_ISDIR(status.st_mode):
        return Reject(name, f"'{printable(str(path))}' is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        return Reject(name, f"'{printable(str(path))}' is not an ordinary file")
    return SourceFile(
        name,
        str(path.absolute()),
        status.st_size,
        sha256,
        source_name=other_name(source_name, name),
        group=group,
        version=str(status.st_mtime_ns),
    )


def _no_status(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return path_fault(str(path)) or f"its path cannot be used ({error})"
    if isinstance(error, FileNotFoundError):
        return f"there is no file '{printable(str(path))}'"
    return f"'{printable(str(path))}' cannot be read ({error.strerror})"
