"""Prepares images for upload: rotates those that browsers show turned, since Remo ignores orientations.

Remo's widths, heights and coordinates are those of the stored pixels, while labels are those of the displayed image.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from PIL import Image as Pillow

from labelwright.imaging import orientation
from labelwright.imaging.orientation import shown_orientation
from labelwright.platforms.http.multipart import FormFile
from labelwright.platforms.protocol import ImageToSend

from .names import FORMATS, LONGEST, file_name


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
    file = BytesIO(data)
    with Pillow.open(file) as picture:
        turned_by = shown_orientation(picture, file)
        if turned_by == 1:
            return data
        kind, profile = picture.format, picture.info.get("icc_profile")
        if kind == "MPO":
            kind = "JPEG"
        turned = orientation.upright(picture, file).copy()  # without the tags of a TIFF
        how = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
        buffer = BytesIO()
        turned.save(buffer, kind, **how, exif=b"", **({"icc_profile": profile} if profile else {}))
    return buffer.getvalue()


def _again(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: BytesIO(data)
