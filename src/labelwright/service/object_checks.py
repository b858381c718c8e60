"""Checks the objects of an image: label, shape and attributes, against the image and the campaign's schema.

An object is {label, confidence} with either bounding_box, and perhaps a polygon or several (`polygons`, one object of
several parts), or `whole_image: true`; and perhaps `attributes: {name: text}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from labelwright.domain import Box, MultiPolygon, Polygon, Shape, Size, WholeImage

from .api.errors import Invalid
from .config import Limits
from .label_schema import LabelRules

_FIELDS = frozenset({"label", "confidence", "bounding_box", "polygon", "polygons", "whole_image", "attributes"})
_SIDES = ("xmin", "xmax", "ymin", "ymax")
_AGREE = 1.0
"""Pixels by which a polygon's bounds may differ from the box beside it."""

FAULTS_LISTED = 100
"""Of one request, in `details.faults`; `details.count` counts all."""


class ObjectFaults:
    """Collects the faults of a request: the first ones in full, and their number."""

    def __init__(self) -> None:
        self._listed: list[dict[str, Any]] = []
        self._count = 0

    def add(self, image: int, number: int | None, problem: str) -> None:
        """`number` is the object's position; None for a fault of the image itself."""
        self._count += 1
        if len(self._listed) < FAULTS_LISTED:
            self._listed.append({"image_id": image, "object": number, "problem": problem})

    def refuse(self) -> None:
        """Raises Invalid with the message of the first fault, if there is one."""
        if not self._listed:
            return
        first = self._listed[0]
        place = f"image {first['image_id']}" + ("" if first["object"] is None else f", object {first['object']}:")
        details = {name: value for name, value in first.items() if value is not None}
        if first["object"] is None:
            details.pop("problem")
        raise Invalid(f"{place} {first['problem']}", details={**details, "faults": self._listed, "count": self._count})


def object_faults(label_object: Any, size: Size, rules: LabelRules, limits: Limits) -> list[str]:
    """Returns all faults of an object; optional fields that are null are removed from it."""
    if not isinstance(label_object, dict):
        return ["is not {label, confidence, bounding_box}"]
    if extra := label_object.keys() - _FIELDS:
        return [f"has unknown fields, which would be lost: {', '.join(sorted(extra))}"]
    for name in ("bounding_box", "polygon", "polygons", "whole_image", "attributes"):
        if label_object.get(name) is None:
            label_object.pop(name, None)
    faults: list[str] = []
    label = label_object.get("label")
    if not isinstance(label, str) or not 0 < len(label) <= 200 or not label.isprintable():
        faults.append("label is not a name of 1 to 200 printable characters")
        label = None
    elif fault := rules.label_fault(label):
        faults.append(fault)
        label = None
    confidence = label_object.get("confidence")
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        faults.append(f"confidence is a number from 0 to 1, not {confidence!r}"[:200])
    try:
        shape = _shape_of(label_object, size, limits)
    except ValueError as error:
        faults.append(str(error))
    else:
        if label is not None and (fault := rules.shape_fault(label, shape)):
            faults.append(fault)
    if label is not None:
        faults += rules.attribute_faults(label, label_object.get("attributes", {}))
    return faults


def repeated_whole_images(objects: Sequence[Any]) -> list[tuple[int, str]]:
    """Position and fault of every object that says of the whole image what an earlier one says."""
    labels = set[str]()
    faults = []
    for number, label_object in enumerate(objects):
        if not isinstance(label_object, dict) or label_object.get("whole_image") is not True:
            continue
        label = label_object.get("label")
        if isinstance(label, str) and label in labels:
            faults.append((number, f"label '{label}' is on the image as a whole twice"))
        elif isinstance(label, str):
            labels.add(label)
    return faults


def count_corners(label_object: Any) -> int:
    if not isinstance(label_object, dict):
        return 0
    polygon, polygons = label_object.get("polygon"), label_object.get("polygons")
    parts = [polygon, *(polygons if isinstance(polygons, list) else ())]
    return sum(len(part) for part in parts if isinstance(part, list))


def _shape_of(label_object: dict[str, Any], size: Size, limits: Limits) -> Shape:
    """Raises ValueError."""
    whole = label_object.get("whole_image", False)
    if not isinstance(whole, bool):
        raise ValueError("whole_image is not true or false")  # noqa: TRY004
    if whole:
        if extra := label_object.keys() & {"bounding_box", "polygon", "polygons"}:
            raise ValueError(f"whole_image is true, and there is also {', '.join(sorted(extra))}")
        return WholeImage()
    label_object.pop("whole_image", None)
    box = _box_of(label_object.get("bounding_box"), size)
    if "polygon" in label_object and "polygons" in label_object:
        raise ValueError("has polygon and polygons: send one of them")
    if "polygon" in label_object:
        polygon = _polygon_of("polygon", label_object["polygon"], size, limits)
        _agree("the polygon's", polygon.box, box)
        return polygon
    if "polygons" in label_object:
        parts = label_object["polygons"]
        if not isinstance(parts, list):
            raise ValueError("polygons is not a list of polygons")
        shape = MultiPolygon(
            tuple(_polygon_of(f"polygons[{number}]", part, size, limits) for number, part in enumerate(parts))
        )
        _agree("the polygons'", shape.box, box)
        return shape
    return box


def _box_of(sides: Any, size: Size) -> Box:
    if not isinstance(sides, dict) or sides.keys() != set(_SIDES) or not all(map(_is_number, sides.values())):
        raise ValueError("bounding_box is not {xmin, xmax, ymin, ymax} of numbers")
    box = Box(sides["xmin"], sides["ymin"], sides["xmax"], sides["ymax"])
    if not box.inside(size):
        raise ValueError(f"box {box.corners} is not inside the image of {size.width} x {size.height} pixels")
    return box


def _polygon_of(field: str, corners: Any, size: Size, limits: Limits) -> Polygon:
    if not isinstance(corners, list) or not all(
        isinstance(corner, list) and len(corner) == 2 and _is_number(corner[0]) and _is_number(corner[1])
        for corner in corners
    ):
        raise ValueError(f"{field} is not a list of [x, y]")
    if len(corners) > limits.corners_per_polygon:
        raise ValueError(f"{field} has {len(corners)} corners; at most {limits.corners_per_polygon} are taken")
    # Where it lies comes first: the search for crossings is only for polygons that are otherwise right.
    if not all(0 <= x <= size.width and 0 <= y <= size.height for x, y in corners):
        raise ValueError(f"{field} is not inside the image of {size.width} x {size.height} pixels")
    return Polygon(tuple((x, y) for x, y in corners))


def _agree(whose: str, around: Box, box: Box) -> None:
    if any(abs(a - b) > _AGREE for a, b in zip(around.corners, box.corners, strict=True)):
        raise ValueError(f"{whose} bounds {around.corners} are not the bounding_box {box.corners}")


def _is_number(value: Any) -> TypeGuard[int | float]:
    return type(value) in (int, float)
