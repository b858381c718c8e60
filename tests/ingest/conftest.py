"""Real files for the tests: made by Pillow, damaged by hand."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as Pillow

MakeImage = Callable[..., Path]


def picture(width: int = 40, height: int = 30, *, kind: str = "JPEG", seed: int = 0, orientation: int = 1) -> bytes:
    """An encoded picture of noise: every seed gives another one."""
    noise = random.Random(seed).randbytes(width * height * 3)
    image = Pillow.frombytes("RGB", (width, height), noise)
    exif = Pillow.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, exif=exif)
    return file.getvalue()


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """Writes a picture under a name in the test's folder `images`."""
    count = 0

    def make(name: str, content: bytes | None = None, **keywords: object) -> Path:
        nonlocal count
        count += 1
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(**{"seed": count, **keywords}) if content is None else content)  # type: ignore[arg-type]
        return path

    return make


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir(exist_ok=True)
    return folder
