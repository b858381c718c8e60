"""Images decoded in parts: the same verdicts and the same pixels as Pillow's, without all pixels in memory."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageOps

from labelwright.imaging import decoding_memory, png_reading, tiff_parts
from labelwright.imaging.png_reading import BrokenPng
from labelwright.imaging.tiff_parts import bands_of
from labelwright.service import Limits, ServiceConfig, images
from labelwright.service.images import NotAnImage, inspect_image
from labelwright.service.imaging import decoding
from labelwright.service.imaging.decoding import Memory, TooMuchMemory
from labelwright.service.imaging.pictures import Pictures
from labelwright.service.imaging.png_stream import PngWriter


def check_png(path) -> None:
    with path.open("rb") as file:
        png_reading.check_png(file)


@pytest.fixture
def everything_is_large(monkeypatch):
    monkeypatch.setattr(decoding, "LARGE", 0)
    monkeypatch.setattr(decoding_memory, "LARGE", 0)
    monkeypatch.setattr(tiff_parts, "_ROWS_BYTES", 1000)


def photo(mode: str = "RGB", width: int = 133, height: int = 171) -> Image.Image:
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((9, 9)).resize((width, height))
    image = Image.blend(Image.fromarray(noise), smooth, 0.7)
    return image.convert("L").convert(mode) if mode.startswith("I;16") else image.convert(mode)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"]


def tiff_variants() -> Iterator[tuple[str, str, int]]:
    """Mode, compression and predictor of every TIFF that exists: JPEG has three modes, a predictor needs LZW or zip."""
    for mode in MODES:
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
            if compression != "jpeg" or mode in ("L", "RGB", "CMYK"):
                yield mode, compression, 1
            if compression in ("tiff_lzw", "tiff_adobe_deflate") and mode not in ("1", "F"):
                yield mode, compression, 2


@pytest.mark.parametrize(("mode", "compression", "predictor"), tiff_variants())
def test_the_bands_of_a_tiff_are_its_pixels(tmp_path, everything_is_large, mode, compression, predictor):
    path, image = tmp_path / "a.tiff", photo(mode)
    image.save(path, compression=compression, strip_size=2000, tiffinfo={317: predictor} if predictor == 2 else {})
    with Image.open(path) as opened, Image.open(path) as whole:
        bands = list(bands_of(opened, path))
        assert len(bands) > 1
        assert b"".join(band.tobytes() for band in bands) == whole.tobytes() or mode == "1"
        top = 0
        for band in bands:
            assert band.tobytes() == whole.crop((0, top, whole.width, top + band.height)).tobytes()
            assert band.getpalette() == whole.getpalette()
            top += band.height
        assert top == whole.height
        upwards = list(bands_of(opened, path, from_bottom=True))
        assert [band.tobytes() for band in upwards] == [band.tobytes() for band in bands[::-1]]


def tiled(image: Image.Image, side: int = 64) -> bytes:
    """An uncompressed TIFF in tiles, which Pillow does not write."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    across, down = -(-image.width // side), -(-image.height // side)
    size = side * side * 3
    fixed = {256: image.width, 257: image.height, 258: (8, 8, 8), 259: 1, 262: 2, 277: 3, 322: side, 323: side}
    for tag, value in {**fixed, 324: (0,) * across * down, 325: (size,) * across * down}.items():
        tags[tag] = value
    draft = io.BytesIO()
    start = tags.save(draft)
    tags[324] = tuple(start + number * size for number in range(across * down))
    file = io.BytesIO()
    tags.save(file)
    for y in range(0, down * side, side):
        for x in range(0, across * side, side):
            file.write(image.crop((x, y, x + side, y + side)).tobytes())
    return file.getvalue()


def test_the_bands_of_a_tiff_in_tiles_are_its_pixels(tmp_path):
    path, image = tmp_path / "a.tiff", photo()
    path.write_bytes(tiled(image))
    with Image.open(path) as opened:
        assert opened.tobytes() == image.tobytes(), "the test's own file is what it should be"
        bands = list(bands_of(opened, path))
    assert [band.height for band in bands] == [64, 64, 43]
    assert b"".join(band.tobytes() for band in bands) == image.tobytes()


@pytest.mark.parametrize("cut", [0.4, 0.9])
def test_a_truncated_tiff_is_left_out(tmp_path, everything_is_large, cut):
    whole = tiled(photo())
    path = tmp_path / "a.tiff"
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(NotAnImage, match="truncated"):
        inspect_image(path, 10**9, Memory(10**9))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_is_judged_as_by_its_decoder(tmp_path, mode):
    path = tmp_path / "a.png"
    photo(mode).save(path)
    check_png(path)
    whole, random = path.read_bytes(), np.random.default_rng(3)
    for place in [*random.integers(8, len(whole), 60), 9, 17, 25, len(whole) - 20]:
        broken = bytearray(whole)
        broken[place] ^= 1 << int(random.integers(8))
        path.write_bytes(broken)
        try:
            with Image.open(path) as image:
                image.load()
        except Exception:  # noqa: BLE001 - a decoder may raise anything
            with pytest.raises(BrokenPng):
                check_png(path)
    for length in random.integers(8, len(whole) - 20, 20):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenPng):
            check_png(path)


# An interlaced PNG of 5 x 3 pixels in gray, made with the passes of the PNG specification (Pillow writes none).
def interlaced() -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))

    # passes of 5 x 3: 1x1, 1x1, none of the third (rows from 4 on), 2x1, 3x1, 2x2, 5x1
    rows = [b"\0\1", b"\0\2", b"\0\3", b"\0\5\6\7", b"\0\7\7", b"\0\7\7", b"\0\1\2\3\4\5"]
    header = struct.pack(">IIBBBBB", 5, 3, 8, 0, 0, 0, 1)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_an_interlaced_png_is_checked_pass_by_pass(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(interlaced())
    with Image.open(path) as image:
        image.load()
    check_png(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_png_written_in_bands_is_the_image(tmp_path, mode):
    path, image = tmp_path / "a.png", photo(mode)
    with path.open("wb") as file, PngWriter(file, mode, image.size) as png:
        for top in range(0, image.height, 50):
            png.add(image.crop((0, top, image.width, min(top + 50, image.height))))
    with Image.open(path) as written:
        assert (written.mode, written.size, written.tobytes()) == (image.mode, image.size, image.tobytes())
    check_png(path)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_image_is_described_as_a_small_one(tmp_path, monkeypatch, kind, progressive):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2020:10:26 07:44:56"
    path = tmp_path / "a"
    photo().save(path, kind, exif=exif, **({"progressive": progressive} if kind == "JPEG" else {}))
    small = inspect_image(path, 10**9, Memory(10**9))
    date = None if kind == "TIFF" else "2020-10-26T07:44:56"  # Pillow writes no EXIF into a TIFF
    assert (small.width, small.height, small.date_taken) == (171, 133, date)
    monkeypatch.setattr(decoding, "LARGE", 0)
    monkeypatch.setattr(decoding_memory, "LARGE", 0)
    assert inspect_image(path, 10**9, Memory(10**9)) == small


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_no_pixel_of_a_large_png_or_tiff_is_kept(tmp_path, everything_is_large, monkeypatch, kind):
    path, decoded = tmp_path / "a", []
    photo(height=400).save(path, kind)

    def decode(image, *more):
        decoding.decode(image, *more)
        decoded.append(image)

    monkeypatch.setattr(images, "decode", decode)
    inspect_image(path, 10**9, Memory(10**9))
    assert decoded[0]._im is None


def test_an_image_beyond_the_memory_for_pixels_is_left_out_with_what_to_do(tmp_path):
    path = tmp_path / "a.bmp"
    photo().save(path)
    with pytest.raises(NotAnImage, match="of memory, and 0 MiB are allowed: save it as a PNG"):
        inspect_image(path, 10**9, Memory(10_000))


@pytest.mark.parametrize(("mode", "extra"), [("RGB", 3), ("I;16", 2), ("F", 4)])
def test_a_tiff_in_one_strip_is_counted_with_the_copy_of_libtiff(tmp_path, mode, extra):
    path, width, height = tmp_path / "a.tiff", 4500, 4000
    Image.new(mode, (width, height)).save(path, compression="tiff_deflate", strip_size=1 << 30)
    with Image.open(path) as image:
        assert bands_of(image, path) is None
        assert decoding_memory.bytes_to_decode(image) == decoding_memory.pixel_bytes(image) + extra * width * height


def test_a_lack_of_memory_is_told_as_one(tmp_path, monkeypatch):
    path = tmp_path / "a.bmp"
    photo().save(path)

    def decode(*_):
        raise MemoryError

    monkeypatch.setattr(images, "decode", decode)
    with pytest.raises(NotAnImage, match="more memory than this machine has"):
        inspect_image(path, 10**9, Memory(10**9))


def test_images_under_way_wait_for_each_others_memory():
    memory, most, now = Memory(100), [], []

    def work(size: int) -> None:
        with memory.taken(size):
            now.append(size)
            most.append(sum(now))
            time.sleep(0.01)
            now.remove(size)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [60, 50, 40, 30, 70, 100] * 3))
    assert max(most) <= 100
    with pytest.raises(TooMuchMemory), memory.taken(101):
        pass


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "LA"])
def test_a_picture_is_the_upright_image(tmp_path, monkeypatch, orientation, parts, mode):
    path = tmp_path / "a.tiff"
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Pillow, which is the judge here, garbles uncompressed images on their side.
    photo(mode).save(path, exif=exif, compression="tiff_lzw", strip_size=1000 if parts else 10**9)
    if parts:
        monkeypatch.setattr(tiff_parts, "MOST_PIXELS", 133 * 40)
    picture_path = Pictures(ServiceConfig(tmp_path), Memory(10**9)).png(1, lambda: nullcontext(path))
    with Image.open(picture_path) as shown, Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        expected = upright if mode in ("L", "LA") else upright.convert("L" if mode == "1" else "RGB")
        assert (shown.size, shown.tobytes()) == (expected.size, expected.tobytes())


def test_rotated_uncompressed_tiff_equals_the_compressed_one(tmp_path):
    exif, shown = Image.Exif(), []
    exif[0x0112] = 6
    for number, compression in enumerate(("raw", "tiff_lzw")):
        path = tmp_path / f"{compression}.tiff"
        photo("L").save(path, exif=exif, compression=compression)
        picture_path = Pictures(ServiceConfig(tmp_path), Memory(10**9)).png(number, partial(nullcontext, path))
        shown.append(picture_path.read_bytes())
    assert shown[0] == shown[1]


def test_a_picture_is_made_once(service, make, monkeypatch):
    target = io.BytesIO()
    photo().save(target, "TIFF")
    sealed = service.set_of({"a.tiff": target.getvalue()})
    image = service.images_of(sealed["imageset_id"])[0]["image_id"]
    campaign, _, _ = service.campaign(0)
    service.ok("POST", f"/campaigns/{campaign['campaign_id']}/images", [{"id": image}])
    calls, go, real = [], threading.Event(), Pictures._write_png

    def write(self, *paths):
        calls.append(1)
        assert go.wait(60)
        real(self, *paths)

    monkeypatch.setattr(Pictures, "_write_png", write)
    where = f"/labeling/campaigns/{campaign['campaign_id']}/images/{image}/picture"
    with ThreadPoolExecutor(6) as threads:
        answers = [threads.submit(service, "GET", where) for _ in range(6)]
        while not calls:
            time.sleep(0.01)
        go.set()
        contents = {(response.result().status_code, response.result().content) for response in answers}
    assert len(contents) == 1
    assert service("GET", where).headers["Content-Type"] == "image/png"
    assert len(calls) == 1


def test_the_oldest_pictures_make_room(tmp_path):
    path = tmp_path / "a.tiff"
    photo().save(path)
    limits = Limits(pictures_bytes=100_000)
    pictures = Pictures(ServiceConfig(tmp_path / "service", limits=limits), Memory(10**9))
    (tmp_path / "service").mkdir()
    for number in range(6):
        pictures.png(number, lambda: nullcontext(path))
        time.sleep(0.01)
    kept = sorted(path.name for path in (tmp_path / "service" / "pictures").iterdir())
    assert "5.png" in kept
    assert "0.png" not in kept
    assert sum(path.stat().st_size for path in (tmp_path / "service" / "pictures").iterdir()) <= 100_000
