"""The file `admin.json`: the admin's key and secret for commands on this machine, readable by its owner only.

A new pair is written to `admin.json.next` first, then stored in the database, then renamed over the old
file. So one of the two files holds the valid pair at every moment, wherever the process is killed.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from labelwright.domain.paths import flush_to_disk

log = logging.getLogger("labelwright.service")


@dataclass(frozen=True, slots=True)
class KeyPair:
    key: str
    secret: str | None = field(repr=False)
    """None: made earlier, and nobody knows it any more but its owner."""


class AdminFile:
    """The file in a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "admin.json"
        self._next = data_dir / "admin.json.next"

    def holds(self, key: str, secret: str) -> bool:
        return _read(self.path) == KeyPair(key, secret)

    def prepare(self, key: str, secret: str) -> None:
        """Writes the pair that is about to become valid. Raises OSError, and then nothing has changed: also where an
        earlier, valid pair could not be moved to its place, because no other file holds it."""
        waiting = self.prepared()
        if waiting is not None and waiting != KeyPair(key, secret):
            raise OSError(errno.EBUSY, f"{self._next.name} cannot take the place of {self.path.name}", str(self.path))
        draft = self._next.with_suffix(".draft")
        try:
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({"key": key, "secret": secret}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._next)
            flush_to_disk(self.path.parent)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def switch(self) -> None:
        """Makes the prepared pair the current one. If it cannot be renamed now, the next start does it."""
        try:
            if self._next.exists():
                self._next.replace(self.path)
                flush_to_disk(self.path.parent)
        except OSError as error:
            log.warning("the admin's new key stays in %s: %s", self._next, error.strerror)

    def prepared(self) -> KeyPair | None:
        return _read(self._next)

    def forget(self) -> None:
        """Deletes the prepared pair, which never became valid."""
        self._next.unlink(missing_ok=True)


def _read(path: Path) -> KeyPair | None:
    try:
        pair = json.loads(path.read_text())
        return KeyPair(pair["key"], pair["secret"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
