"""Pictures of more than 8 bits a channel, as labelers see them."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelwright.domain import Image as CheckedImage
from labelwright.imaging import tiff_parts
from labelwright.imaging.deep_pixels import Stretch, stretch_of
from labelwright.ingest.checks.decode import check_image
from labelwright.ingest.sources.local import SourceFile
from labelwright.service import ServiceConfig
from labelwright.service.imaging.decoding import Memory
from labelwright.service.imaging.pictures import Pictures
from tests.imaging.orientation_files import chunk

RAMP = np.linspace(0, 1, 64)[None, :].repeat(48, axis=0)
"""From left to right."""


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def color_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write."""
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def color_tiff(pixels: np.ndarray, *, big_endian: bool = False, deflated: bool = False) -> bytes:
    order, (height, width, channels) = ">" if big_endian else "<", pixels.shape
    data = pixels.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if deflated else data
    tags = [(256, 3, width), (257, 3, height), (259, 3, 8 if deflated else 1), (262, 3, 2), (277, 3, channels)]
    tags += [(278, 3, height), (279, 4, len(data)), (284, 3, 1)]
    count = len(tags) + 2
    bits_at = 8 + 2 + 12 * count + 4
    values = [(258, 3, channels, bits_at), (273, 4, 1, bits_at + 2 * channels)]
    entries = sorted([(tag, kind, 1, value) for tag, kind, value in tags] + values)
    directory = struct.pack(f"{order}H", count)
    for tag, kind, amount, value in entries:
        short = kind == 3 and amount == 1
        directory += struct.pack(f"{order}HHI", tag, kind, amount)
        directory += struct.pack(f"{order}HH" if short else f"{order}I", *((value, 0) if short else (value,)))
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}I", 8)
    return head + directory + bytes(4) + struct.pack(f"{order}{channels}H", *[16] * channels) + data


TWELVE = (RAMP * 4095).astype(np.uint16)
"""12 bits in 16: the high byte is at most 15."""
COLORS = np.stack([TWELVE, TWELVE[:, ::-1], TWELVE // 2], axis=2)
FILES = {
    "thermal TIFF": saved((29000 + RAMP * 900).astype(np.uint16), "TIFF"),
    "12 bits in a PNG": saved(TWELVE, "PNG"),
    "12 bits in a TIFF, compressed": saved(TWELVE, "TIFF", compression="tiff_lzw"),
    "float TIFF": saved(RAMP.astype(np.float32), "TIFF"),
    "float TIFF with holes": saved(np.where(RAMP < 0.1, np.nan, RAMP * 1e-3).astype(np.float32), "TIFF"),
    "elevation TIFF without data": saved(np.where(RAMP < 0.1, -3.4e38, RAMP * 900).astype(np.float32), "TIFF"),
    "32-bit TIFF": saved((RAMP * 2_000_000 - 1_000_000).astype(np.int32), "TIFF"),
    "color PNG": color_png(COLORS),
    "color PNG with opacity": color_png(np.dstack([COLORS, np.full_like(TWELVE, 65535)])),
    "color TIFF": color_tiff(COLORS),
    "color TIFF, big-endian": color_tiff(COLORS, big_endian=True),
    "color TIFF, compressed": color_tiff(COLORS, deflated=True),
}


def shown(folder: Path, data: bytes) -> np.ndarray:
    path = folder / "a"
    path.write_bytes(data)
    with Image.open(Pictures(ServiceConfig(folder), Memory(10**9)).png(1, partial(nullcontext, path))) as image:
        return np.asarray(image)


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("in_bands", [False, True])
def test_labelers_see_every_step_of_a_deep_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, in_bands: bool
):
    if in_bands:
        monkeypatch.setattr(tiff_parts, "_ROWS_BYTES", 1000)
    pixels = shown(tmp_path, FILES[what])
    assert pixels.dtype == np.uint8
    row = (pixels[20] if pixels.ndim == 2 else pixels[20, :, 0]).astype(int)
    assert np.all(np.diff(row) >= 0)
    assert len(set(row.tolist())) >= 55, "a ramp of 64 steps"
    assert row[-1] >= 250
    image = check_image(SourceFile("a", "there"), io.BytesIO(FILES[what]))
    assert isinstance(image, CheckedImage)
    assert any("more than 8 bits" in note for note in image.notes)


def test_colors_keep_their_relation(tmp_path: Path):
    pixels = shown(tmp_path, FILES["color PNG"]).astype(int)
    assert np.abs(pixels[:, :, 0] - pixels[:, ::-1, 1]).max() <= 1
    assert np.abs(pixels[:, :, 0] / 2 - pixels[:, :, 2]).max() <= 2


def test_pictures_of_8_bits_are_shown_as_they_are(tmp_path: Path):
    gray = (RAMP * 90).astype(np.uint8)
    assert np.array_equal(shown(tmp_path, saved(gray, "TIFF")), gray)


def test_a_few_hot_pixels_do_not_darken_the_rest():
    pixels = np.full((100, 100), 1000, np.uint16)
    pixels[:, ::2] = 2000
    pixels[0, :3] = 65535
    assert stretch_of([pixels], pixels.size) == Stretch(1000, 2000)


def test_an_even_picture_keeps_its_level():
    even = np.full((4, 4), 0x8080, np.uint16)
    assert set(stretch_of([even], 16).apply(even).flat) == {0x80}
    assert stretch_of([], 0) == Stretch(0, 0)


def test_a_value_for_no_data_does_not_count():
    pixels = np.array([[-9999, 1, 2, 3]], np.float32)
    assert stretch_of([pixels], 4, -9999).low >= 1
    assert stretch_of([np.array([[0, 5, 9]], np.uint16)], 3, -9999).high > 8, "a value that the type cannot hold"
