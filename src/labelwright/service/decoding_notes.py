"""Which files are being decoded, written down so that the next start knows what the last process died of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class DecodingNotes:
    """A folder with one small file for each file that is being decoded. Safe to use from any thread.

    A file that is there at the start of a process was being decoded when the one before was killed, by a lack of
    memory or by a decoder that crashed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def file(self, dropbox: str, name: str, deaths: int) -> Iterator[None]:
        """Note that the file is being decoded until the block ends; `deaths` is how often a process died meanwhile."""
        note = self._note(dropbox, name)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        note.write_text(json.dumps({"dropbox": dropbox, "name": name, "deaths": deaths + 1}))
        try:
            yield
        finally:
            note.unlink(missing_ok=True)

    def left_behind(self, dropbox: str) -> Callable[[str], int]:
        """How often a process died while it decoded the file of that name, as of this moment."""
        deaths: dict[str, int] = {}
        for path in self._folder.glob("*.json"):
            try:
                note = json.loads(path.read_text())
                if note["dropbox"] == dropbox:
                    deaths[str(note["name"])] = int(note["deaths"])
            except (OSError, ValueError, KeyError, TypeError):  # half written: the process died before it decoded
                path.unlink(missing_ok=True)
        return lambda name: deaths.get(name, 0)

    def forget(self, dropbox: str, names: Iterable[str]) -> None:
        """What became of these files is in the database now."""
        for name in names:
            self._note(dropbox, name).unlink(missing_ok=True)

    def _note(self, dropbox: str, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(f'{dropbox}/{name}'.encode()).hexdigest()[:32]}.json"
