"""Prepares images for upload: rotates those that have an EXIF orientation, which Remo ignores.

Remo's widths, heights and coordinates are those of the stored pixels, while labels are those of the displayed image.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from PIL import Image as Pillow
from PIL import ImageOps

from labelwright.platforms.http.multipart import FormFile
from labelwright.platforms.protocol import ImageToSend

from .names import FORMATS, LONGEST, file_name

_ORIENTATION = 0x0112


def why_not(image: ImageToSend) -> str | None:
    """Returns why Remo cannot take an image, or None."""
    name, kind = image.image.name, image.image.format
    if kind not in FORMATS:
        return f"Remo takes {', '.join(FORMATS)}, not {kind}"
    if len(file_name(name, kind).encode()) > LONGEST:
        return f"Remo takes names of at most {LONGEST} bytes"
    return None


def to_upload(image: ImageToSend) -> FormFile:
    """Returns the file to send. The image is read now, so that errors show before the upload."""
    with image.open() as source:
        data = source.read()
    data = upright(data)
    return FormFile(file_name(image.image.name, image.image.format), _again(data), len(data))


def upright(data: bytes) -> bytes:
    """Returns the image rotated to orientation 1; the same bytes if it is, or if Pillow cannot open it.

    The server then reports the damaged file.
    """
    try:
        return _upright(data)
    except (OSError, SyntaxError, ValueError):
        return data


def _upright(data: bytes) -> bytes:
    with Pillow.open(BytesIO(data)) as picture:
        if picture.getexif().get(_ORIENTATION, 1) in (0, 1):
            return data
        turned = ImageOps.exif_transpose(picture)
        how = {"quality": 95, "subsampling": 0} if picture.format == "JPEG" else {}
        profile = picture.info.get("icc_profile")
        buffer = BytesIO()
        turned.save(buffer, picture.format, **how, **({"icc_profile": profile} if profile else {}))
    return buffer.getvalue()


def _again(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: BytesIO(data)
