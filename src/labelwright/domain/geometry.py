"""Shapes in pixels of the image as displayed: EXIF orientation applied, origin top left, x to the right, y down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import cos, isfinite, pi, radians, sin

from .planar import clip_ring

Point = tuple[float, float]

CROSSES_ITSELF = "crosses itself"
OUTSIDE = "outside its image"
NO_AREA = "no area"
MALFORMED = "malformed"
"""Reasons for which a shape is left out, in the words in which they are counted."""

_ELLIPSE_CORNERS = 72
"""The polygon has 99.87 % of the ellipse's area and touches the same box."""

_NOTHING = 1e-7
"""Square pixels. A sliver of an edge that runs along the image's edge, which rounding made cross itself."""

_FARTHEST = 1e15
"""Pixels. Beyond, doubles cannot tell neighbouring pixels apart and areas overflow."""


class InvalidShape(ValueError):
    """A shape that cannot be: the message says which value is wrong and why.

    `reason` is the same for all faults of a kind, so that they can be counted.
    """

    def __init__(self, message: str, reason: str = MALFORMED) -> None:
        super().__init__(message)
        self.reason = reason


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
            raise InvalidShape(self._fault(), NO_AREA if all(map(isfinite, self.corners)) else MALFORMED)

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
                f"box {self.corners} lies outside the image of {size.width} x {size.height} pixels", OUTSIDE
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
            raise InvalidShape(f"polygon has {len(points)} different corners and needs 3", NO_AREA)
        for number, (corner, following) in enumerate(zip(points, (*points[1:], points[0]), strict=True), 1):
            if corner == following:
                raise InvalidShape(
                    f"polygon is empty between corners {number} and {number % len(points) + 1}: same point"
                )
        if not any(_turn(points[0], points[1], corner) for corner in points[2:]):
            raise InvalidShape("polygon is empty: all its corners are on one line", NO_AREA)
        crossing = _first_crossing(points)
        if crossing is not None:
            a, b = crossing
            raise InvalidShape(
                f"polygon crosses itself: the edges after corners {a + 1} and {b + 1} meet", CROSSES_ITSELF
            )

    @property
    def area(self) -> float:
        """Square pixels, by the shoelace formula, as COCO's own files give it."""
        return _shoelace(self.points)

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

    def clamp(self, size: Size) -> Polygon | MultiPolygon:
        """The part of the polygon that lies in the image; several parts stay one object.

        Raises InvalidShape when no area of it does: what touches the image in points or lines lies outside.
        """
        if self.inside(size):
            return self
        return _joined(_clipped(self.points, size), size)

    def fractions(self, size: Size) -> tuple[Point, ...]:
        return tuple((x / size.width, y / size.height) for x, y in self.points)


@dataclass(frozen=True, slots=True)
class MultiPolygon:
    """One object of several polygons that do not overlap, such as one that is cut in two by the image's edge."""

    parts: tuple[Polygon, ...]
    """At least two."""

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise InvalidShape(f"an object of several polygons has at least 2, not {len(self.parts)}")

    @property
    def area(self) -> float:
        """Square pixels of all parts together."""
        return sum(part.area for part in self.parts)

    @property
    def box(self) -> Box:
        """The smallest box around all parts."""
        return bounds(point for part in self.parts for point in part.points)

    def inside(self, size: Size) -> bool:
        return all(part.inside(size) for part in self.parts)

    def clamp(self, size: Size) -> Polygon | MultiPolygon:
        """What of the parts lies in the image. Raises InvalidShape when no area of them does."""
        if self.inside(size):
            return self
        return _joined([inside for part in self.parts for inside in _clipped(part.points, size)], size)


@dataclass(frozen=True, slots=True)
class WholeImage:
    """The label holds for the image as a whole (classification, tags)."""

    @property
    def box(self) -> None:
        return None

    def inside(self, size: Size) -> bool:
        return True


def rotated(box: Box, degrees: float) -> Polygon:
    """A box turned around its middle, clockwise as displayed. The polygon begins at the box's top left corner."""
    x, y = (box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2
    corners = ((box.xmin, box.ymin), (box.xmax, box.ymin), (box.xmax, box.ymax), (box.xmin, box.ymax))
    return Polygon(_turned(((px - x, py - y) for px, py in corners), (x, y), degrees))


def ellipse(middle: Point, across: float, down: float, degrees: float = 0.0) -> Polygon:
    """An ellipse as a polygon of 72 corners on it.

    `across` and `down` are half of its width and height before it is turned around its middle by `degrees`, clockwise
    as displayed. Raises InvalidShape when one of them is not above 0.
    """
    if not (across > 0 and down > 0):
        raise InvalidShape(f"ellipse is empty: its half axes are {across:g} and {down:g}", NO_AREA)
    steps = (2 * pi * number / _ELLIPSE_CORNERS for number in range(_ELLIPSE_CORNERS))
    return Polygon(_turned(((across * cos(at), down * sin(at)) for at in steps), middle, degrees))


def _turned(offsets: Iterable[Point], middle: Point, degrees: float) -> tuple[Point, ...]:
    turn_cos, turn_sin = cos(radians(degrees)), sin(radians(degrees))
    x, y = middle
    return tuple((x + dx * turn_cos - dy * turn_sin, y + dx * turn_sin + dy * turn_cos) for dx, dy in offsets)


def _clipped(points: Sequence[Point], size: Size) -> list[Polygon]:
    """The parts of a polygon inside the image. Parts that rounding leaves without an area are dropped."""
    for number, (x, y) in enumerate(points, 1):
        if abs(x) > _FARTHEST or abs(y) > _FARTHEST:
            raise InvalidShape(f"polygon: corner {number} is more than {_FARTHEST:g} pixels from its image")
    try:
        rings = clip_ring(points, size.width, size.height)
    except ValueError as fault:
        raise InvalidShape(str(fault), CROSSES_ITSELF) from None
    parts = []
    for ring in rings:
        try:
            parts.append(Polygon(tuple(ring)))
        except InvalidShape:
            if abs(_shoelace(ring)) > _NOTHING:
                raise
    return parts


def _joined(parts: Sequence[Polygon], size: Size) -> Polygon | MultiPolygon:
    if not parts:
        raise InvalidShape(f"polygon lies outside the image of {size.width} x {size.height} pixels", OUTSIDE)
    return parts[0] if len(parts) == 1 else MultiPolygon(tuple(parts))


def _shoelace(points: Sequence[Point]) -> float:
    """The area of a ring in square pixels. Relative to the first corner, so that far-away polygons lose no digits."""
    (x0, y0), twice = points[0], 0.0
    px, py = 0.0, 0.0
    for x, y in points[1:]:
        x, y = x - x0, y - y0  # noqa: PLW2901
        twice += px * y - x * py
        px, py = x, y
    return abs(twice) / 2


def _first_crossing(points: Sequence[Point]) -> tuple[int, int] | None:
    """The numbers of two edges that meet elsewhere than in a shared corner, or None.

    A sweep over x compares an edge only with those whose x ranges overlap its own.
    """
    count = len(points)
    ends = [(points[i][0], points[(i + 1) % count][0]) for i in range(count)]
    edges = sorted((min(pair), max(pair), i) for i, pair in enumerate(ends))
    active: list[tuple[float, int]] = []
    for left, right, i in edges:
        active = [(end, j) for end, j in active if end >= left]
        for _, j in active:
            if _meet(points, min(i, j), max(i, j)):
                return min(i, j), max(i, j)
        active.append((right, i))
    return None


def _meet(points: Sequence[Point], i: int, j: int) -> bool:
    count = len(points)
    a, b = points[i], points[(i + 1) % count]
    c, d = points[j], points[(j + 1) % count]
    if j == i + 1:
        return _turn(a, b, d) == 0 and _same_side(b, a, d)
    if i == 0 and j == count - 1:
        return _turn(c, a, b) == 0 and _same_side(a, c, b)
    t1, t2, t3, t4 = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if ((t1 > 0) != (t2 > 0)) and ((t3 > 0) != (t4 > 0)) and 0 not in (t1, t2, t3, t4):
        return True
    return any(
        turn == 0 and _between(p, q, r)
        for turn, p, q, r in ((t1, c, a, b), (t2, d, a, b), (t3, a, c, d), (t4, b, c, d))
    )


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _between(p: Point, a: Point, b: Point) -> bool:
    """Whether p, which is on the line through a and b, is on the stretch from a to b."""
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def _same_side(corner: Point, a: Point, b: Point) -> bool:
    """Whether two edges that leave a corner on one line run back over each other."""
    return (a[0] - corner[0]) * (b[0] - corner[0]) + (a[1] - corner[1]) * (b[1] - corner[1]) > 0


def bounds(points: Iterable[Point]) -> Box:
    """The smallest box around points. Raises InvalidShape when it would be empty."""
    pairs = list(points)
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    return Box(min(xs), min(ys), max(xs), max(ys))
