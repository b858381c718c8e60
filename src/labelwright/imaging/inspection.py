"""Opens image files and checks them: the same verdict at ingest and in the embedded service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import (  # explicit plugins: Pillow's discovery imports all sixty, in whichever thread comes first
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)
from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile

from .decoding_memory import bytes_to_check, bytes_to_show
from .deep_pixels import HIGH, LOW, is_deep
from .jpeg_damage import JpegCheck
from .jpeg_segments import frame_of
from .kinds import FORMATS, describe_content, refuse_raw
from .memory_limits import MOST_DECODING_BYTES
from .orientation import orientations_of, stored_size
from .png_reading import without_text
from .tiff_parts import comes_in_bands

DEEP = (
    f"has more than 8 bits a channel: the embedded service shows labelers a copy that is stretched from its {LOW}th to "
    f"its {HIGH}th percentile; other platforms may show it black or white"
)
ANIMATED = "is animated or has several pages: only the first frame counts, which labelers see and Pillow reads"
NOT_RENDERED = (
    f"takes more than {MOST_DECODING_BYTES >> 20} MiB to be made ready for labelers: the embedded service sends it to "
    "the labeling page as it is, not stretched and perhaps animated. Save it as a TIFF in strips"
)
LONG_TEXT = (
    "has so long a text or color profile that Pillow refuses it in training: set PIL.PngImagePlugin.MAX_TEXT_CHUNK "
    "there, or save it without"
)
_TEXT_ERRORS = ("decompressed data too large", "too much memory used in text chunks")
_CODED_FOR_BROWSERS = (0xC0, 0xC1, 0xC2)
"""Frames of JPEGs that browsers decode: baseline, extended and progressive, in Huffman codes."""
_SHOWN_BY_BROWSERS = ("PNG", "GIF", "WEBP", "BMP")


class NotTaken(ValueError):
    """The file is no image that can be labeled. The message says what it is."""


@dataclass(slots=True)
class Opened:
    """An image that is opened and not decoded, and what is known of it."""

    image: Pillow.Image
    file: BinaryIO
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """Size as displayed, Pillow's name of the format, and what a person should know of the file."""

    width: int
    height: int
    kind: str
    notes: tuple[str, ...]
    decoding_bytes: int
    """Of memory that the embedded service needs to decode the image."""
    orientation: int
    """How browsers turn the stored pixels: 1 (not at all) to 8, as in EXIF."""


@contextmanager
def open_image(file: BinaryIO, formats: tuple[str, ...] = FORMATS, *, taken: bool = False) -> Iterator[Opened]:
    """Opens an image file. Raises NotTaken for other files, and what Pillow raises for damaged ones.

    `taken`: the image was taken before, perhaps by an earlier version, and is not refused now.
    """
    if not taken and (refusal := refuse_raw(file)):
        raise NotTaken(refusal)
    file.seek(0)
    notes = list[str]()
    try:
        image = Pillow.open(file, formats=formats)
    except UnidentifiedImageError:
        file.seek(0)
        raise NotTaken(describe_content(file.read(512))) from None
    except ValueError as error:
        if not any(part in str(error).lower() for part in _TEXT_ERRORS):
            raise
        image = Pillow.open(without_text(file), formats=("PNG",))
        notes.append(LONG_TEXT)
    with image:
        yield Opened(image, file, notes)


def facts_of(opened: Opened) -> Facts:
    """Returns the facts of an opened image, before it is loaded."""
    image, notes = opened.image, list(opened.notes)
    orientations = orientations_of(image, opened.file)
    stored = stored_size(image) if isinstance(image, TiffImageFile) else image.size
    width, height = orientations.displayed(*stored)
    if note := orientations.note():
        notes.append(note)
    if is_deep(image):
        notes.append(DEEP)
    kind, animated = image.format or "", is_animated(image)
    if animated:
        notes.append(ANIMATED)
    # A JPEG with a second picture behind it, as telephones write: every other reader sees a JPEG.
    needed = bytes_to_check(image, animated=animated)
    shown = bytes_to_show(image, turned=orientations.browsers != 1, deep=is_deep(image))
    if not _browsers_decode(opened):
        in_bands = isinstance(image, TiffImageFile) and comes_in_bands(image)
        needed = needed if in_bands else max(needed, shown)
    elif shown > MOST_DECODING_BYTES and (is_deep(image) or animated or not orientations.agree):
        notes.append(NOT_RENDERED)
    return Facts(width, height, "JPEG" if kind == "MPO" else kind, tuple(notes), needed, orientations.browsers)


def is_animated(image: Pillow.Image) -> bool:
    """Whether an image has more than one frame or page; the second picture of a telephone's JPEG is none."""
    if image.format not in ("GIF", "WEBP", "PNG", "TIFF"):
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - the first frame is fine, and it is all that counts
        return False


def _browsers_decode(opened: Opened) -> bool:
    """Whether browsers show the file, be it in another way than labelers are to see it."""
    image = opened.image
    if image.format in ("JPEG", "MPO"):
        return frame_of(opened.file) in _CODED_FOR_BROWSERS
    return image.format in _SHOWN_BY_BROWSERS


def browsers_show_it(opened: Opened) -> bool:
    """Whether every browser shows the file as labelers are to see it: else they get an upright PNG of it."""
    image = opened.image
    if not _browsers_decode(opened):
        return False
    return not is_deep(image) and not is_animated(image) and orientations_of(image, opened.file).agree


def remarks_of(check: JpegCheck) -> tuple[str, ...]:
    return (f"is unusual, and complete ({check.remark})",) if check.remark else ()


def damage_of(error: Exception) -> str:
    """What a decoder's error says about the file."""
    message = str(error).lower()
    if "truncated" in message or "not enough image data" in message or "unexpected end" in message:
        return "the file is truncated. Copy it again from its origin"
    if isinstance(error, NotImplementedError) or "unsupported" in message or "not supported" in message:
        return f"is written in a way that cannot be read ({error}): save it anew, as PNG or JPEG"
    return f"the file is damaged: it starts like an image but cannot be decoded ({type(error).__name__}: {error})"


def lost_data(what: str) -> str:
    return f"image data was lost ({what}): a part of the picture is missing or grey. Copy it again from its origin"
