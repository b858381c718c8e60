"""The orientation of an image: that which browsers show, since labelers draw there.

Three readers matter: browsers, training code with Pillow's `exif_transpose`, and OpenCV's `imread`. They differ where
the orientation is written in an unusual way. tests/imaging holds each case against all three.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile

from .jpeg_segments import jpeg_segments
from .png_reading import png_metadata
from .tiff_tags import directories

_ORIENTATION, _SUB_DIRECTORY = 0x0112, 0x8769
_WIDTH, _HEIGHT = 256, 257
_SHORT = 3
_RAW_PROFILE = "Raw profile type exif"
_HEAD = b"Exif\0\0"
_JPEG = ("JPEG", "MPO")
SIDEWAYS = frozenset((5, 6, 7, 8))
"""Orientations that exchange width and height."""
_TRANSPOSITIONS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Orientations:
    """How each reader turns the stored pixels: 1 (not at all) to 8, as in EXIF."""

    browsers: int
    pillow: int
    """By `ImageOps.exif_transpose`."""
    opencv: int | None
    """By `cv2.imread`; None: it refuses the file."""

    @property
    def agree(self) -> bool:
        return self.browsers == self.pillow == self.opencv

    def displayed(self, width: int, height: int) -> tuple[int, int]:
        """The size as browsers show it, of an image that is stored in this size."""
        return (height, width) if self.browsers in SIDEWAYS else (width, height)

    def note(self) -> str:
        """What differs, for the person who plans the campaign; empty when nothing does."""
        if self.agree:
            return ""
        opencv = "does not read it" if self.opencv is None else f"gives it {_in_words(self.opencv)}"
        return (
            f"is read in different orientations: browsers, and so labelers, show it {_in_words(self.browsers)}; "
            f"Pillow's exif_transpose gives it {_in_words(self.pillow)}; OpenCV {opencv}. Labels fit what browsers "
            "show: save it upright, or read it so in training"
        )


def _in_words(orientation: int) -> str:
    return "as it is stored" if orientation == 1 else f"turned by orientation {orientation}"


def orientations_of(image: Pillow.Image, file: BinaryIO) -> Orientations:
    """Returns the orientations of an image that is opened and not loaded yet; `file` is its file."""
    if isinstance(image, TiffImageFile):
        turned = tiff_orientation(image)
        return Orientations(turned, turned, _tiff_by_opencv(file))
    if image.format == "PNG":
        return _of_png(image, file)
    segments = list(_exif_segments(file)) if image.format in _JPEG else []
    webp = image.info.get("exif") if image.format == "WEBP" else None
    exifs = [webp.removeprefix(_HEAD)] if webp else [data[6:] for data in segments if data.startswith(_HEAD)]
    if len(exifs) > 1:
        exifs.append(b"".join(exifs))
    return Orientations(_by_browsers(segments), _by_pillow(image), _by_opencv(exifs))


def shown_orientation(image: Pillow.Image, file: BinaryIO) -> int:
    """Returns how browsers turn an opened image: 1 to 8. `file` is its file."""
    if isinstance(image, TiffImageFile):
        return tiff_orientation(image)
    if image.format == "PNG":
        return next(map(exif_orientation, png_metadata(file).exif_before), 1)
    return _by_browsers(list(_exif_segments(file))) if image.format in _JPEG else 1


def upright(image: Pillow.Image, file: BinaryIO) -> Pillow.Image:
    """Returns the image turned as browsers show it, without metadata about its orientation.

    `image` is opened from `file`; Pillow turns TIFFs itself when it loads them.
    """
    orientation = shown_orientation(image, file)
    image.load()
    return image if isinstance(image, TiffImageFile) else turn(image, orientation)


def turn(image: Pillow.Image, orientation: int) -> Pillow.Image:
    """Returns a loaded image turned by an orientation, 1 to 8."""
    transposition = _TRANSPOSITIONS.get(orientation)
    return image if transposition is None else image.transpose(transposition)


def exif_orientation(exif: bytes) -> int:
    """Returns the orientation in EXIF data as browsers read it: 1 to 8.

    The first valid one counts, of the first directory or the Exif directory below it. Valid is a single SHORT, 1 to 8.
    """
    directory = _directory(exif)
    if directory is None:
        return 1
    order, start = directory
    for tag, kind, count, entry in _entries(exif, order, start):
        found = _valid(order, tag, kind, count, entry)
        if tag == _SUB_DIRECTORY and count == 1 and kind in (_SHORT, 4):
            at = struct.unpack(order + ("H" if kind == _SHORT else "I"), entry[: 2 if kind == _SHORT else 4])[0]
            found = next(filter(None, (_valid(order, *item) for item in _entries(exif, order, at))), None)
        if found:
            return found
    return 1


def tiff_orientation(image: TiffImageFile) -> int:
    """Returns the orientation of a TIFF, which no browser shows: that by which Pillow turns it when it loads it.

    Loading the image removes the tag.
    """
    return _by_pillow(image)


def stored_size(image: TiffImageFile) -> tuple[int, int]:
    """Returns width and height of a TIFF as stored; Pillow's are already turned upright."""
    tags: Any = image.tag_v2
    return int(tags[_WIDTH]), int(tags[_HEIGHT])


def _valid(order: str, tag: int, kind: int, count: int, entry: bytes) -> int | None:
    if tag != _ORIENTATION or kind != _SHORT or count != 1:
        return None
    value = int(struct.unpack(order + "H", entry[:2])[0])
    return value if 1 <= value <= 8 else None


def _directory(exif: bytes) -> tuple[str, int] | None:
    """The byte order of EXIF data and the place of its first directory; None when it is no EXIF."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return None
    start = int(struct.unpack(order + "I", exif[4:8])[0])
    return (order, start) if start >= 8 else None


def _entries(exif: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Yields tag, type, count and the four bytes of the value; as many entries as are whole."""
    head = exif[start : start + 2]
    count = struct.unpack(order + "H", head)[0] if len(head) == 2 else 0
    for at in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, values = struct.unpack(order + "HHI", exif[at : at + 8])
        yield tag, kind, values, exif[at + 8 : at + 12]


def _by_pillow(image: Pillow.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF: what Pillow's readers raise is open-ended
        return 1
    return value if isinstance(value, int) and value in _TRANSPOSITIONS else 1


def _by_opencv(exifs: list[bytes]) -> int:
    """OpenCV takes the first directory that has the tag, and two bytes of its value whatever their type."""
    for exif in exifs:
        directory = _directory(exif)
        if directory is None:
            continue
        order, start = directory
        for tag, _, _, entry in _entries(exif, order, start):
            if tag == _ORIENTATION:
                value = int(struct.unpack(order + "H", entry[:2])[0])
                return value if 1 <= value <= 8 else 1
    return 1


def _tiff_by_opencv(file: BinaryIO) -> int | None:
    """OpenCV 4.14 and 5.0 fail on each TIFF that lies on its side."""
    pages = directories(file, (_ORIENTATION,))
    value = pages[0].get(_ORIENTATION, 1) if pages else 1
    return None if value in SIDEWAYS else value if value in _TRANSPOSITIONS else 1


def _of_png(image: Pillow.Image, file: BinaryIO) -> Orientations:
    png = png_metadata(file)
    exifs = [*png.exif_before, *png.exif_after]
    # Pillow reads what is behind the pixels when it loads them, which takes long and is not needed otherwise.
    image.info.update(png.text_after)
    if exifs:
        image.info["exif"] = _HEAD + exifs[-1]
    elif _RAW_PROFILE not in image.info:
        image.info["exif"] = b""
    return Orientations(
        browsers=next(map(exif_orientation, png.exif_before), 1),
        pillow=_by_pillow(image),
        opencv=_by_opencv(exifs[:1]),
    )


def _by_browsers(segments: list[bytes]) -> int:
    """The first segment counts, whatever the byte after `Exif` and a zero is."""
    return exif_orientation(segments[0][6:]) if segments else 1


def _exif_segments(file: BinaryIO) -> Iterator[bytes]:
    """Yields the APP1 segments of a JPEG that begin with `Exif` and a zero, up to its first scan."""
    return (data for marker, data in jpeg_segments(file) if marker == 0xE1 and data.startswith(_HEAD[:5]))
