"""Converts between Label Studio's results (regions in percent of the image as displayed) and annotations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import cos, radians, sin
from types import MappingProxyType
from typing import Any

from labelwright.domain import (
    Annotation,
    Box,
    InvalidShape,
    Mask,
    MultiPolygon,
    Origin,
    Polygon,
    Provenance,
    Shape,
    Size,
    WholeImage,
)
from labelwright.domain.geometry import MALFORMED
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.shape_notices import ShapeNotices

from . import brush
from .client import NAME
from .label_config import BOX, CHOICE, IMAGE, MASK, POLYGON, LabelConfig, control_name

_ORIGINS = {
    "manual": Origin.PERSON,
    "prediction": Origin.PREDICTION,
    "prediction-changed": Origin.CORRECTED,
}
_KINDS = {"rectanglelabels": BOX, "polygonlabels": POLYGON, "brushlabels": MASK, "choices": CHOICE}
_SHAPELESS = frozenset({"choices", "textarea"})
NO_LABEL = "no label"
"""The reason for which a region without a label is left out."""
NO_SIZE = "size unknown"
"""The reason for which regions are left out when neither they nor the task's data tell the size of the image."""


def size_in(regions: Sequence[Any]) -> Size | None:
    """Returns the size of the image as a browser displayed it, as far as a region says."""
    for region in regions:
        if isinstance(region, dict):
            width, height = region.get("original_width"), region.get("original_height")
            if isinstance(width, int) and isinstance(height, int) and min(width, height) >= 1:
                return Size(width, height)
    return None


class Reader:
    """Reads the regions of one annotation of an image. What cannot be kept goes into `notices`."""

    def __init__(self, config: LabelConfig, image: str, size: Size | None, notices: ShapeNotices) -> None:
        self._config, self._image, self._size, self._notices = config, image, size, notices

    def read(self, result: Sequence[Fields], provenance: Provenance) -> tuple[Annotation, ...]:
        attributes = self._attributes(result)
        annotations: list[Annotation] = []
        for region in result:
            if region.json.get("from_name") in self._config.controls:
                continue
            kind = str(region.json.get("type"))
            if kind not in _KINDS:
                self._notices.leave_out(self._image, kind, f"{region.where}: a {kind} is no shape of a dataset")
                continue
            if self._size is None:
                self._notices.leave_out(
                    self._image, NO_SIZE, f"{region.where}: places are in percent of an unknown size"
                )
                continue
            annotations += self._annotations(region, kind, self._size, provenance, attributes)
        return tuple(annotations)

    def _attributes(self, result: Sequence[Fields]) -> dict[tuple[str, str], dict[str, str]]:
        """Attributes by label and region; of whole images the region is empty."""
        values: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for item in result:
            control = self._config.controls.get(str(item.json.get("from_name")))
            if control is None:
                continue
            answer = _answer(item)
            if answer:
                is_whole = control_name(control.label, control.attribute, CHOICE) == item.json.get("from_name")
                region = "" if is_whole else str(item.json.get("id"))
                values[control.label, region][control.attribute] = answer
        return values

    def _annotations(
        self,
        region: Fields,
        kind: str,
        size: Size,
        provenance: Provenance,
        attributes: Mapping[tuple[str, str], Mapping[str, str]],
    ) -> Iterator[Annotation]:
        first: Annotation | None = None
        try:
            labels = _labels(region, kind)
        except InvalidShape as fault:
            self._notices.leave_out(self._image, fault.reason, f"{region.where}: {fault}")
            return
        for label in labels:
            read = partial(_annotation, region, kind, label, size, provenance)
            first = first or self._notices.keep(self._image, region.where, size, read)
            if first is None:
                return
            id = "" if kind == "choices" else str(region.json.get("id"))
            yield Annotation(
                label,
                first.shape,
                first.confidence,
                MappingProxyType(dict(attributes.get((label, id), {}))),
                first.provenance,
            )


def _labels(region: Fields, kind: str) -> list[str]:
    names = region.inner("value").json.get(kind)
    if not isinstance(names, list) or not names:
        raise InvalidShape("the region has no label: give it one, and press Update", NO_LABEL)
    if not all(isinstance(name, str) and name for name in names):
        raise InvalidShape("its label is not a text")
    return names


def _answer(item: Fields) -> str:
    """The answer to an attribute: the value that was chosen, or the text."""
    value = item.json.get("value")
    answer = value.get("choices", value.get("text")) if isinstance(value, dict) else None
    if isinstance(answer, list):
        answer = "\n".join(part for part in answer if isinstance(part, str))
    return answer if isinstance(answer, str) else ""


def _annotation(region: Fields, kind: str, label: str, size: Size, provenance: Provenance) -> Annotation:
    """Raises InvalidShape, and PlatformRefused for fields that are missing or of another type."""
    origin = _ORIGINS.get(str(region.json.get("origin")))
    score = region.json.get("score")
    has_score = origin is Origin.PREDICTION and isinstance(score, int | float) and 0 <= score <= 1
    confidence = float(score) if has_score and score is not None else 1.0
    origins = Provenance(provenance.labeler, provenance.created_at, provenance.changed_at, provenance.seconds, origin)
    return Annotation(label, _shape(region, kind, size), confidence, provenance=origins)


def _shape(region: Fields, kind: str, size: Size) -> Shape:
    if kind == "choices":
        return WholeImage()
    value = region.inner("value")
    if kind == "rectanglelabels":
        return _rectangle(value, size)
    if kind == "polygonlabels":
        if value.json.get("closed") is False:
            raise InvalidShape("the polygon is not closed", "not closed")
        return Polygon(tuple(_point(value, number, item, size) for number, item in enumerate(value.list("points"))))
    rle = value.list("rle")
    drawn = size_in([region.json]) or size
    return brush.decode(rle, drawn)


def _rectangle(value: Fields, size: Size) -> Box | Polygon:
    """A box, or the polygon of one that is rotated (clockwise around its top left corner)."""
    x, y = value.number("x") * size.width / 100, value.number("y") * size.height / 100
    width, height = value.number("width") * size.width / 100, value.number("height") * size.height / 100
    degrees = value.number("rotation") % 360 if value.has("rotation") else 0
    if not degrees:
        return Box(_snapped(x), _snapped(y), _snapped(x + width), _snapped(y + height))
    if width <= 0 or height <= 0:
        raise InvalidShape(f"box is empty or inverted: {width:g} x {height:g} pixels")
    turn_cos, turn_sin = cos(radians(degrees)), sin(radians(degrees))
    offsets = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return Polygon(
        tuple(
            (_snapped(x + dx * turn_cos - dy * turn_sin), _snapped(y + dx * turn_sin + dy * turn_cos))
            for dx, dy in offsets
        )
    )


def _point(value: Fields, number: int, item: object, size: Size) -> tuple[float, float]:
    if not isinstance(item, list) or len(item) != 2:
        value.refuse("points", f"has no pair at position {number}")
    x, y = (value.as_number(f"points[{number}]", part) for part in item)
    return _snapped(x * size.width / 100), _snapped(y * size.height / 100)


def _snapped(pixels: float) -> float:
    """Pixels without the noise of percent: 12.5 comes back from 12.499999999999998."""
    return round(pixels, 6)


# Writing


def to_result(annotations: Sequence[Annotation], size: Size, config: LabelConfig) -> list[dict[str, Any]]:
    """Returns the result that shows annotations. Raises PlatformRefused for one that the configuration cannot show."""
    result: list[dict[str, Any]] = []
    for number, annotation in enumerate(annotations, 1):
        kind, value = _value(annotation, size)
        labels = config.tags.get(_TAGS[kind], ())
        if annotation.label not in labels:
            message = f"the project has no label '{annotation.label}' for a {type(annotation.shape).__name__.lower()}"
            raise PlatformRefused(NAME, "put labels into the campaign", message=message)
        type_ = next(type_ for type_, control in _KINDS.items() if control == kind)
        frame = {
            "id": f"lw-{number}",
            "from_name": kind,
            "to_name": IMAGE,
            "type": type_,
            "original_width": size.width,
            "original_height": size.height,
            "image_rotation": 0,
        }
        result.append({**frame, "value": {**value, type_: [annotation.label]}, "score": annotation.confidence})
        for attribute, answer in annotation.attributes.items():
            name = control_name(annotation.label, attribute, kind)
            control = config.controls.get(name)
            if control is not None:
                shape_value = {} if kind == CHOICE else value
                key, kind_of_answer = ("choices", "choices") if control.values else ("text", "textarea")
                more = {"from_name": name, "type": kind_of_answer, "value": {**shape_value, key: [answer]}}
                result.append({**frame, **more, **({"id": f"lw-{number}-{name}"} if kind == CHOICE else {})})
    return result


_TAGS = {BOX: "RectangleLabels", POLYGON: "PolygonLabels", MASK: "BrushLabels", CHOICE: "Choices"}


def _value(annotation: Annotation, size: Size) -> tuple[str, dict[str, Any]]:
    shape = annotation.shape
    if isinstance(shape, WholeImage):
        return CHOICE, {}
    if isinstance(shape, Box):
        left, top, right, bottom = (100 * part for part in shape.fractions(size))
        return BOX, {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
    if isinstance(shape, Polygon):
        return POLYGON, {"points": [[100 * x, 100 * y] for x, y in shape.fractions(size)], "closed": True}
    if isinstance(shape, Mask):
        return MASK, {"format": "rle", "rle": brush.encode(shape, size)}
    raise InvalidShape(f"an object of {len(shape.parts)} polygons is no shape of Label Studio", MALFORMED)


def cannot_be_drawn(shape: Shape, *, masks: bool) -> str:
    """Returns why Label Studio cannot show a shape; empty when it can."""
    if isinstance(shape, MultiPolygon):
        return "an object of several parts is no shape of Label Studio's"
    if isinstance(shape, Mask) and not masks:
        return "masks are shown where the option `masks` is on"
    return ""
