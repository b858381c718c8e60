"""Reads the annotations of a page of labels one by one, and leaves out those that cannot be kept, with a reason.

One bad shape does not block its campaign. But a page on which no annotation can be read is refused: then the response
has another format than the adapter knows, and leaving everything out would make a dataset without objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from labelwright.domain import Annotation, InvalidShape, ShapeNotice, Size
from labelwright.domain.fitting import CUT, fitted
from labelwright.domain.geometry import MALFORMED

from .errors import PlatformRefused


class ShapeNotices:
    """Collects the shapes of a page that are left out or changed."""

    def __init__(self) -> None:
        self.left_out: list[ShapeNotice] = []
        self._read = 0
        self._fault: PlatformRefused | None = None

    def keep(self, image: str, place: str, size: Size, read: Callable[[], Annotation]) -> Annotation | None:
        """Returns the annotation that `read` returns, cut to its image; None when it is left out.

        `place` tells people which annotation it is, and where on the platform. `read` may raise InvalidShape, or
        PlatformRefused for fields that are missing or of another type.
        """
        try:
            annotation = read()
            shape, cut = fitted(annotation.shape, size)
        except InvalidShape as fault:
            self._read += 1
            self.left_out.append(ShapeNotice(fault.reason, image, f"{place}: {fault}"))
            return None
        except PlatformRefused as fault:
            self._fault = self._fault or fault
            self.left_out.append(ShapeNotice(MALFORMED, image, f"{place}: {fault.message}"))
            return None
        self._read += 1
        if cut:
            detail = f"{place}: it reached beyond its image and was cut to it"
            self.left_out.append(ShapeNotice(CUT, image, detail, dropped=False))
        return annotation if shape is annotation.shape else replace(annotation, shape=shape)

    def count_read(self, annotations: int) -> None:
        """Counts annotations that needed no `keep`: shapes that lie in their image."""
        self._read += annotations

    def leave_out(self, image: str, reason: str, detail: str) -> None:
        self.left_out.append(ShapeNotice(reason, image, detail))

    def add(self, other: ShapeNotices) -> None:
        """Adds the notices of another collection."""
        self.left_out += other.left_out
        self._read += other._read
        self._fault = self._fault or other._fault

    def checked(self) -> tuple[ShapeNotice, ...]:
        """Returns the notices of the page. Raises PlatformRefused when none of its annotations could be read."""
        if self._fault is not None and not self._read:
            raise self._fault
        return tuple(self.left_out)
