"""Objects by their pixels: what no single outline can say, as it has several parts or holes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .geometry import OUTSIDE, Box, InvalidShape, Size

Run = tuple[int, int, int]
"""Pixels of one row: y, the first x, and the x behind the last one."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Pixels, as runs: row after row from the top, in a row from the left, and no two of them touch.

    Pixel (x, y) is the square from (x, y) to (x + 1, y + 1).
    """

    runs: tuple[Run, ...]

    def __post_init__(self) -> None:
        if not self.runs:
            raise InvalidShape("mask is empty")
        before = (self.runs[0][0] - 1, 0, 0)
        for run in self.runs:
            y, start, end = run
            if start >= end:
                raise InvalidShape(f"mask: a run of row {y} is empty, from {start} to {end}")
            if y < before[0] or (y == before[0] and start <= before[2]):
                raise InvalidShape(f"mask: the run of row {y} from {start} is not behind the one before it")
            before = run

    @property
    def area(self) -> int:
        """How many pixels it has."""
        return sum(end - start for _, start, end in self.runs)

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        left, right = min(start for _, start, _ in self.runs), max(end for _, _, end in self.runs)
        return Box(left, self.runs[0][0], right, self.runs[-1][0] + 1)

    @property
    def flat(self) -> list[int]:
        """``[y1, from1, to1, y2, ...]``"""
        return [value for run in self.runs for value in run]

    @classmethod
    def from_flat(cls, values: Iterable[int]) -> Mask:
        """The mask whose `flat` is `values`."""
        numbers = list(values)
        return cls(tuple(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)))

    def inside(self, size: Size) -> bool:
        return all(0 <= y < size.height and start >= 0 and end <= size.width for y, start, end in self.runs)

    def clamp(self, size: Size) -> Mask:
        """The pixels that lie in the image. Raises InvalidShape when none does."""
        if self.inside(size):
            return self
        cut = ((y, max(start, 0), min(end, size.width)) for y, start, end in self.runs if 0 <= y < size.height)
        kept = tuple(run for run in cut if run[1] < run[2])
        if not kept:
            raise InvalidShape(f"mask lies outside the image of {size.width} x {size.height} pixels", OUTSIDE)
        return Mask(kept)
