"""Titles as names of data assets, and files as names of blobs, both so that the way back is known.

Azure ML takes ``[a-zA-Z0-9][a-zA-Z0-9\\-_]{0,254}``. What it does not take is written ``_xHHHH_`` with the character's
code point (4 to 6 hexadecimal digits), as XML tools do; plain titles are unchanged.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 180
"""Characters of a title's part, which leaves room for the endings of ours."""

_ESCAPED = re.compile(r"_x([0-9A-F]{4,6})_")
_FIRST = "x_x0000_"
"""Before a name that would not begin with a letter or digit. No title has a NUL in it."""


def asset_name(title: str, ending: str = "") -> str:
    """The name for a title. One that would be too long is cut and ends with a part of its SHA-256."""
    name = _escaped(title, "-_")
    if not (name[:1].isascii() and name[:1].isalnum()):
        name = _FIRST + name
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 17]}-{hashlib.sha256(title.encode()).hexdigest()[:16]}"
    return name + ending


def title_of_asset(name: str) -> str:
    """The title that `asset_name` was given (a long one stays cut)."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name.removeprefix(_FIRST))


def blob_path(file: str) -> str:
    """A file's relative path with nothing in it that a URL would have to encode."""
    return "/".join(_escaped(part, "-_.") for part in file.split("/"))


def _escaped(text: str, stays: str) -> str:
    # A title that holds an escape by itself has its underscore escaped, else the way back would be another one.
    text = _ESCAPED.sub(lambda found: f"_x005F_{found[0][1:]}", text)
    return "".join(one if (one.isascii() and one.isalnum()) or one in stays else f"_x{ord(one):04X}_" for one in text)
