"""Which files are taken, and what the others are called; which frame of several counts."""

from __future__ import annotations

import io
import zlib
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
from PIL import Image as Pillow

from labelwright.domain import Image, Reject
from labelwright.ingest.checks.decode import check_image
from labelwright.ingest.sources.local import SourceFile
from labelwright.service import ServiceConfig
from labelwright.service.images import NotAnImage, inspect_image
from labelwright.service.imaging.decoding import Memory
from labelwright.service.imaging.pictures import Pictures
from tests.imaging.orientation_files import chunk
from tests.imaging.refused_files import REFUSED, tiff

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def checked(data: bytes) -> Image | Reject:
    return check_image(SourceFile("a", "there"), io.BytesIO(data))


def test_what_is_refused_is_called_by_its_name_in_ingest_and_service(tmp_path: Path):
    path = tmp_path / "a"
    for what, (data, words) in REFUSED.items():
        rejected = checked(data)
        assert isinstance(rejected, Reject), what
        assert words in rejected.reason, what
        path.write_bytes(data)
        with pytest.raises(NotAnImage, match=words):
            inspect_image(path, 10**6, Memory(10**9))


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_ordinary_tiff_with_several_pages_is_no_raw_file(order: str):
    for data in (
        tiff({}, order=order),
        tiff({}, {256: 4000, 257: 3000, 262: 1}, order=order),
        tiff({}, below={256: 4, 257: 3, 262: 1, 254: 1}, order=order),
    ):
        image = checked(data)
        assert isinstance(image, Image), image
        assert (image.size.width, image.size.height) == (8, 6)


def with_chunk(kind: bytes, content: bytes, before: bytes = b"IDAT") -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (64, 48), "red").save(file, "PNG")
    data = file.getvalue()
    at = data.index(before) - 4
    return data[:at] + chunk(kind, content) + data[at:]


LONG = zlib.compress(b"a long prompt " * 200_000)


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"iTXt", b"prompt\0\1\0\0\0" + LONG),
        (b"zTXt", b"prompt\0\0" + LONG),
        (b"iCCP", b"profile\0\0" + LONG),
        (b"tEXt", b"prompt\0" + b"a" * 3_000_000),
    ],
)
def test_a_png_with_a_long_text_is_taken(tmp_path: Path, kind: bytes, content: bytes, before: bytes):
    data, path = with_chunk(kind, content, before), tmp_path / "a.png"
    path.write_bytes(data)
    image = checked(data)
    assert isinstance(image, Image), image
    assert (image.size.width, image.size.height) == (64, 48)
    facts = inspect_image(path, 10**6, Memory(10**9))
    assert (facts.width, facts.height) == (64, 48)
    if kind != b"tEXt" and before == b"IDAT":
        assert "MAX_TEXT_CHUNK" in image.notes[0]


def test_a_png_that_ends_too_early_is_refused_by_both(tmp_path: Path):
    head, pixels = b"\0\0\0\x40\0\0\0\x30\x08\2\0\0\0", zlib.compress(b"\0" * (64 * 3 + 1) * 20)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    rejected = checked(data)
    assert isinstance(rejected, Reject)
    assert "truncated" in rejected.reason
    with pytest.raises(NotAnImage, match="truncated"):
        inspect_image(path, 10**6, Memory(10**9))


def animated(kind: str, **options: object) -> bytes:
    frames = [Pillow.new("RGB", (12, 8), color) for color in (RED, GREEN, BLUE)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=100, **options)  # type: ignore[arg-type]
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("PNG", {"default_image": True}), ("TIFF", {})],
)
def test_labelers_see_the_frame_that_training_reads(tmp_path: Path, kind: str, options: dict[str, object]):
    data, path = animated(kind, **options), tmp_path / "a"
    path.write_bytes(data)
    image = checked(data)
    assert isinstance(image, Image)
    assert "only the first frame counts" in image.notes[-1]
    pictures, kept = Pictures(ServiceConfig(tmp_path), Memory(10**9)), partial(nullcontext, path)
    if kind != "TIFF":
        assert pictures.needs_png(1, kept)
    with Pillow.open(pictures.png(1, kept)) as shown, Pillow.open(path) as read:
        assert getattr(shown, "n_frames", 1) == 1
        assert shown.convert("RGB").getpixel((6, 4)) == read.convert("RGB").getpixel((6, 4)) == RED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_ordinary_files_are_shown_as_they_are(tmp_path: Path, kind: str):
    path = tmp_path / "a"
    Pillow.new("RGB", (12, 8), RED).save(path, kind)
    assert not Pictures(ServiceConfig(tmp_path), Memory(10**9)).needs_png(1, partial(nullcontext, path))
    image = checked(path.read_bytes())
    assert isinstance(image, Image)
    assert image.notes == ()
