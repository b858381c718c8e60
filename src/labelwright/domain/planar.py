"""Plane geometry by shapely, for the domain's shapes: the only module that imports it.

Shapely is imported when it is needed: most commands and runs never need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf, isfinite, nan
from typing import Any

Corner = tuple[float, float]
Ring = list[Corner]

PAIRS_FOR_GEOS = 2_000_000
"""Overlapping pairs of edges up to which GEOS is asked. It compares every pair whose bounding boxes overlap, which for
long diagonal edges means all of them (three seconds for 10,000 corners)."""

_ROUNDING = 4e-16
"""Upper bound of the relative error of an orientation computed in double precision: (3 + 16 e) e with e = 2**-53."""

_MOST_REPAIRED = 500
"""Corners. Repairing a polygon takes minutes when it has thousands of corners and as many crossings."""

_SNAP = 1e-6
"""Pixels. A corner that clipping makes lies on the edge of the image; rounding moves it by far less than this."""


def clip_ring(points: Sequence[Corner], width: float, height: float) -> list[Ring]:
    """The parts of a simple polygon that lie in the rectangle from (0, 0) to (width, height), each as a ring.

    Every coordinate of the result is inside the rectangle, to the last bit. The list is empty when the polygon only
    touches the rectangle in points or lines, or lies outside. Rings run in the direction in which the polygon runs and
    begin at its earliest corner that is left; parts are ordered by their top, then by their left end. Raises ValueError
    for a polygon of more than 500 corners that is not simple.
    """
    import shapely

    polygon, limits = shapely.Polygon(points), shapely.box(0, 0, width, height)
    if not shapely.is_valid(polygon):  # a simple polygon may be so thin that rounding makes it cross itself
        if len(points) > _MOST_REPAIRED:
            raise ValueError(f"polygon of {len(points)} corners crosses itself")
        polygon = shapely.make_valid(polygon)
    clipped = shapely.intersection(polygon, limits)
    places = {(float(x), float(y)): place for place, (x, y) in reversed(list(enumerate(points)))}
    reverse = _twice_the_area(points) > 0
    rings = []
    for part in _without_holes(clipped):
        oriented = shapely.orient_polygons(part, exterior_cw=not reverse)
        corners = (_onto_an_edge(corner, places, width, height) for corner in oriented.exterior.coords[:-1])
        ring = distinct(corner for corner in corners if isfinite(corner[0]) and isfinite(corner[1]))
        if len(ring) >= 3:
            first = min(range(len(ring)), key=lambda number: places.get(ring[number], len(places)))
            rings.append(ring[first:] + ring[:first])
    return sorted(rings, key=lambda ring: (min(y for _, y in ring), min(x for x, _ in ring)))


def _without_holes(geometry: Any) -> Iterator[Any]:
    """The polygons of a geometry, cut through the middle of each hole. Points and lines are dropped."""
    import shapely

    for part in shapely.get_parts(geometry):
        if part.geom_type == "MultiPolygon":
            yield from _without_holes(part)
        elif part.geom_type == "Polygon" and not part.is_empty:
            if not part.interiors:
                yield part
                continue
            left, top, right, bottom = part.bounds
            hole = part.interiors[0].bounds
            middle = (hole[0] + hole[2]) / 2
            for half in (shapely.box(left, top, middle, bottom), shapely.box(middle, top, right, bottom)):
                yield from _without_holes(shapely.intersection(part, half))


def _onto_an_edge(corner: Corner, drawn: Mapping[Corner, int], width: float, height: float) -> Corner:
    """The corner, moved onto the edge of the rectangle where clipping made it. One that was drawn stays."""
    x, y = corner
    if corner not in drawn:
        gap, axis, edge = min(
            (abs(x), 0, 0.0), (abs(x - width), 0, width), (abs(y), 1, 0.0), (abs(y - height), 1, height)
        )
        if gap < _SNAP:
            x, y = (edge, y) if axis == 0 else (x, edge)
    return float(min(max(x, 0.0), width)), float(min(max(y, 0.0), height))


def distinct(corners: Iterable[Corner]) -> Ring:
    """The corners without repetitions in a row; the first one comes after the last."""
    ring: Ring = []
    for corner in corners:
        if not ring or ring[-1] != corner:
            ring.append(corner)
    while len(ring) > 1 and ring[0] == ring[-1]:
        ring.pop()
    return ring


def _twice_the_area(points: Sequence[Corner]) -> float:
    """Positive for a ring that runs from the x axis towards the y axis."""
    x0, y0 = points[0]
    shifted = [(x - x0, y - y0) for x, y in points]
    following = [*shifted[1:], shifted[0]]
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(shifted, following, strict=True))


def meeting_edges(points: Sequence[Corner]) -> tuple[int, int] | None:
    """The indexes of two edges of a ring that meet anywhere but in a corner they share, or None for a simple ring.

    Edge i runs from corner i to corner i + 1, the last one back to corner 0. The ring has at least three corners,
    finite numbers only, and no two equal corners in a row. Takes O(n log n) steps whatever the shape.
    """
    import shapely  # with it comes numpy: commands that see no polygon start without

    corners = [(float(x), float(y)) for x, y in points]
    if _overlapping_pairs(corners) <= PAIRS_FOR_GEOS and shapely.is_simple(shapely.LinearRing(corners)):
        return None
    return _sweep(corners)


def _overlapping_pairs(points: Sequence[Corner]) -> int:
    """An upper bound of the pairs of edges whose bounding boxes overlap, from one axis alone."""
    import numpy as np

    corners = np.array(points)
    following = np.roll(corners, -1, axis=0)
    starts, ends = np.sort(np.minimum(corners, following), axis=0), np.maximum(corners, following)
    pairs = (int(np.searchsorted(starts[:, axis], ends[:, axis], side="right").sum()) for axis in (0, 1))
    return min(pairs) - len(points) * (len(points) + 1) // 2


def _sweep(points: Sequence[Corner]) -> tuple[int, int] | None:
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
    # An edge as its left end and its slope: with one multiplication it is known on which side of it a point lies.
    lines = [(ax, ay, _slope(bx - ax, by - ay)) for (ax, ay), (bx, by) in zip(left, right, strict=True)]
    error = _error_of_heights(points)

    def position(corner: int) -> tuple[int, int | None]:
        """How many active edges are below the corner, and an edge that it lies on, if any."""
        low, high = 0, len(active)
        x, y = points[corner]
        while low < high:
            middle = (low + high) // 2
            edge = active[middle]
            ax, ay, slope = lines[edge]
            above = y - ay - slope * (x - ax)  # this is where the time goes
            if above > error:
                low = middle + 1
            elif above < -error or edge == corner or (edge + 1) % count == corner:  # an edge of the corner ends here
                high = middle
            else:
                side = _side(left[edge], right[edge], points[corner])
                if side == 0:
                    return middle, edge
                if side > 0:
                    low = middle + 1
                else:
                    high = middle
        return low, None

    def apart(lower: int, upper: int) -> bool:
        """Whether an active edge surely stays below its neighbor: where the first of them ends, it still does."""
        if right[lower] == right[upper]:  # in the corner that both share: no two corners are equal
            return True
        (x, y), sign, (ax, ay, slope) = (
            (right[lower], -1, lines[upper]) if right[lower] < right[upper] else (right[upper], 1, lines[lower])
        )
        return sign * (y - ay - slope * (x - ax)) > error

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
            if 0 < above < len(active):
                lower, upper = active[above - 1], active[above]
                if not apart(lower, upper) and _meet(points, lower, upper):
                    return _ordered(lower, upper)
    return None


def _slope(dx: float, dy: float) -> float:
    """NaN for an edge that is upright, or so nearly so that its slope is no number."""
    slope = dy / dx if dx else nan
    return slope if isfinite(slope) else nan


def _error_of_heights(points: Sequence[Corner]) -> float:
    """Upper bound of the error of a corner's computed height above an edge that reaches as far to the right as it does.

    Each of the six roundings of `y - ay - slope * (x - ax)` is off by at most 2**-53 of twice the ring's height, or,
    where numbers are too small for that, by 2**-1075: in the slope that many times the width. Infinite where numbers
    are so large that they may overflow.
    """
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    if max(-left, right, -bottom, top) > 1e100:
        return inf
    return max(1e-14 * (top - bottom), 1e-322 * (1 + right - left))


def _equal_corners(points: Sequence[Corner]) -> tuple[int, int] | None:
    """Two edges that begin at the same place, when two corners are equal."""
    first: dict[Corner, int] = {}
    for corner, point in enumerate(points):
        if first.setdefault(point, corner) != corner:
            return first[point], corner
    return None


def _any_meeting(
    points: Sequence[Corner], active: Sequence[int], place: int, edges: tuple[int, int]
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


def _meet(points: Sequence[Corner], i: int, j: int) -> bool:
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


def _same_direction(corner: Corner, a: Corner, b: Corner) -> bool:
    """Whether two points on one line with a corner lie on the same side of it."""
    return ((a > corner) - (a < corner)) == ((b > corner) - (b < corner))


def _side(a: Corner, b: Corner, c: Corner) -> int:
    """1 when c is to the left of the line from a to b, -1 to the right, 0 on it: exact for all doubles."""
    left, right = (b[0] - a[0]) * (c[1] - a[1]), (b[1] - a[1]) * (c[0] - a[0])
    turn = left - right
    size = abs(left) + abs(right)
    if 1e-250 < size < 1e250 and abs(turn) > _ROUNDING * size:
        return 1 if turn > 0 else -1
    # Doubles are integers over powers of two: over the largest of those, all six are integers.
    ratios = [value.as_integer_ratio() for value in (*a, *b, *c)]
    largest = max(below for _, below in ratios)
    ax, ay, bx, by, cx, cy = (above * (largest // below) for above, below in ratios)
    exact = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return (exact > 0) - (exact < 0)


def compare_outlines(first: Sequence[Ring], second: Sequence[Ring]) -> tuple[float, float]:
    """Intersection over union of two objects of one or more parts, and the Hausdorff distance of their outlines.

    The distance is in pixels: how far the farthest corner of one is from the outline of the other.
    """
    import shapely

    regions = [_region(rings) for rings in (first, second)]
    union = shapely.union(*regions).area
    if not all(region.area for region in regions):
        return 0.0, 0.0
    borders = [shapely.boundary(region) for region in regions]
    return float(shapely.intersection(*regions).area / union), float(shapely.hausdorff_distance(*borders))


def _region(rings: Sequence[Ring]) -> Any:
    """What the rings cover together: those that touch or overlap are one part."""
    import shapely

    parts = shapely.get_parts(shapely.make_valid([shapely.Polygon(ring) for ring in rings]))
    return shapely.union_all(shapely.get_parts(parts[shapely.area(parts) > 0]))
