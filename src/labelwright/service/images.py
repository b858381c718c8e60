"""Inspects image files by decoding them completely."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from labelwright.imaging.inspection import Facts, NotTaken, damage_of, facts_of, lost_data, open_image
from labelwright.imaging.kinds import SUPPORTED

from .imaging.decoding import Memory, TooMuchMemory, decode, opened

CONTENT_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "PPM": "image/x-portable-anymap",
}
"""The formats served, by Pillow's names, and as what. PPM was taken by earlier versions."""

_EXIF, _GPS = 0x8769, 0x8825
_TAKEN, _TAKEN_OFFSET = 0x9003, 0x9011
_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-]\d\d:\d\d")


class NotAnImage(ValueError):
    """The file is not a valid image. The message is for the person who uploaded it."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts about a decoded image. Width and height are in pixels of the image as displayed."""

    width: int
    height: int
    filetype: str
    date_taken: str | None
    """ISO 8601; with an offset only when the camera wrote one."""
    lat: float | None
    lon: float | None
    """Degrees, north and east positive."""


def inspect_image(
    path: Path, largest: int, memory: Memory, take_damaged: bool = False, content: bytes | None = None
) -> ImageFacts:
    """Decodes the file to its last pixel within the memory limit and returns its facts. Raises NotAnImage.

    `take_damaged`: take images that readers decode although a part of their data was lost. `content`: the bytes of the
    file where they were read before.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd EXIF, and of large images, which `largest` judges
            with opened(path, content) as file, open_image(file) as image_file:
                _check_size(image_file.image, largest)
                facts = facts_of(image_file)
                memory.check(facts.decoding_bytes)
                lost = check.lost if (check := decode(image_file.image, path, memory, content)) else ""
                described = _with_metadata(image_file.image, facts)
    except NotAnImage:
        raise
    except NotTaken as error:
        raise NotAnImage(f"no readable image: it {error}; taken are {SUPPORTED}") from None
    except TooMuchMemory as error:
        raise NotAnImage(str(error)) from None
    except MemoryError:
        raise NotAnImage("decoding it takes more memory than this machine has: upload it with fewer pixels") from None
    except Pillow.DecompressionBombError:
        raise NotAnImage("so many pixels that it looks like a decompression bomb") from None
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything at a broken file
        raise NotAnImage(f"no readable image: {damage_of(error)}"[:300]) from None
    if lost and not take_damaged:
        raise NotAnImage(lost_data(lost))
    return described


def _check_size(image: Pillow.Image, largest: int) -> None:
    if image.width * image.height > largest:
        raise NotAnImage(f"{image.width} x {image.height} pixels are more than the {largest} allowed")


def _with_metadata(image: Pillow.Image, facts: Facts) -> ImageFacts:
    width, height, filetype = facts.width, facts.height, facts.kind
    try:
        exif = image.getexif()
        camera, place = exif.get_ifd(_EXIF), exif.get_ifd(_GPS)
    except Exception:  # noqa: BLE001 - broken EXIF does not make the picture unreadable
        return ImageFacts(width, height, filetype, None, None, None)
    date_taken = _date(camera.get(_TAKEN), camera.get(_TAKEN_OFFSET))
    lat, lon = _degrees(place.get(2), place.get(1), "S", 90), _degrees(place.get(4), place.get(3), "W", 180)
    if lat is None or lon is None:
        lat = lon = None
    return ImageFacts(width, height, filetype, date_taken, lat, lon)


def _date(taken: Any, offset: Any) -> str | None:
    match = _DATE.match(taken) if isinstance(taken, str) else None
    if not match or match[1] == "0000":
        return None
    zone = offset if isinstance(offset, str) and _OFFSET.fullmatch(offset) else ""
    return "{}-{}-{}T{}:{}:{}".format(*match.groups()) + zone


def _degrees(parts: Any, side: Any, negative: str, most: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not value <= most:  # NaN too: a camera without a fix
        return None
    return round(-value if str(side).upper().startswith(negative) else value, 7)
