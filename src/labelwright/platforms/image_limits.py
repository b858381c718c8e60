"""Which images a platform accepts. Its entry declares it, or its server tells it; `plan` and `launch` compare the files
with it before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from labelwright.imaging.memory_limits import most_decoding_bytes, too_much_memory

if TYPE_CHECKING:
    from labelwright.domain import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """Sides in pixels, files in bytes, formats by Pillow's names; None or empty where there is no such limit."""

    smallest_side: int = 1
    largest_side: int | None = None
    most_pixels: int | None = None
    most_pixels_of: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By format, where it has a smaller limit."""
    most_bytes: int | None = None
    most_bytes_uploaded: int | None = None
    """Of a file that is uploaded, where larger ones can be fetched from a URL."""
    most_decoding_bytes: int | None = None
    """Of memory in which the platform decodes one image."""
    uploads: bool = True
    """Images can be uploaded; else each needs a URL that the platform can fetch."""
    fetches_urls: bool = True
    """Images that have a URL are fetched from there; else all are uploaded."""
    formats: frozenset[str] = frozenset()
    stops_launch: bool = False
    """One image beyond the limits stops the launch; else the platform leaves it out."""

    def fault(self, image: Image, *, has_url: bool = False) -> str:
        """Why the platform does not accept an image; empty when it does.

        has_url: the platform can fetch the image, so that it is not uploaded.
        """
        width, height = image.size.width, image.size.height
        if self.formats and image.format not in self.formats:
            return f"is {image.format}; accepted are {', '.join(sorted(self.formats))}"
        if min(width, height) < self.smallest_side:
            return f"has {width} x {height} pixels; a side needs at least {self.smallest_side}"
        if self.largest_side is not None and max(width, height) > self.largest_side:
            return f"has {width} x {height} pixels; a side may have {self.largest_side:,}"
        most_pixels = min(filter(None, (self.most_pixels, self.most_pixels_of.get(image.format))), default=None)
        if most_pixels is not None and width * height > most_pixels:
            of_format = f" in a {image.format}" if most_pixels != self.most_pixels else ""
            return f"has {width * height:,} pixels; {most_pixels:,} are accepted{of_format}"
        return self._fault_of_file(image, has_url)

    def _fault_of_file(self, image: Image, has_url: bool) -> str:
        if not self.uploads and not has_url:
            return "has no URL that the platform can read, and the campaign's options allow no upload"
        most_bytes = min(filter(None, (self.most_bytes, None if has_url else self.most_bytes_uploaded)), default=None)
        if most_bytes is not None and image.bytes > most_bytes:
            return f"has {image.bytes:,} bytes; {most_bytes:,} are accepted"
        most, needed = self.most_decoding_bytes, image.decoding_bytes or 0
        return too_much_memory(needed, most) if most is not None and needed > most else ""

    def must_open(self, image: Image) -> bool:
        """Whether only the file tells if the image is accepted: what the ledger keeps of it is not enough."""
        if self.most_decoding_bytes is None or image.decoding_bytes is not None:
            return False
        return most_decoding_bytes(image.format, image.size.width * image.size.height) > self.most_decoding_bytes


NO_LIMITS = ImageLimits()
