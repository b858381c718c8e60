"""Checks that a file is an image: reads it once, hashes it, and decodes every pixel."""

from __future__ import annotations

import hashlib
import logging
import warnings
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

from PIL import Image as Pillow
from PIL import ImageFile

from labelwright.domain import Image, Reject, Size
from labelwright.domain.image_limits import MOST_BYTES, MOST_PIXELS
from labelwright.imaging.inspection import (
    ANIMATED,
    Facts,
    NotTaken,
    Opened,
    damage_of,
    facts_of,
    lost_data,
    open_image,
    remarks_of,
)
from labelwright.imaging.jpeg_damage import check_jpeg
from labelwright.imaging.perceptual_hash import SHORTER_SIDE, perceptual_hash
from labelwright.imaging.png_reading import check_png
from labelwright.ingest.sources.local import SourceFile

logger = logging.getLogger(__name__)

_MiB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one image. A checking thread holds one file and its pixels (up to 4 bytes each, 8 in TIFF)."""

    max_bytes: int = MOST_BYTES
    max_pixels: int = MOST_PIXELS
    take_damaged: bool = False
    """Take images that readers decode although a part of their data was lost, with a note. Else they are rejects."""
    perceptual_hash: bool = False
    """Compute the perceptual hash of images, for which PNGs are decoded to pixels."""


STANDARD = Limits()


def check_image(file: SourceFile, stream: BinaryIO, limits: Limits = STANDARD) -> Image | Reject:
    """Returns the image with its displayed size and its hashes, or a Reject with the reason.

    Only the first frame or page counts. Raises what reading the stream raises.
    """
    if file.bytes is not None and file.bytes > limits.max_bytes:
        return too_large(file.name, file.bytes, limits)
    data = stream.read(limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        return too_large(file.name, None, limits)
    if not data:
        return Reject(file.name, "the file is empty")
    sha256 = hashlib.sha256(data).hexdigest()
    if file.sha256 is not None and file.sha256.lower() != sha256:
        return Reject(file.name, f"is not the file in the manifest: its SHA-256 is {sha256}")
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    decoded = _decode(file.name, data, limits)
    if isinstance(decoded, Reject):
        return decoded
    facts, perceptual = decoded
    return Image(
        file.name,
        Size(facts.width, facts.height),
        len(data),
        sha256,
        md5,
        facts.kind,
        facts.notes,
        facts.decoding_bytes,
        perceptual,
    )


def too_large(name: str, size: int | None, limits: Limits) -> Reject:
    has = f"has {size / _MiB:,.1f} MiB" if size is not None else "is too large"
    return Reject(name, f"the file {has}, and {limits.max_bytes / _MiB:,.1f} MiB are allowed")


def _decode(name: str, data: bytes, limits: Limits) -> tuple[Facts, int | None] | Reject:
    """Returns the facts of an image, and its perceptual hash if it has one and the limits ask for it."""
    _silence_pillow()
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # other code in the process may have switched it on
    if Pillow.MAX_IMAGE_PIXELS is not None and limits.max_pixels > Pillow.MAX_IMAGE_PIXELS:
        Pillow.MAX_IMAGE_PIXELS = limits.max_pixels
    try:
        with open_image(BytesIO(data)) as opened:
            width, height = opened.image.size
            if width * height > limits.max_pixels:
                return _too_many_pixels(name, f"{width} x {height} pixels", limits)
            facts = facts_of(opened)
            if ANIMATED in facts.notes:
                logger.info("%s is animated or has several pages: only the first one counts", name)
            return _check_pixels(name, opened, data, facts, limits)
    except NotTaken as error:
        return Reject(name, str(error))
    except Pillow.DecompressionBombError:
        return _too_many_pixels(name, "far too many pixels", limits)
    except MemoryError:
        return Reject(name, "the image needs more memory than this machine has")
    except Exception as error:  # noqa: BLE001 - what Pillow's readers raise on damaged files is open-ended
        return Reject(name, damage_of(error))


def _check_pixels(
    name: str, opened: Opened, data: bytes, facts: Facts, limits: Limits
) -> tuple[Facts, int | None] | Reject:
    """Decodes every pixel, or checks what decoding would find."""
    pixels = None
    if facts.kind == "PNG":
        check_png(BytesIO(data))
        if ANIMATED in facts.notes:  # how its frames follow each other is Pillow's to judge
            opened.image.load()
    elif facts.kind != "JPEG":
        opened.image.load()
    else:
        check = check_jpeg(data, opened.image.mode, SHORTER_SIDE if limits.perceptual_hash else 0)
        if not check.decoded:
            opened.image.load()
        if check.lost and not limits.take_damaged:
            return Reject(name, f"{lost_data(check.lost)}. To take such images: images.on_damage: warn")
        notes = (lost_data(check.lost),) if check.lost else remarks_of(check)
        facts, pixels = replace(facts, notes=(*facts.notes, *notes)), check.pixels
    return facts, perceptual_hash(opened, facts.orientation, pixels) if limits.perceptual_hash else None


def _too_many_pixels(name: str, has: str, limits: Limits) -> Reject:
    return Reject(name, f"the image has {has}, and {limits.max_pixels:,} pixels are allowed")


_silenced: list[object] = []


def _silence_pillow() -> None:
    """Silences Pillow's warnings about metadata: problems that matter become a Reject.

    Set for the whole process, since Python's context manager for warnings is not thread-safe; set again when other
    code has added filters since.
    """
    if not _silenced or not warnings.filters or warnings.filters[0] is not _silenced[0]:
        warnings.filterwarnings("ignore", module=r"PIL(\..*)?$")
        _silenced[:] = [warnings.filters[0]]
