"""Which images the service takes: what GET /health tells of it, and what Pillow is allowed to open."""

from __future__ import annotations

from typing import Any

from PIL import Image as Pillow

from labelwright.imaging.decoding_memory import bytes_to_decode_webp
from labelwright.imaging.kinds import FORMATS

from .config import Limits


def image_limits(limits: Limits) -> dict[str, Any]:
    """The field `limits` of GET /health, by which clients leave images out before they upload them."""
    return {
        "image_bytes": limits.upload_bytes,
        "image_pixels": limits.image_pixels,
        "image_pixels_by_format": {"WEBP": limits.decoding_bytes // bytes_to_decode_webp(1)},
        "decoding_bytes": limits.decoding_bytes,
        "formats": sorted(FORMATS),
    }


def allow_pixels(most: int) -> None:
    """Has Pillow open images of that many pixels in this process: by itself it refuses more than 178,956,970."""
    if Pillow.MAX_IMAGE_PIXELS is not None:
        Pillow.MAX_IMAGE_PIXELS = max(Pillow.MAX_IMAGE_PIXELS, most)
