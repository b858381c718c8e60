"""Compares the files in a dropbox with the manifest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as the store lists it. `md5_hex` is None when the store keeps no checksum for it."""

    name: str
    bytes: int
    md5_hex: str | None


class Expected(Protocol):
    """A file of the manifest, such as an Image."""

    @property
    def name(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def md5(self) -> str: ...


class Finding(StrEnum):
    MISSING = "missing"
    WRONG = "wrong"
    SURPLUS = "surplus"


@dataclass(frozen=True, slots=True)
class Difference:
    """One file that differs from the manifest; `reason` is a sentence."""

    finding: Finding
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Differences:
    """All differences, each tuple sorted by name (code points)."""

    missing: tuple[str, ...] = ()
    """In the manifest, not in the store: to be sent."""
    wrong: tuple[tuple[str, str], ...] = ()
    """In both, with another content: name and reason."""
    surplus: tuple[str, ...] = ()
    """In the store, not in the manifest."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.wrong or self.surplus)


def compare(manifest: Iterable[Expected], stored: Iterable[StoredFile]) -> Differences:
    """Compares both sides, in any order. Memory grows with the number of differences only."""
    by_finding: dict[Finding, list[Difference]] = {finding: [] for finding in Finding}
    for difference in differences(manifest, stored):
        by_finding[difference.finding].append(difference)
    return Differences(
        tuple(difference.name for difference in by_finding[Finding.MISSING]),
        tuple((difference.name, difference.reason) for difference in by_finding[Finding.WRONG]),
        tuple(difference.name for difference in by_finding[Finding.SURPLUS]),
    )


def differences(manifest: Iterable[Expected], stored: Iterable[StoredFile]) -> Iterator[Difference]:
    """Yields every difference, by kind and then by name (code points, which is the order of the UTF-8 bytes).

    The order of the inputs does not matter: blob stores list names alphabetically, but disagree about emoji (UTF-8 or
    UTF-16 units). Both sides are stored in a temporary file instead of memory.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as db:
        db.executescript(
            "PRAGMA cache_size = -8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE want (name TEXT PRIMARY KEY, bytes INT, md5 TEXT) WITHOUT ROWID;"
            "CREATE TABLE have (name TEXT PRIMARY KEY, bytes INT, md5 TEXT) WITHOUT ROWID; BEGIN"
        )
        db.executemany("INSERT OR REPLACE INTO want VALUES (?, ?, ?)", ((i.name, i.bytes, i.md5) for i in manifest))
        db.executemany(
            "INSERT OR REPLACE INTO have VALUES (?, ?, ?)", ((file.name, file.bytes, file.md5_hex) for file in stored)
        )
        for (name,) in db.execute("SELECT name FROM want WHERE name NOT IN (SELECT name FROM have) ORDER BY name"):
            yield Difference(Finding.MISSING, name, "is not in the store")
        for name, *sides in db.execute(
            "SELECT name, want.bytes, want.md5, have.bytes, have.md5 FROM want JOIN have USING (name)"
            " WHERE want.bytes <> have.bytes OR have.md5 IS NULL OR want.md5 <> have.md5 ORDER BY name"
        ):
            yield Difference(Finding.WRONG, name, why_wrong(*sides))
        for (name,) in db.execute("SELECT name FROM have WHERE name NOT IN (SELECT name FROM want) ORDER BY name"):
            yield Difference(Finding.SURPLUS, name, "is in the store and not in the manifest")


def why_wrong(want_bytes: int, want_md5: str, have_bytes: int, have_md5: str | None) -> str:
    if want_bytes != have_bytes:
        return f"the store holds {have_bytes:,} bytes under this name, the manifest says {want_bytes:,}"
    if have_md5 is None:
        return "the store has no checksum for it, so it cannot be verified"
    return f"the store holds another file of the same size under this name (MD5 {have_md5}, not {want_md5})"
