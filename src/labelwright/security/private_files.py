"""Folders and files that only their owner can read, whatever the umask: the home folder, databases, logs."""

from __future__ import annotations

import logging
import os
import stat
from functools import lru_cache
from pathlib import Path

log = logging.getLogger("labelwright")

_DATABASE_PARTS = ("", "-wal", "-shm", "-journal")


def private_folder(folder: Path) -> Path:
    """Make the folder, or take an existing one's rights for others away. What is below it is closed with it; folders
    above it that are missing are made as the umask says, since datasets may be beside it.

    Where that is impossible (another's folder, a file system without modes) a warning says so, once.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    _tighten(folder, 0o700)
    return folder


def private_file(path: Path) -> Path:
    """Make the file, empty, unless it is there; nobody but its owner can read it from now on. Raises OSError."""
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    _tighten(path, 0o600)
    return path


def private_database(path: Path) -> Path:
    """As `private_file`, for an SQLite database: SQLite gives the files beside it the mode of the database."""
    private_file(path)
    for part in _DATABASE_PARTS[1:]:
        beside = path.with_name(path.name + part)
        if beside.exists():
            _tighten(beside, 0o600)
    return path


def _tighten(path: Path, mode: int) -> None:
    if os.name != "posix":
        return
    try:
        existing = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:  # a file beside a database, which was closed meanwhile
        return
    try:
        if existing & 0o077:
            path.chmod(existing & mode)
    except OSError as error:
        _warn(path, oct(existing)[2:], error.strerror or type(error).__name__)


@lru_cache(maxsize=100)
def _warn(path: Path, mode: str, why: str) -> None:
    log.warning(
        "%s can be read by others (mode %s), and that cannot be changed (%s): change it with chmod, or set "
        "LABELWRIGHT_HOME to a folder of your own",
        path,
        mode,
        why,
    )
