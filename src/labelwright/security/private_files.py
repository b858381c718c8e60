"""Creates folders and files that only their owner can read, whatever the umask."""

from __future__ import annotations

import logging
import os
import stat
from functools import lru_cache
from pathlib import Path

log = logging.getLogger("labelwright")

_DATABASE_PARTS = ("", "-wal", "-shm", "-journal")


def private_folder(folder: Path) -> Path:
    """Creates the folder with mode 0700, or restricts an existing one. Missing parents are created by the umask, since
    datasets may be beside it.

    Logs a warning, once, where that is impossible (another owner, a file system without modes).
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    _tighten(folder, 0o700)
    return folder


def private_file(path: Path) -> Path:
    """Creates an empty file unless it exists, and sets mode 0600. Raises OSError."""
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
    except FileNotFoundError:  # a database's journal that was removed in between
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
