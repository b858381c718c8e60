"""Converts image names to file names on CVAT, and back.

CVAT's web framework keeps only what follows the last slash of a file name, resolves HTML entities in it and drops
characters that cannot be printed; duplicate names in a task get a 500; TUS fails on folders (recorded traffic). So
every name is encoded reversibly into a flat one: `sub/a 1.png` is `sub%2Fa 1.png`. Labelers see that name.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from labelwright.platforms.errors import PlatformRefused

LONGEST = 255
"""Bytes of a file's name on the server's disk."""

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""Suffixes of files that CVAT imports as images. It ignores other files, and the import then finds no media."""

_ENDINGS = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "GIF": "gif", "TIFF": "tif", "WEBP": "webp", "MPO": "jpg"}
_ADDED = re.compile(r"%\.[a-z]+$")
"""A suffix that `flat_name` added. An encoded name cannot contain it: there two digits follow a `%`."""


def flat_name(name: str, image_format: str = "") -> str:
    """Returns the file name for an image. Raises PlatformRefused when it is too long for CVAT."""
    flat = "".join(map(_escape, name))
    if flat[0] == " ":
        flat = f"%20{flat[1:]}"
    if not flat.lower().endswith(_IMAGES):
        flat = f"{flat}%.{_ENDINGS.get(image_format, 'jpg')}"
    if len(flat.encode()) > LONGEST:
        raise PlatformRefused(
            "cvat",
            "take an image",
            message=f"the name '{name[:60]}...' takes more than {LONGEST} bytes on the server",
            advice="Give the file, or its folders, shorter names.",
        )
    return flat


def name_of(flat: str) -> str:
    """Returns our image name for a frame. A frame that we did not upload mostly keeps its own name."""
    return unquote(_ADDED.sub("", flat), errors="replace")


def _escape(character: str) -> str:
    if character in '%/\\&"' or not character.isprintable():
        return "".join(f"%{byte:02X}" for byte in character.encode())
    return character
