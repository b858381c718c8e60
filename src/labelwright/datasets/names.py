"""A campaign's title as the beginning of file names."""

from __future__ import annotations

import hashlib
import unicodedata
from urllib.parse import quote, unquote

_LONGEST = 180
"""Bytes: file systems hold 255 in a name, and the longest ending of ours has 40."""


def file_stem(title: str) -> str:
    """The title with everything that a file name cannot hold on some system written as %XX (UTF-8), `%` too.

    Letters and digits of any script, blanks, `-`, `_` and inner dots stay: plain titles are unchanged. `title_of` gives
    the title back, unless it was longer than 180 bytes: then it is cut and ends with `~` and a part of its SHA-256.
    """
    if not title:
        raise ValueError("a dataset needs a title")
    stem = "".join(character if _stays(character) else quote(character, safe="") for character in title)
    if stem[0] in ". ":
        stem = f"%{ord(stem[0]):02X}{stem[1:]}"
    if stem[-1] in ". ":
        stem = f"{stem[:-1]}%{ord(stem[-1]):02X}"
    if len(stem.encode()) > _LONGEST:
        cut = stem.encode()[: _LONGEST - 17].decode(errors="ignore")
        stem = f"{cut}~{hashlib.sha256(title.encode()).hexdigest()[:16]}"
    return stem


def title_of(stem: str) -> str:
    """The title that `file_stem` made into this (a long one stays cut)."""
    return unquote(stem)


def _stays(character: str) -> bool:
    return character in " -_." or unicodedata.category(character)[0] in "LMN"
