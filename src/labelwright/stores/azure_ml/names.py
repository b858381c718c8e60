"""Reversible encoding of titles as data asset names, and of file names as blob names.

Azure ML takes ``[a-zA-Z0-9][a-zA-Z0-9\\-_]{0,254}``. Other characters are written ``_xHHHH_`` with the
code point (4 to 6 hexadecimal digits), as XML tools do; plain titles are unchanged.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 180
"""Characters of the title's part, which leaves room for suffixes."""

_ESCAPED = re.compile(r"_x([0-9A-F]{4,6})_")
_NOT_PORTABLE = re.compile(r'[%&:?*"|<>]')
_FIRST = "x_x0000_"
"""Prefix of a name that would not begin with a letter or digit. It decodes to NUL, which no title contains."""


def asset_name(title: str, ending: str = "") -> str:
    """The asset name for a title. A long one is cut and ends with digits of its SHA-256."""
    name = _escaped(title, "-_")
    if not (name[:1].isascii() and name[:1].isalnum()):
        name = _FIRST + name
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 17]}-{hashlib.sha256(title.encode()).hexdigest()[:16]}"
    return name + ending


def blob_path(file: str) -> str:
    """A file's relative path without characters that a URL would have to encode."""
    return "/".join(_escaped(part, "-_.") for part in file.split("/"))


def sdk_path(name: str) -> str:
    """The path of an image as `FileDataset.to_path` of azureml-core lists it, from the folder of the dataset.

    These nine characters are percent-encoded and no others, whatever their encoding in a URL.
    """
    return "/" + _NOT_PORTABLE.sub(lambda match: f"%{ord(match[0]):02X}", name)


def _escaped(text: str, unescaped: str) -> str:
    # A title that contains an escape sequence has its underscore escaped, so that decoding returns the title.
    text = _ESCAPED.sub(lambda match: f"_x005F_{match[0][1:]}", text)
    return "".join(
        character
        if (character.isascii() and character.isalnum()) or character in unescaped
        else f"_x{ord(character):04X}_"
        for character in text
    )
