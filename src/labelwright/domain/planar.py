"""Whether a closed ring of corners crosses or touches itself, found in a bounded number of steps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

Point = tuple[float, float]

PAIRS_FOR_GEOS = 2_000_000
"""Overlapping pairs of edges up to which GEOS is asked. It compares every pair whose bounding boxes overlap, which for
long diagonal edges means all of them (three seconds for 10,000 corners)."""

_ROUNDING = 4e-16
"""Upper bound of the relative error of an orientation computed in double precision: (3 + 16 e) e with e = 2**-53."""


def meeting_edges(points: Sequence[Point]) -> tuple[int, int] | None:
    """The indexes of two edges of a ring that meet anywhere but in a corner they share, or None for a simple ring.

    Edge i runs from corner i to corner i + 1, the last one back to corner 0. The ring has at least three corners,
    finite numbers only, and no two equal corners in a row. Takes O(n log n) steps whatever the shape.
    """
    import shapely  # with it comes numpy: commands that see no polygon start without

    corners = [(float(x), float(y)) for x, y in points]
    if _overlapping_pairs(corners) <= PAIRS_FOR_GEOS and shapely.is_simple(shapely.LinearRing(corners)):
        return None
    return _sweep(corners)


def _overlapping_pairs(points: Sequence[Point]) -> int:
    """An upper bound of the pairs of edges whose bounding boxes overlap, from one axis alone."""
    return min(_overlaps([point[axis] for point in points]) for axis in (0, 1))


def _overlaps(values: Sequence[float]) -> int:
    """How many pairs of the intervals between neighbors of a closed sequence overlap."""
    following = [*values[1:], values[0]]
    starts = sorted(map(min, values, following))
    return sum(bisect_right(starts, end) for end in map(max, values, following)) - len(values) * (len(values) + 1) // 2


def _sweep(points: Sequence[Point]) -> tuple[int, int] | None:
    """Shamos and Hoey's sweep: a line moves over the corners from left to right, and only edges that are neighbors on
    it are compared. The first two edges that meet become neighbors before the line reaches the place where they do.
    """
    count = len(points)
    twins = _equal_corners(points)
    if twins is not None:
        return twins
    active: list[int] = []  # edges that the line cuts, from bottom to top

    left = [min(points[edge], points[(edge + 1) % count]) for edge in range(count)]
    right = [max(points[edge], points[(edge + 1) % count]) for edge in range(count)]
    # What the search below needs of an edge, in one look-up: its left end and the way from there to its right end.
    lines = [(ax, ay, bx - ax, by - ay) for (ax, ay), (bx, by) in zip(left, right, strict=True)]

    def position(corner: int) -> tuple[int, int | None]:
        """How many active edges are below the corner, and an edge that it lies on, if any."""
        low, high, point = 0, len(active), points[corner]
        x, y = point
        previous = (corner or count) - 1
        while low < high:
            middle = (low + high) // 2
            edge = active[middle]
            if edge in (corner, previous):  # it ends here
                high = middle
                continue
            ax, ay, dx, dy = lines[edge]
            up, down = dx * (y - ay), dy * (x - ax)
            turn, size = up - down, abs(up) + abs(down)
            # As in `_side`, written out: this is where the time goes.
            if not (1e-250 < size < 1e250 and abs(turn) > _ROUNDING * size):
                turn = _side(left[edge], right[edge], point)
                if turn == 0:
                    return middle, edge
            if turn > 0:
                low = middle + 1
            else:
                high = middle
        return low, None

    for corner in sorted(range(count), key=points.__getitem__):
        before, after = (corner or count) - 1, corner
        starting = [edge for edge in (before, after) if left[edge] == points[corner]]
        place, touched = position(corner)
        if touched is not None:
            return _pair(touched, after, before, count)
        ending = 2 - len(starting)
        # Those that end here are next to each other, or another edge lies between them and has been found to meet one.
        if ending and set(active[place : place + ending]) != {before, after}.difference(starting):
            return _any_meeting(points, active, place, (before, after))
        if ending == 0:
            turn = _side(points[corner], right[before], right[after])
            if turn == 0:
                return _ordered(before, after)
            if turn < 0:
                starting.reverse()
        active[place : place + ending] = starting
        for above in {place, place + len(starting)}:
            if 0 < above < len(active) and _meet(points, active[above - 1], active[above]):
                return _ordered(active[above - 1], active[above])
    return None


def _equal_corners(points: Sequence[Point]) -> tuple[int, int] | None:
    """Two edges that begin at the same place, when two corners are equal."""
    first: dict[Point, int] = {}
    for corner, point in enumerate(points):
        if first.setdefault(point, corner) != corner:
            return first[point], corner
    return None


def _any_meeting(
    points: Sequence[Point], active: Sequence[int], place: int, edges: tuple[int, int]
) -> tuple[int, int] | None:
    """The neighbors of a place that meet one of two edges: the order of the active edges has shown that some do."""
    for other in active[max(place - 2, 0) : place + 3]:
        for edge in edges:
            if other != edge and _meet(points, edge, other):
                return _ordered(edge, other)
    return _ordered(*edges)


def _pair(touched: int, after: int, before: int, count: int) -> tuple[int, int]:
    """The edge that a corner lies on, with that edge of the corner which is no neighbor of it, where there is one."""
    neighbors = ((touched - 1) % count, (touched + 1) % count)
    return _ordered(touched, before if after in neighbors and before not in neighbors else after)


def _ordered(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)


def _meet(points: Sequence[Point], i: int, j: int) -> bool:
    """Whether two edges share a point that is not a corner of both."""
    count = len(points)
    i, j = _ordered(i, j)
    a, b = points[i], points[(i + 1) % count]
    c, d = points[j], points[(j + 1) % count]
    if j == i + 1:
        return _side(a, b, d) == 0 and _same_direction(b, a, d)
    if i == 0 and j == count - 1:
        return _side(c, a, b) == 0 and _same_direction(a, c, b)
    if max(a[0], b[0]) < min(c[0], d[0]) or max(c[0], d[0]) < min(a[0], b[0]):
        return False
    if max(a[1], b[1]) < min(c[1], d[1]) or max(c[1], d[1]) < min(a[1], b[1]):
        return False
    return _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0


def _same_direction(corner: Point, a: Point, b: Point) -> bool:
    """Whether two points on one line with a corner lie on the same side of it."""
    return ((a > corner) - (a < corner)) == ((b > corner) - (b < corner))


def _side(a: Point, b: Point, c: Point) -> int:
    """1 when c is to the left of the line from a to b, -1 to the right, 0 on it: exact for all doubles."""
    left, right = (b[0] - a[0]) * (c[1] - a[1]), (b[1] - a[1]) * (c[0] - a[0])
    turn = left - right
    size = abs(left) + abs(right)
    if 1e-250 < size < 1e250 and abs(turn) > _ROUNDING * size:
        return 1 if turn > 0 else -1
    (ax, ay), (bx, by), (cx, cy) = (tuple(map(Fraction, point)) for point in (a, b, c))
    exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return (exact > 0) - (exact < 0)
