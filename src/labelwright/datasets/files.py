"""Files and folders that appear under their name only when they are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from labelwright.domain.paths import flush_to_disk


@contextmanager
def whole_file(path: Path, *, lasting: bool = False) -> Iterator[BinaryIO]:
    """Opens a file that is moved to `path` when the block ends well, and removed when it does not.

    An existing file at `path` stays until then. `lasting` also waits until the disk has it (fsync), so that it outlives
    a power cut and not only a killed process. Several processes may write the same path: the last one wins.
    """
    temporary = _temporary(path)
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
        flush_to_disk(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Makes an empty folder that is moved to `path` when the block ends well, and removed when it does not.

    An existing folder at `path` stays until then, and is replaced as a whole: nothing of it is kept. A process that is
    killed between the two renames leaves no folder at `path`, never a half-written one.
    """
    temporary = _temporary(path)
    temporary.mkdir()
    replaced = temporary.with_suffix(".old")
    try:
        yield temporary
        if path.exists():
            path.rename(replaced)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if replaced.exists():
            replaced.rename(path)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """A name beside `path` that no other writer uses, in a folder that exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{os.getpid()}-{os.urandom(4).hex()}.part")
