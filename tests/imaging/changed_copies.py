"""Copies of the demo photographs as people make them: what perceptual hashes find, and what they do not."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps

from labelwright.demo.photographs import photo_folder

PHOTOGRAPHS = {path.stem: path.read_bytes() for path in sorted(photo_folder().glob("*.jpg"))}
"""The bytes of nine photographs; one of them is turned by EXIF."""


def upright(data: bytes) -> Pillow.Image:
    with Pillow.open(io.BytesIO(data)) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def encoded(image: Pillow.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    options |= {"compress_level": 1} if kind == "PNG" else {}
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def turned_by_exif(image: Pillow.Image, orientation: int, kind: str = "JPEG") -> bytes:
    """The image stored turned, with the orientation by which it is shown as it was."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    stored = {
        2: Pillow.Transpose.FLIP_LEFT_RIGHT,
        3: Pillow.Transpose.ROTATE_180,
        4: Pillow.Transpose.FLIP_TOP_BOTTOM,
        5: Pillow.Transpose.TRANSPOSE,
        6: Pillow.Transpose.ROTATE_90,
        7: Pillow.Transpose.TRANSVERSE,
        8: Pillow.Transpose.ROTATE_270,
    }[orientation]
    return encoded(image.transpose(stored), kind, exif=exif)


def cropped(image: Pillow.Image, share: float) -> Pillow.Image:
    """Without so much of its width and height at each side."""
    width, height = image.size
    across, down = round(width * share), round(height * share)
    return image.crop((across, down, width - across, height - down))


def resized(image: Pillow.Image, width: int) -> Pillow.Image:
    return image.resize((width, round(image.height * width / image.width)), Pillow.Resampling.LANCZOS)


CHANGES: dict[str, Callable[[Pillow.Image], bytes]] = {
    "half the size, quality 60": lambda image: encoded(resized(image, image.width // 2), quality=60),
    "2 % cropped at each side": lambda image: encoded(cropped(image, 0.02), quality=90),
    "20 % brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.2), quality=90),
}
"""Three changes that are found in each of the photographs."""
