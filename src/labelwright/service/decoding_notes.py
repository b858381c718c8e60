"""Which files are being decoded, written down so that the next start knows what the last process died of."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class DecodingNotes:
    """A folder with one small file for each thread that decodes. Safe to use from any thread.

    A file name that stands there at the start of a process was being decoded when the one before was killed, by a lack
    of memory or by a decoder that crashed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unused = list[_Note]()
        self._deaths = dict[tuple[str, str], int]()
        self._left_behind = dict[tuple[str, str], list[Path]]()
        for path in folder.glob("*.json"):
            try:
                note = json.loads(path.read_text())
                file, deaths = (str(note["dropbox"]), str(note["name"])), int(note["deaths"])
            except (OSError, ValueError, KeyError, TypeError):  # nothing was being decoded
                path.unlink(missing_ok=True)
            else:
                self._deaths[file] = max(deaths, self._deaths.get(file, 0))
                self._left_behind.setdefault(file, []).append(path)

    @contextmanager
    def file(self, dropbox: str, name: str, deaths: int) -> Iterator[None]:
        """Note that the file is being decoded until the block ends; `deaths` is how often a process died meanwhile."""
        try:
            note = self._unused.pop()
        except IndexError:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            note = _Note(self._folder / f"{secrets.token_hex(16)}.json")
        try:
            note.write(json.dumps({"dropbox": dropbox, "name": name, "deaths": deaths + 1}))
            yield
        finally:
            note.clear()
            self._unused.append(note)

    def deaths(self, dropbox: str, name: str) -> int:
        """How often a process before this one died while it decoded the file of that name."""
        return self._deaths.get((dropbox, name), 0)

    def forget(self, dropbox: str, names: Iterable[str]) -> None:
        """What became of these files is in the database now."""
        for name in names:
            self._deaths.pop((dropbox, name), None)
            for path in self._left_behind.pop((dropbox, name), ()):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Deletes the files of threads that decode no more."""
        while self._unused:
            self._unused.pop().close()


class _Note:
    """A file that is kept open and written again and again: creating one takes longer than to check a small image."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._length = 0

    def write(self, text: str) -> None:
        data = text.encode()
        os.pwrite(self._descriptor, data.ljust(self._length), 0)
        self._length = max(self._length, len(data))

    def clear(self) -> None:
        """What is left is no JSON."""
        os.pwrite(self._descriptor, b" ", 0)

    def close(self) -> None:
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)
