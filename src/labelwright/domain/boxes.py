"""Many boxes of one image as numbers, from which annotations are made only where somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from .geometry import Box
from .labels import Annotation
from .provenance import UNKNOWN, Provenance


class Boxes(Sequence[Annotation]):
    """Annotations that are boxes without attributes and have one provenance; equal to a tuple of the same annotations.

    Making an annotation of each costs three times as much as checking its numbers, and the spool needs the numbers.
    """

    __slots__ = ("labels", "numbers", "provenance")

    def __init__(self, labels: list[str], numbers: list[float], provenance: Provenance = UNKNOWN) -> None:
        """`numbers` are confidence, xmin, ymin, xmax and ymax of each label's box, checked by the caller as
        `Annotation` and `Box` check them."""
        self.labels = labels
        self.numbers = numbers
        self.provenance = provenance

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> Annotation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Annotation, ...]: ...
    def __getitem__(self, index: int | slice) -> Annotation | tuple[Annotation, ...]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[Annotation]:
        numbers = self.numbers
        for position, label in enumerate(self.labels):
            confidence, *corners = numbers[5 * position : 5 * position + 5]
            yield Annotation(label, Box(*corners), confidence, {}, self.provenance)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Boxes | tuple) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # nor have annotations one

    def __repr__(self) -> str:
        return repr(tuple(self))
