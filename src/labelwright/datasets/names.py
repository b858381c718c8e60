"""Turns a campaign's title into the beginning of file names, and back."""

from __future__ import annotations

import hashlib
import unicodedata
from urllib.parse import quote, unquote

_MAX_BYTES = 180
"""File systems allow 255 bytes in a name, and our longest ending has 40."""


def file_stem(title: str) -> str:
    """The title with everything that a file name cannot hold on some system written as %XX (UTF-8), `%` too.

    Letters and digits of any script, blanks, `-`, `_` and inner dots stay: plain titles are unchanged. `title_of` gives
    the title back, unless it was longer than 180 bytes: then it is cut and ends with `~` and a part of its SHA-256.
    """
    if not title:
        raise ValueError("a dataset needs a title")
    stem = "".join(character if _is_safe(character) else quote(character, safe="") for character in title)
    if stem[0] in ". ":
        stem = f"%{ord(stem[0]):02X}{stem[1:]}"
    if stem[-1] in ". ":
        stem = f"{stem[:-1]}%{ord(stem[-1]):02X}"
    if len(stem.encode()) > _MAX_BYTES:
        cut = stem.encode()[: _MAX_BYTES - 17].decode(errors="ignore")
        stem = f"{cut}~{hashlib.sha256(title.encode()).hexdigest()[:16]}"
    return stem


def title_of(stem: str) -> str:
    """The title that `file_stem` made into this (a long one stays cut)."""
    return unquote(stem)


def _is_safe(character: str) -> bool:
    return character in " -_." or unicodedata.category(character)[0] in "LMN"
