"""Annotations of a page of labels, read one by one: what cannot be kept is left out with its reason.

One bad shape does not block its campaign. A page on which nothing at all can be read is refused instead: then the
answer has another form than the adapter knows, and leaving everything out would make a dataset without objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from labelwright.domain import Annotation, InvalidShape, ShapeNotice, Size
from labelwright.domain.fitting import CUT, fitted
from labelwright.domain.geometry import MALFORMED

from .errors import PlatformRefused


class ShapeNotices:
    """Collects what is left out of a page, and what is changed."""

    def __init__(self) -> None:
        self.left_out: list[ShapeNotice] = []
        self._read = 0
        self._fault: PlatformRefused | None = None

    def keep(self, image: str, place: str, size: Size, read: Callable[[], Annotation]) -> Annotation | None:
        """The annotation that `read` returns, cut to its image; None when it is left out.

        `place` says for people which one it is, and where on the platform. `read` may raise InvalidShape, or
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
            what = f"{place}: it reached beyond its image and was cut to it"
            self.left_out.append(ShapeNotice(CUT, image, what, dropped=False))
        return annotation if shape is annotation.shape else replace(annotation, shape=shape)

    def leave_out(self, image: str, reason: str, detail: str) -> None:
        self.left_out.append(ShapeNotice(reason, image, detail))

    def add(self, other: ShapeNotices) -> None:
        """Takes over what another one collected."""
        self.left_out += other.left_out
        self._read += other._read
        self._fault = self._fault or other._fault

    def checked(self) -> tuple[ShapeNotice, ...]:
        """What was left out of the page. Raises PlatformRefused when none of its annotations could be read."""
        if self._fault is not None and not self._read:
            raise self._fault
        return tuple(self.left_out)
