"""Writes many small files by their names within an open folder, whose path is looked up once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_MODE = 0o666
"""Less the process's umask, as `open` has it."""


def write_small_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Writes new files, name and content, into an existing folder. Raises FileExistsError for a name that is there."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, content in files:
            file = os.open(name, _NEW, _MODE, dir_fd=directory)
            try:
                written = os.write(file, content)
                while written < len(content):
                    written += os.write(file, content[written:])
            finally:
                os.close(file)
    finally:
        os.close(directory)
