"""Plane geometry by shapely, for the domain's shapes: the only module that imports it.

Shapely is imported when it is needed: most commands and runs never need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

Corner = tuple[float, float]
Ring = list[Corner]

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
