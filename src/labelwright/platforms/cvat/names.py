"""What our images are called on CVAT, and back.

CVAT's web framework keeps only what follows the last slash of a file name, resolves HTML entities in it and drops
characters that cannot be printed; a name twice in a task is answered 500; TUS fails on folders (recorded traffic). So
every name becomes a flat one from which ours can be read: `sub/a 1.png` is `sub%2Fa 1.png`. Labelers see that name.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from labelwright.platforms.errors import PlatformRefused

LONGEST = 255
"""Bytes of a file's name on the server's disk."""

_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""Endings by which CVAT knows an image: a file of another one is passed over, and the import then finds no media."""

_ENDINGS = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "GIF": "gif", "TIFF": "tif", "WEBP": "webp", "MPO": "jpg"}
_ADDED = re.compile(r"%\.[a-z]+$")
"""An ending that was added. No name of ours holds it: a `%` is followed by two digits there."""


def flat_name(name: str, image_format: str = "") -> str:
    """The name under which an image is sent. Raises PlatformRefused when no name on CVAT can hold it."""
    flat = "".join(map(_written, name))
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
    """Our name for a frame; of a frame that we did not send it is mostly the frame's own name."""
    return unquote(_ADDED.sub("", flat), errors="replace")


def _written(character: str) -> str:
    if character in '%/\\&"' or not character.isprintable():
        return "".join(f"%{byte:02X}" for byte in character.encode())
    return character
