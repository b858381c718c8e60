"""Checks the objects of an image: label, shape and attributes, against the image and the campaign's schema.

An object is {label, confidence} with either bounding_box, and perhaps a polygon or several (`polygons`, one object of
several parts), or `whole_image: true`; and perhaps `attributes: {name: text}`, `origin` and `model_version`: whether it
began as a model's prediction, and of which model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeGuard, TypeVar

from labelwright.domain import Box, MultiPolygon, Origin, Polygon, Shape, Size, WholeImage

from .api.errors import Invalid
from .config import Limits
from .label_schema import LabelRules
from .request_faults import RequestFaults

T = TypeVar("T")

_FIELDS = frozenset({"label", "confidence", "bounding_box", "polygon", "polygons", "whole_image", "attributes"}) | {
    "origin",
    "model_version",
}
_ORIGINS = tuple(origin.value for origin in Origin)
_SIDES = ("xmin", "xmax", "ymin", "ymax")
_AGREE = 1.0
"""Pixels by which a polygon's bounds may differ from the box beside it."""


class ObjectFaults(RequestFaults):
    """The faults of a request that puts objects; each names image and object, too."""

    def add_entry(self, where: str, problem: str, image: int | None = None) -> None:
        """A fault of an image's entry."""
        self.add(where, problem, image_id=image, object=None)

    def add_object(self, where: str, problem: str, image: int, number: int) -> None:
        """A fault of an object; `number` is its position."""
        self.add(where, problem, image_id=image, object=number)

    def refuse(self) -> None:
        """Raises Invalid with the message of the first fault, if there is one."""
        if not self:
            return
        first = self.first
        place = first["where"] if first["image_id"] is None else f"image {first['image_id']}"
        place += "" if first["object"] is None else f", object {first['object']}:"
        details = {name: value for name, value in first.items() if value is not None}
        if first["object"] is None:
            details.pop("problem")
        raise Invalid(f"{place} {first['problem']}", details={**details, **self.details()})


def object_faults(
    label_object: Any, size: Size, rules: LabelRules, limits: Limits, *, predicted: bool = False
) -> list[tuple[str, str]]:
    """Returns field ("" for the object itself) and message of all faults of an object.

    `predicted`: whether it is a model's prediction, which has no origin yet, and may lack attributes that the labeler
    fills in. Optional fields that are null are removed from it.
    """
    if not isinstance(label_object, dict):
        return [("", "is not {label, confidence, bounding_box}")]
    faults: list[tuple[str, str]] = []
    if extra := label_object.keys() - _FIELDS:
        faults.append(("", f"has unknown fields, which would be lost: {', '.join(sorted(extra))}"))
    for name in ("bounding_box", "polygon", "polygons", "whole_image", "attributes", "origin", "model_version"):
        if label_object.get(name) is None:
            label_object.pop(name, None)
    label = label_object.get("label")
    if not isinstance(label, str) or not 0 < len(label) <= 200 or not label.isprintable():
        faults.append(("label", "label is not a name of 1 to 200 printable characters"))
        label = None
    elif fault := rules.label_fault(label):
        faults.append(("label", fault))
        label = None
    confidence = label_object.get("confidence")
    if not _is_number(confidence) or not 0 <= confidence <= 1:
        faults.append(("confidence", f"confidence is a number from 0 to 1, not {confidence!r}"[:200]))
    shape = _read_shape(label_object, size, limits, faults)
    if shape is not None and label is not None and (fault := rules.shape_fault(label, shape)):
        faults.append((_FIELD_OF.get(type(shape), "polygon"), fault))
    if label is not None:
        attributes = label_object.get("attributes", {})
        found = rules.attribute_faults(label, attributes, complete=not predicted)
        faults += [("attributes", fault) for fault in found]
    return faults + _origin_faults(label_object, predicted=predicted)


def _origin_faults(label_object: dict[str, Any], *, predicted: bool) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    origin, model_version = label_object.get("origin"), label_object.get("model_version")
    if predicted and origin is not None:
        faults.append(("origin", "is not for predictions: it is added when a labeler accepts one"))
    elif origin is not None and origin not in _ORIGINS:
        faults.append(("origin", f"is not one of {', '.join(_ORIGINS)}"))
    if model_version is None:
        return faults
    if not isinstance(model_version, str) or not 0 < len(model_version) <= 200 or not model_version.isprintable():
        faults.append(("model_version", "is not a text of 1 to 200 printable characters"))
    elif not predicted and origin not in (Origin.PREDICTION, Origin.CORRECTED):
        faults.append(("model_version", "is for objects whose origin is prediction or corrected"))
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


_FIELD_OF: dict[type, str] = {Box: "bounding_box", WholeImage: "whole_image", MultiPolygon: "polygons"}


def _read_shape(
    label_object: dict[str, Any], size: Size, limits: Limits, faults: list[tuple[str, str]]
) -> Shape | None:
    """Returns the shape; None when it is faulty. Adds what is wrong with it to the faults."""
    whole = label_object.get("whole_image", False)
    if not isinstance(whole, bool):
        faults.append(("whole_image", "whole_image is not true or false"))
        return None
    if whole:
        if extra := label_object.keys() & {"bounding_box", "polygon", "polygons"}:
            faults.append(("whole_image", f"whole_image is true, and there is also {', '.join(sorted(extra))}"))
            return None
        return WholeImage()
    label_object.pop("whole_image", None)
    found = len(faults)
    box = _or_fault("bounding_box", faults, lambda: _box_of(label_object.get("bounding_box"), size))
    outline: Polygon | MultiPolygon | None = None
    if "polygon" in label_object and "polygons" in label_object:
        faults.append(("polygons", "has polygon and polygons: send one of them"))
    elif "polygon" in label_object:
        corners = label_object["polygon"]
        outline = _or_fault("polygon", faults, lambda: _polygon_of("polygon", corners, size, limits))
    elif "polygons" in label_object:
        outline = _read_parts(label_object["polygons"], size, limits, faults)
    if len(faults) > found or box is None:
        return None
    if outline is None:
        return box
    whose = "the polygon's" if isinstance(outline, Polygon) else "the polygons'"
    _or_fault("bounding_box", faults, lambda: _agree(whose, outline.box, box))
    return outline if len(faults) == found else None


def _read_parts(parts: Any, size: Size, limits: Limits, faults: list[tuple[str, str]]) -> MultiPolygon | None:
    if not isinstance(parts, list):
        faults.append(("polygons", "polygons is not a list of polygons"))
        return None
    polygons = []
    for number, part in enumerate(parts):
        field = f"polygons[{number}]"
        polygon = _or_fault(field, faults, partial(_polygon_of, field, part, size, limits))
        polygons += [polygon] if polygon is not None else []
    if len(polygons) < len(parts):
        return None
    return _or_fault("polygons", faults, lambda: MultiPolygon(tuple(polygons)))


def _or_fault(field: str, faults: list[tuple[str, str]], read: Callable[[], T]) -> T | None:
    """What `read` returns; None, and one more fault, when it raises ValueError."""
    try:
        return read()
    except ValueError as error:
        faults.append((field, str(error)))
        return None


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
