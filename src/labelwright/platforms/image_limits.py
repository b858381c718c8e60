"""Which images a platform accepts: each platform's entry declares it, and `plan` compares the files with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelwright.domain import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """Sides in pixels, formats by Pillow's names; None or empty where the platform has no such limit."""

    smallest_side: int = 1
    largest_side: int | None = None
    most_pixels: int | None = None
    formats: frozenset[str] = frozenset()
    stops_launch: bool = False
    """One image beyond the limits stops the launch; else the platform leaves it out."""

    def fault(self, image: Image) -> str:
        """Why the platform does not accept an image; empty when it does."""
        width, height = image.size.width, image.size.height
        if self.formats and image.format not in self.formats:
            return f"is {image.format}; accepted are {', '.join(sorted(self.formats))}"
        if min(width, height) < self.smallest_side:
            return f"has {width} x {height} pixels; a side needs at least {self.smallest_side}"
        if self.largest_side is not None and max(width, height) > self.largest_side:
            return f"has {width} x {height} pixels; a side may have {self.largest_side:,}"
        if self.most_pixels is not None and width * height > self.most_pixels:
            return f"has {width * height:,} pixels; {self.most_pixels:,} are accepted"
        return ""


NO_LIMITS = ImageLimits()
