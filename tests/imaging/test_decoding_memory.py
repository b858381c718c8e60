"""Images that take too much memory: ingest, `plan` and the service refuse the same ones, by one function."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from labelwright.domain import Image, Size
from labelwright.imaging import decoding_memory
from labelwright.imaging.memory_limits import most_decoding_bytes
from labelwright.ingest.checks.decode import check_image
from labelwright.ingest.sources.local import SourceFile
from labelwright.platforms.image_limits import ImageLimits
from labelwright.service import ServiceConfig
from labelwright.service.images import NotAnImage, inspect_image
from labelwright.service.imaging import decoding, pictures
from labelwright.service.imaging.decoding import Memory
from labelwright.service.imaging.pictures import Pictures

ONE_STRIP = {"format": "TIFF", "compression": "tiff_lzw", "strip_size": 1 << 30}
LYING = Pillow.Exif()
LYING[0x0112] = 6

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "PNG": ("RGB", {"format": "PNG"}),
    "deep PNG": ("I;16", {"format": "PNG"}),
    "animated PNG": ("RGB", {"format": "PNG", "save_all": True}),
    "JPEG": ("RGB", {"format": "JPEG"}),
    "progressive JPEG": ("RGB", {"format": "JPEG", "progressive": True, "subsampling": 0}),
    "progressive CMYK": ("CMYK", {"format": "JPEG", "progressive": True}),
    "BMP": ("RGB", {"format": "BMP"}),
    "GIF": ("L", {"format": "GIF"}),
    "WebP": ("RGB", {"format": "WEBP", "quality": 1}),
    "TIFF in strips": ("RGB", {"format": "TIFF", "compression": "tiff_lzw"}),
    "TIFF in one strip": ("RGB", ONE_STRIP),
    "TIFF in one strip, lying": ("RGB", {**ONE_STRIP, "exif": LYING}),
    "deep TIFF in one strip": ("I;16", ONE_STRIP),
    "CMYK TIFF in one strip": ("CMYK", ONE_STRIP),
    "palette TIFF in one strip": ("P", ONE_STRIP),
}


def written(mode: str, options: dict[str, Any], size: tuple[int, int] = (133, 171)) -> bytes:
    file, image = io.BytesIO(), Pillow.new(mode, size)
    more = {"append_images": [image.point(lambda value: value + 9)]} if "save_all" in options else {}
    image.save(file, **options, **more)
    return file.getvalue()


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (decoding, decoding_memory, pictures):
        monkeypatch.setattr(module, "LARGE", 1000)


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("case", CASES)
def test_plan_and_service_agree_to_the_byte_and_can_show_the_image(tmp_path: Path, case: str) -> None:
    mode, options = CASES[case]
    path, data = tmp_path / "a", written(mode, options)
    path.write_bytes(data)
    image = check_image(SourceFile("a", "there"), io.BytesIO(data))
    assert isinstance(image, Image)
    needed = image.decoding_bytes
    assert needed is not None
    assert needed <= most_decoding_bytes(image.format, 133 * 171)
    limits = ImageLimits(most_decoding_bytes=needed)
    assert (limits.fault(image), inspect_image(path, 10**9, Memory(needed)).filetype) == ("", image.format)
    if image.format == "TIFF":  # which browsers do not show
        Pictures(ServiceConfig(tmp_path), Memory(needed)).png(1, partial(nullcontext, path))
    if needed:
        fault = ImageLimits(most_decoding_bytes=needed - 1).fault(image)
        with pytest.raises(NotAnImage) as refused:
            inspect_image(path, 10**9, Memory(needed - 1))
        assert str(refused.value) == fault != ""


def test_an_image_of_the_ledger_is_opened_again_only_if_it_may_be_too_large() -> None:
    limits = ImageLimits(most_decoding_bytes=384 << 20)
    data = written("RGB", {"format": "PNG"}, (5, 4))
    known = check_image(SourceFile("a", "there"), io.BytesIO(data))
    assert isinstance(known, Image)
    stored = {kind: replace(known, format=kind, size=Size(5000, 4000), decoding_bytes=None) for kind in ("WEBP", "PNG")}
    assert limits.must_open(replace(known, format="TIFF", size=Size(5000, 4000), decoding_bytes=None))
    assert not limits.must_open(stored["PNG"])
    assert not ImageLimits().must_open(stored["WEBP"])
    assert not limits.must_open(known)
