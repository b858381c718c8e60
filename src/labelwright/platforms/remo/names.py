"""Converts names of files and labels to those that Remo keeps, and back.

Files: Remo drops folders (up to / and \\) and leading blanks, and decodes HTML entities. It leaves out files whose
names begin with a dot or lack one of five endings. Classes: trimmed, in lower case, with a capital first ("black Cat"
becomes "Black cat"); a class that comes with an annotation keeps its spelling. The same on 0.3.29 and 0.6.1.
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
"""Pillow's names of the formats that Remo takes, each with its ending."""
LONGEST = 255
"""Bytes of UTF-8, because the server stores the file under its name."""

_UNSAFE = re.compile(r'[/\\%"&<>:*?|\x00-\x1f\x7f]|^[ .]|\s$')
_ADDED = re.compile(r"%_\.(?:jpg|png|tif)$")


def file_name(name: str, format: str) -> str:
    """Returns the file name under which an image is sent. `our_name` reverses it.

    Characters that Remo would change are percent-encoded, `%2F`. A name without an ending that Remo takes gets one
    after `%_`, as in `photo%_.jpg`; no percent-encoded name contains that.
    """
    sent = _UNSAFE.sub(lambda match: quote(match[0], safe="").replace(".", "%2E"), name)
    has_ending = PurePosixPath(sent).suffix.lower() in ENDINGS
    return sent if has_ending else f"{sent}%_.{FORMATS.get(format, 'jpg')}"


def our_name(shown: str) -> str:
    """Returns the name of the image that was sent as `shown`; `shown` itself for files that others sent."""
    bare = _ADDED.sub("", shown)
    name = unquote(bare)
    return name if any(file_name(name, format) == shown for format in FORMATS) else shown


def class_name(label: str) -> str:
    """Returns the name that Remo gives to a class when it is created."""
    return label.lower().strip().capitalize()


class Spelling:
    """Maps the names that Remo shows to the campaign's label names."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._ours = {_folded(label): label for label in labels}
        self._met: dict[str, str] = {}

    def __call__(self, shown: str) -> str:
        """Returns the campaign's name of a class; `shown` itself for any other class."""
        if shown not in self._met:
            self._met[shown] = self._ours.get(_folded(shown), shown)
        return self._met[shown]


def refuse_what_looks_alike(operation: str, labels: Iterable[str]) -> None:
    """Raises PlatformRefused when two labels would be the same class in Remo."""
    names: dict[str, str] = {}
    for label in labels:
        other = names.setdefault(_folded(label), label)
        if other != label:
            message = f"'{other}' and '{label}' are one class to Remo, which changes capitals"
            raise PlatformRefused("remo", operation, message=message, advice="Give one of them another name.")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().casefold())
