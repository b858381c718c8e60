"""What was met before, kept in a temporary file: memory stays the same for a hundred images and for a million."""

from __future__ import annotations

import sqlite3
from types import TracebackType


class FirstSeen:
    """Remembers who came first under a key. The file is private, and gone when it is closed or the process ends."""

    def __init__(self) -> None:
        # An empty name is SQLite's own temporary file. What fits into the page cache (8 MiB) never touches the disk.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA cache_size = -8192")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE seen (kind TEXT, key TEXT, first TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def first(self, kind: str, key: str) -> str | None:
        """Who came first under the key, or None when nobody did."""
        row = self._db.execute("SELECT first FROM seen WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, kind: str, key: str, value: str) -> None:
        """The first one under a key stays."""
        self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (kind, key, value))

    def unique(self, name: str) -> str:
        """The name, or when somebody has it already `name-2`, `name-3`, ... before its ending. It is then taken."""
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
