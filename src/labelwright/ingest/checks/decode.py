"""Checks that a file is an image: reads it once, hashes it, and decodes every pixel."""

from __future__ import annotations

import hashlib
import logging
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import (  # explicit plugins: Pillow's discovery imports all sixty, in whichever thread comes first
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)
from PIL import Image as Pillow

from labelwright.domain import Image, Reject, Size
from labelwright.ingest.sources.local import SourceFile

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""Accepted formats, by Pillow's names. Pillow can open more, some by starting other programs (EPS)."""

_ORIENTATION = 0x0112
_MiB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one image. A checking thread holds one file and its pixels (up to 4 bytes each, 8 in TIFF)."""

    max_bytes: int = 128 * _MiB
    max_pixels: int = 100_000_000


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
    size, kind = decoded
    return Image(file.name, size, len(data), sha256, md5, kind)


def too_large(name: str, size: int | None, limits: Limits) -> Reject:
    has = f"has {size / _MiB:,.1f} MiB" if size is not None else "is too large"
    return Reject(name, f"the file {has}, and {limits.max_bytes / _MiB:,.1f} MiB are allowed")


def _decode(name: str, data: bytes, limits: Limits) -> tuple[Size, str] | Reject:
    _silence_pillow()
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # other code in the process may have switched it on
    if Pillow.MAX_IMAGE_PIXELS is not None and limits.max_pixels > Pillow.MAX_IMAGE_PIXELS:
        Pillow.MAX_IMAGE_PIXELS = limits.max_pixels
    try:
        with Pillow.open(BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > limits.max_pixels:
                return _too_many_pixels(name, f"{width} x {height} pixels", limits)
            image.load()
            return Size(*_displayed(image)), _kind(name, image)
    except UnidentifiedImageError:
        return Reject(name, _describe_content(data))
    except Pillow.DecompressionBombError:
        return _too_many_pixels(name, "far too many pixels", limits)
    except MemoryError:
        return Reject(name, "the image needs more memory than this machine has")
    except Exception as error:  # noqa: BLE001 - what Pillow's readers raise on damaged files is open-ended
        return Reject(name, _damage(error))


def _too_many_pixels(name: str, has: str, limits: Limits) -> Reject:
    return Reject(name, f"the image has {has}, and {limits.max_pixels:,} pixels are allowed")


def _damage(error: Exception) -> str:
    message = str(error).lower()
    if "truncated" in message or "not enough image data" in message or "unexpected end" in message:
        return "the file is truncated. Copy it again from its origin"
    return f"the file is damaged: it starts like an image but cannot be decoded ({type(error).__name__}: {error})"


def _displayed(image: ImageFile.ImageFile) -> tuple[int, int]:
    """Width and height with the camera's orientation applied, as browsers and labeling pages show it."""
    width, height = image.size
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF: viewers then show the image as it is stored
        orientation = 1
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def _kind(name: str, image: ImageFile.ImageFile) -> str:
    kind = image.format or ""
    if kind == "MPO":
        return "JPEG"  # a JPEG with a second picture behind it, as telephones write: every other reader sees a JPEG
    if kind in ("GIF", "WEBP", "PNG", "TIFF") and _is_animated(image):
        logger.info("%s is animated or has several pages: only the first one counts", name)
    return kind


def _is_animated(image: ImageFile.ImageFile) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - the first frame is fine, and it is all that counts
        return False


_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"8BPS", "a Photoshop file"),
    (b"II*\x00", "a camera's raw file or a damaged TIFF"),
    (b"MM\x00*", "a camera's raw file or a damaged TIFF"),
    (b"\xff\xd8\xff", "a damaged JPEG"),
    (b"\x89PNG", "a damaged PNG"),
    (b"GIF8", "a damaged GIF"),
    (b"BM", "a damaged BMP"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"%!PS", "a PostScript file"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"\x1aE\xdf\xa3", "a video"),
)


_HEIC = "is an HEIC photo, which labeling pages cannot show: convert it to JPEG"
_AVIF = "is an AVIF picture, which is not supported: convert it to JPEG or PNG"
_BRANDS = dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), _HEIC) | {b"avif": _AVIF, b"avis": _AVIF}
_TAGS = (
    (b"<svg", "is an SVG drawing, which has no pixels: convert it to PNG"),
    (b"<html", "is a web page, not an image: perhaps a saved error page"),
    (b"<!doctype html", "is a web page, not an image: perhaps a saved error page"),
)


def _describe_content(data: bytes) -> str:
    """What the file is instead of an image, judged by its first bytes."""
    head = data[:512]
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "is a video, not an image")
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            return f"is {what}, not an image that can be labeled"
    for tag, what in _TAGS:
        if tag in head.lower():
            return what
    try:
        text = head[:-4].decode("utf-8") if len(head) == 512 else head.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and all(character.isprintable() or character.isspace() for character in text):
        return "is a text file, not an image, whatever its name says"
    return "is not an image of a supported kind (JPEG, PNG, WebP, TIFF, BMP, GIF)"


_silenced: list[object] = []


def _silence_pillow() -> None:
    """Silences Pillow's warnings about metadata: problems that matter become a Reject.

    Set for the whole process, since Python's context manager for warnings is not thread-safe; set again when other
    code has added filters since.
    """
    if not _silenced or not warnings.filters or warnings.filters[0] is not _silenced[0]:
        warnings.filterwarnings("ignore", module=r"PIL(\..*)?$")
        _silenced[:] = [warnings.filters[0]]
