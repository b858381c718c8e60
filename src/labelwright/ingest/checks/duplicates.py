"""Detects duplicates with a temporary file, so that memory does not grow with the number of images."""

from __future__ import annotations

import sqlite3
from types import TracebackType


class FirstSeen:
    """Stores the first value of each key, in a private file that vanishes on close or process end."""

    def __init__(self) -> None:
        # An empty name is a temporary file of SQLite. Data up to the page cache's 8 MiB never touches the disk.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA cache_size = -8192")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE seen (kind TEXT, key TEXT, first TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def first(self, kind: str, key: str) -> str | None:
        """The first value of the key; None when there is none."""
        row = self._db.execute("SELECT first FROM seen WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, kind: str, key: str, value: str) -> None:
        """Stores the value unless the key has one."""
        self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (kind, key, value))

    def unique(self, name: str) -> str:
        """Reserves the name, or the first free of `name-2`, `name-3`, ... (before the extension), and returns it."""
        stem, dot, ending = name.rpartition(".")
        if not stem or "/" in ending:
            stem, dot, ending = name, "", ""
        candidate, number = name, int(self.first("count", name) or "1")
        while self.first("name", candidate) is not None:
            number += 1
            candidate = f"{stem}-{number}{dot}{ending}"
        self.remember("name", candidate, "")
        self._db.execute("INSERT OR REPLACE INTO seen VALUES ('count', ?, ?)", (name, str(number)))
        return candidate

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> FirstSeen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
