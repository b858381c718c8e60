from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib

import pytest
from PIL import Image as Pillow
from PIL import ImageFile

from labelwright.domain import Image, Reject, Size
from labelwright.ingest.checks.decode import Limits, check_image
from labelwright.ingest.sources.local import SourceFile

from .conftest import picture


def check(data: bytes, limits: Limits | None = None, **file: object) -> Image | Reject:
    return check_image(SourceFile("a.jpg", "there", **file), io.BytesIO(data), limits or Limits())  # type: ignore[arg-type]


def reason(data: bytes, limits: Limits | None = None, **file: object) -> str:
    result = check(data, limits, **file)
    assert isinstance(result, Reject), result
    return result.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_an_image_is_sized_and_hashed(kind: str) -> None:
    data = picture(40, 30, kind=kind)
    image = check(data, bytes=len(data))
    assert image == Image(
        "a.jpg", Size(40, 30), len(data), hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), kind
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_the_displayed_size(kind: str, orientation: int) -> None:
    image = check(picture(40, 30, kind=kind, orientation=orientation))
    assert isinstance(image, Image)
    assert image.size == (Size(30, 40) if orientation >= 5 else Size(40, 30))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("kept", [0.95, 0.5])
def test_a_file_that_is_cut_off_is_refused_though_its_head_is_fine(kind: str, kept: float) -> None:
    data = picture(120, 90, kind=kind)
    cut = data[: int(len(data) * kept)]
    assert "truncated" in reason(cut) or "damaged" in reason(cut) or "raw file" in reason(cut)


def test_truncated_files_are_rejected_despite_pillows_global_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert "truncated" in reason(picture(200, 200)[:-500])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"just some words about a river\n" * 30, "text file"),
        ("реки и озёра ".encode() * 60, "text file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "PostScript"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00", "video"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (bytes(range(256)) * 4, "not an image of a supported kind"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(data: bytes, says: str) -> None:
    assert says in reason(data)


def test_formats_that_labeling_pages_cannot_show_are_refused() -> None:
    assert "supported" in reason(picture(kind="PPM"))
    assert "JPEG 2000" in reason(b"\x00\x00\x00\x0cjP  \r\n\x87\n")


def bomb(width: int, height: int) -> bytes:
    """A PNG of some kilobytes that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [14_143, 15_000, 50_000])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(side: int) -> None:
    data = bomb(side, side)
    assert len(data) < 10_000
    assert "pixels" in reason(data)


def test_a_limit_above_pillows_own_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 100)
    assert isinstance(check(picture(40, 30)), Image)


def test_a_file_above_the_limit_is_refused_before_it_is_read() -> None:
    class Untouchable(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("read")

    result = check_image(SourceFile("a.jpg", "there", 2_000_000), Untouchable(), Limits(max_bytes=1_000_000))
    assert isinstance(result, Reject)
    assert "1.9 MiB" in result.reason
    assert "too large" in reason(b"x" * 101, Limits(max_bytes=100))


def test_a_file_that_is_not_the_one_the_manifest_means_is_refused() -> None:
    data = picture()
    assert isinstance(check(data, sha256=hashlib.sha256(data).hexdigest().upper()), Image)
    assert "not the file in the manifest" in reason(data, sha256="0" * 64)


def test_the_first_frame_of_an_animation_counts(caplog: pytest.LogCaptureFixture) -> None:
    frames = [Pillow.new("RGB", (8, 6), color) for color in ("red", "green", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with caplog.at_level("INFO", "labelwright.ingest"):
        image = check(file.getvalue())
    assert isinstance(image, Image)
    assert image.size == Size(8, 6)
    assert "only the first" in caplog.text


def test_a_telephones_double_picture_is_a_jpeg() -> None:
    item, two = Pillow.new("RGB", (8, 6), "red"), Pillow.new("RGB", (8, 6), "blue")
    file = io.BytesIO()
    item.save(file, "MPO", save_all=True, append_images=[two])
    image = check(file.getvalue())
    assert isinstance(image, Image)
    assert image.format == "JPEG"


def test_broken_exif_does_no_harm() -> None:
    data = picture(40, 30, orientation=6)
    at = data.index(b"Exif\x00\x00") + 6
    image = check(data[:at] + b"\xff" * 20 + data[at + 20 :])
    assert isinstance(image, Image)
    assert image.size == Size(40, 30)


def test_pillows_warnings_reach_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        tiff = picture(kind="TIFF")
        check(tiff[: len(tiff) - 30])
        check(bomb(9_900, 9_900))
        data = picture(40, 30, orientation=6)
        at = data.index(b"Exif\x00\x00") + 6
        check(data[: at + 8] + b"\xff" * 12 + data[at + 20 :])
    assert capfd.readouterr() == ("", "")


def test_every_damaged_byte_gives_an_answer() -> None:
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        data = picture(24, 16, kind=kind)
        for at in range(0, min(len(data), 400), 7):
            damaged = bytearray(data)
            damaged[at] ^= 0xFF
            assert isinstance(check(bytes(damaged), Limits(max_pixels=1_000_000)), Image | Reject)
