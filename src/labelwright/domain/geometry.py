"""Shapes in pixels of the image as displayed: EXIF orientation applied, origin top left, x to the right, y down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from .planar import meeting_edges

Point = tuple[float, float]


class InvalidShape(ValueError):
    """A shape that cannot be: the message says which value is wrong and why."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of an image as displayed, in pixels."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise InvalidShape(f"an image is at least 1 x 1 pixels, not {self.width} x {self.height}")


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle, edges in pixels: ``0 <= xmin < xmax <= width`` when it lies inside an image."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    def __post_init__(self) -> None:
        # One chained comparison is false for NaN, infinite, inverted and empty boxes alike: the slow way names which.
        if not (-1e308 < self.xmin < self.xmax < 1e308 and -1e308 < self.ymin < self.ymax < 1e308):
            raise InvalidShape(self._fault())

    def _fault(self) -> str:
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), self.corners, strict=True):
            if value != value:  # noqa: PLR0124 - only NaN differs from itself
                return f"box: {name} is not a number"
            if not isfinite(value) or abs(value) >= 1e308:
                return f"box: {name} is infinite"
        for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
            a, b = getattr(self, low), getattr(self, high)
            if a > b:
                return f"box is inverted: {low} {a:g} is greater than {high} {b:g}"
            if a == b:
                return f"box is empty: {low} and {high} are both {a:g}"
        raise AssertionError("a box without a fault was refused")

    @classmethod
    def from_xywh(cls, x: float, y: float, width: float, height: float) -> Box:
        """The box whose top left corner is (x, y), as COCO writes it."""
        return cls(x, y, x + width, y + height)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        return self.xmin, self.ymin, self.xmax, self.ymax

    @property
    def width(self) -> float:
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        return self.ymax - self.ymin

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def box(self) -> Box:
        return self

    def inside(self, size: Size) -> bool:
        return self.xmin >= 0 and self.ymin >= 0 and self.xmax <= size.width and self.ymax <= size.height

    def clamp(self, size: Size) -> Box:
        """The part of the box that lies in the image.

        Raises InvalidShape when nothing of it does.
        """
        if self.inside(size):
            return self
        try:
            return Box(max(self.xmin, 0), max(self.ymin, 0), min(self.xmax, size.width), min(self.ymax, size.height))
        except InvalidShape:
            raise InvalidShape(
                f"box {self.corners} lies outside the image of {size.width} x {size.height} pixels"
            ) from None

    def fractions(self, size: Size) -> tuple[float, float, float, float]:
        """``(xmin, ymin, xmax, ymax)`` as fractions of the image's width and height."""
        return self.xmin / size.width, self.ymin / size.height, self.xmax / size.width, self.ymax / size.height


@dataclass(frozen=True, slots=True)
class Polygon:
    """A simple polygon: at least three corners, an area, and no edge that meets another one."""

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        points = tuple((x, y) for x, y in self.points)
        if len(points) > 1 and points[0] == points[-1]:
            points = points[:-1]  # some platforms repeat the first corner to close the ring
        object.__setattr__(self, "points", points)
        for number, (x, y) in enumerate(points, 1):
            if x != x or y != y:  # noqa: PLR0124
                raise InvalidShape(f"polygon: corner {number} is not a number")
            if not (isfinite(x) and isfinite(y)):
                raise InvalidShape(f"polygon: corner {number} is infinite")
        if len(points) < 3:
            raise InvalidShape(f"polygon has {len(points)} different corners and needs 3")
        for number, (corner, following) in enumerate(zip(points, (*points[1:], points[0]), strict=True), 1):
            if corner == following:
                raise InvalidShape(
                    f"polygon is empty between corners {number} and {number % len(points) + 1}: same point"
                )
        if not any(_turn(points[0], points[1], corner) for corner in points[2:]):
            raise InvalidShape("polygon is empty: all its corners are on one line")
        crossing = meeting_edges(points)
        if crossing is not None:
            a, b = crossing
            raise InvalidShape(f"polygon crosses itself: the edges after corners {a + 1} and {b + 1} meet")

    @property
    def area(self) -> float:
        """Square pixels, by the shoelace formula, as COCO's own files give it."""
        # Relative to the first corner, so that far-away polygons lose no digits.
        (x0, y0), twice = self.points[0], 0.0
        px, py = 0.0, 0.0
        for x, y in self.points[1:]:
            x, y = x - x0, y - y0  # noqa: PLW2901
            twice += px * y - x * py
            px, py = x, y
        return abs(twice) / 2

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        return bounds(self.points)

    @property
    def flat(self) -> list[float]:
        """``[x1, y1, x2, y2, ...]``"""
        return [value for point in self.points for value in point]

    def inside(self, size: Size) -> bool:
        return all(0 <= x <= size.width and 0 <= y <= size.height for x, y in self.points)

    def clamp(self, size: Size) -> Polygon:
        """Every corner moved to the nearest point of the image. Raises InvalidShape when no polygon is left."""
        if self.inside(size):
            return self
        moved: list[Point] = []
        for x, y in self.points:
            point = (min(max(x, 0), size.width), min(max(y, 0), size.height))
            if not moved or moved[-1] != point:
                moved.append(point)
        return Polygon(tuple(moved))

    def fractions(self, size: Size) -> tuple[Point, ...]:
        return tuple((x / size.width, y / size.height) for x, y in self.points)


@dataclass(frozen=True, slots=True)
class WholeImage:
    """The label holds for the image as a whole (classification, tags)."""

    @property
    def box(self) -> None:
        return None

    def inside(self, size: Size) -> bool:
        return True


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def bounds(points: Iterable[Point]) -> Box:
    """The smallest box around points. Raises InvalidShape when it would be empty."""
    pairs = list(points)
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    return Box(min(xs), min(ys), max(xs), max(ys))
