"""A file appears under its name only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, *, lasting: bool = False) -> Iterator[BinaryIO]:
    """A file to write into, moved to `path` when the block ends well and removed when it does not.

    What stood at `path` stays until then. `lasting` also waits until the disk has it (fsync), so that it outlives a
    power cut and not only a killed process. The temporary name holds the process id: two writers do not meet.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if lasting:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Waits until the disk knows which names the folder holds."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
