"""Paths as people write them: whether a file system can hold one, where it is, and whether the disk keeps it."""

from __future__ import annotations

import os
from pathlib import Path

_LONGEST = 250
_SHOWN = 60


def path_fault(path: str) -> str:
    """Why no file system can hold the path; empty when one can."""
    if "\0" in path:
        return "its path has a NUL character in it, which no path can have"
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return "its path has broken Unicode in it, which no path can have"
    return ""


def shown_path(path: str | Path) -> str:
    """The path for a message: undecodable bytes are escaped, and of a very long one only the beginning is shown."""
    text = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def in_home(path: str | Path) -> Path:
    """The path with `~` replaced by the user's home folder; as it is when there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_file(path: str | Path) -> bool:
    """Whether there is such a file. pathlib's own raises OSError for paths that are too long."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder. pathlib's own raises OSError for paths that are too long."""
    return os.path.isdir(path)  # noqa: PTH112


def flush_to_disk(path: str | Path) -> None:
    """Waits until the disk keeps the bytes of a file, or the names that a folder holds. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
