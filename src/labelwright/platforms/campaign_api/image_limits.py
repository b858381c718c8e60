"""Which images a server of the campaign API accepts: `limits` in GET /health."""

from __future__ import annotations

from typing import Any

from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.image_limits import NO_LIMITS, ImageLimits


def image_limits_from(platform: str, operation: str, health: dict[str, Any]) -> ImageLimits:
    """Reads `{"limits": {"image_pixels", "image_bytes", "image_pixels_by_format", "decoding_bytes", "formats"}}`, each
    of it optional."""
    if not isinstance(health.get("limits"), dict):
        return NO_LIMITS
    limits = Fields(platform, operation, health).inner("limits")
    by_format = limits.inner("image_pixels_by_format") if limits.has("image_pixels_by_format") else None
    return ImageLimits(
        most_pixels=limits.whole("image_pixels") if limits.has("image_pixels") else None,
        most_pixels_of={name: by_format.whole(name) for name in by_format.json} if by_format is not None else {},
        most_bytes=limits.whole("image_bytes") if limits.has("image_bytes") else None,
        most_decoding_bytes=limits.whole("decoding_bytes") if limits.has("decoding_bytes") else None,
        formats=frozenset(map(str, limits.list("formats"))) if limits.has("formats") else frozenset(),
    )
