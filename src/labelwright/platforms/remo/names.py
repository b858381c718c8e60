"""What Remo makes of names, and the way back.

Files: a name is kept without its folders (after / and \\), without blanks at its start and with HTML entities read;
files that begin with a dot are left out, and so are those without one of five endings. Classes: trimmed, in lower case,
the first letter a capital ("black Cat" becomes "Black cat"); what an annotation brings along keeps its spelling. Both
servers do so, 0.3.29 and 0.6.1.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from labelwright.platforms.errors import PlatformRefused

ENDINGS = (".jpeg", ".png", ".jpg", ".tiff", ".tif")
FORMATS = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif"}
"""Pillow's names of what Remo takes, each with its ending."""
LONGEST = 255
"""Bytes of UTF-8: the server puts the file under its name into a folder."""

_UNSAFE = re.compile(r'[/\\%"&<>:*?|\x00-\x1f\x7f]|^[ .]|\s$')
_ADDED = re.compile(r"%_\.(?:jpg|png|tif)$")


def file_name(name: str, format: str) -> str:
    """The name under which an image is sent: a single file name that comes back as `our_name` reads it.

    Characters that would not survive are written as in URLs, `%2F`. A name without an ending that Remo knows gets one
    after a sign of its own, `photo%_.jpg`, which no name has that was written so.
    """
    sent = _UNSAFE.sub(lambda match: quote(match[0], safe="").replace(".", "%2E"), name)
    has_ending = PurePosixPath(sent).suffix.lower() in ENDINGS
    return sent if has_ending else f"{sent}%_.{FORMATS.get(format, 'jpg')}"


def our_name(shown: str) -> str:
    """The name that was sent as `shown`; of a file that others sent the name as it is shown."""
    bare = _ADDED.sub("", shown)
    name = unquote(bare)
    return name if any(file_name(name, format) == shown for format in FORMATS) else shown


def class_name(label: str) -> str:
    """What Remo calls a class that is created."""
    return label.lower().strip().capitalize()


class Spelling:
    """The campaign's own names of labels, found again from what Remo shows."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._ours = {_folded(label): label for label in labels}
        self._met: dict[str, str] = {}

    def __call__(self, shown: str) -> str:
        """Our name; a class that is none of ours as it is shown."""
        if shown not in self._met:
            self._met[shown] = self._ours.get(_folded(shown), shown)
        return self._met[shown]


def refuse_what_looks_alike(operation: str, labels: Iterable[str]) -> None:
    """Raises PlatformRefused when Remo would make one class of two labels."""
    names: dict[str, str] = {}
    for label in labels:
        other = names.setdefault(_folded(label), label)
        if other != label:
            message = f"'{other}' and '{label}' are one class to Remo, which changes capitals"
            raise PlatformRefused("remo", operation, message=message, advice="Give one of them another name.")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().casefold())
