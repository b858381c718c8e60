"""Types of projects, media and annotations, and the functions that read them from the servers' JSON.

Coordinates: Sonoma Creek 1.x gives fractions of width and height (recorded), Geti 2.x pixels (documented). A scene
keeps the server's own numbers with their unit, so that writing back to the same API version loses no digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import nextafter
from typing import Any

from labelwright.domain import UNKNOWN, Origin, Provenance
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields

_ROUNDING = 1e-6
"""Of a pixel."""
UNTRAINED_TASKS = frozenset({"dataset", "crop"})
GLOBAL_TASKS = frozenset(
    {"classification", "anomaly", "anomaly_classification", "anomaly_detection", "anomaly_segmentation"}
)
"""Tasks whose labels apply to the whole image, or to an object that the previous task detected."""


class CoordinateUnit(StrEnum):
    """Unit of a server's coordinates: fractions of the image's width and height, or pixels."""

    FRACTIONS = "fractions"
    PIXELS = "pixels"


@dataclass(frozen=True, slots=True)
class GetiLabel:
    id: str
    name: str
    color: str = ""
    """#rrggbbaa"""
    group: str = ""
    hotkey: str = ""
    is_empty: bool = False
    """The label for images without objects. Its name differs between versions, so only this flag identifies it."""
    parent_id: str | None = None
    is_anomalous: bool | None = None


@dataclass(frozen=True, slots=True)
class GetiTask:
    id: str
    title: str
    type: str
    labels: tuple[GetiLabel, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that only some kinds have, such as `keypoint_structure`, unchanged."""

    @property
    def trains(self) -> bool:
        return self.type not in UNTRAINED_TASKS

    @property
    def empty_label(self) -> GetiLabel | None:
        return next((label for label in self.labels if label.is_empty), None)


@dataclass(frozen=True, slots=True)
class GetiProject:
    id: str
    name: str
    tasks: tuple[GetiTask, ...]
    connections: tuple[tuple[str, str], ...]
    """Pairs of task ids."""
    datasets: tuple[tuple[str, str], ...]
    """Pairs of id and name; images of campaigns are in the first."""

    @property
    def trained(self) -> tuple[GetiTask, ...]:
        """The tasks that train a model: all but `dataset` and `crop`."""
        return tuple(task for task in self.tasks if task.trains)

    @property
    def kind(self) -> str:
        """Types of the trained tasks, such as `detection -> segmentation`."""
        return " -> ".join(task.type for task in self.trained)

    @property
    def dataset(self) -> str:
        return self.datasets[0][0]

    def label(self, identity: str) -> tuple[GetiTask, GetiLabel] | None:
        for task in self.tasks:
            for label in task.labels:
                if label.id == identity:
                    return task, label
        return None


@dataclass(frozen=True, slots=True)
class GetiMedium:
    """An image or a video."""

    id: str
    name: str
    """The file's name without its suffix, as the server stores it. Not unique."""
    type: str
    width: int
    height: int
    url: str
    """Path of the content; empty where the server gives none."""
    states: Mapping[str, str]
    """Task id to `none`, `partially_annotated`, `annotated` or `to_revisit`."""
    extension: str = ""
    frames: int | None = None
    """Of a video."""
    stride: int | None = None
    processing: str = ""
    uploaded: str = ""
    """Time of the upload by the server's clock (ISO 8601)."""

    def done(self, tasks: tuple[GetiTask, ...]) -> bool:
        """Whether it is annotated for every task."""
        return all(self.states.get(task.id) == "annotated" for task in tasks)


@dataclass(frozen=True, slots=True)
class GetiShape:
    """RECTANGLE (x, y of the top left corner), POLYGON, ELLIPSE, ROTATED_RECTANGLE or KEYPOINT."""

    type: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    points: tuple[tuple[float, float], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    fault: PlatformRefused | None = field(default=None, compare=False)
    """Why it cannot be read; only in scenes that are read leniently."""

    def to(self, target: CoordinateUnit, unit: CoordinateUnit, width: int, height: int) -> GetiShape:
        """The shape, whose coordinates are in `unit`, converted to `target`. Angles are not converted."""
        if target is unit:
            return self
        scales = (float(width), float(height))
        if target is CoordinateUnit.PIXELS:
            numbers = {name: value * _scale(name, scales) for name, value in self.numbers.items()}
            points = tuple((x * scales[0], y * scales[1]) for x, y in self.points)
        else:
            numbers = {name: value / _scale(name, scales) for name, value in self.numbers.items()}
            points = tuple((x / scales[0], y / scales[1]) for x, y in self.points)
        return replace(self, numbers=numbers, points=points)

    def inside(self, width: int, height: int) -> GetiShape:
        """The shape (in pixels) without overshoot of the image's edges by rounding, which 2.x refuses."""
        if self.type == "POLYGON":
            points = tuple((_snap(x, width), _snap(y, height)) for x, y in self.points)
            return self if points == self.points else replace(self, points=points)
        if self.type != "RECTANGLE":
            return self
        across = _snap_length(self.numbers["x"], self.numbers["width"], width)
        down = _snap_length(self.numbers["y"], self.numbers["height"], height)
        return replace(self, numbers={**self.numbers, "width": across, "height": down})

    def json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"type": self.type, **self.numbers, **self.extra}
        if self.points:
            body["points"] = [{"x": x, "y": y} for x, y in self.points]
        return body


def _snap(value: float, edge: float) -> float:
    return edge if edge < value < edge + _ROUNDING else value


def _snap_length(start: float, length: float, edge: float) -> float:
    """The length cut so that start + length is not beyond the edge. A larger overshoot is kept."""
    if edge < start + length < edge + _ROUNDING:
        length = edge - start
        while start + length > edge:
            length = nextafter(length, 0.0)
    return length


def _scale(name: str, scales: tuple[float, float]) -> float:
    return {"x": scales[0], "width": scales[0], "y": scales[1], "height": scales[1]}.get(name, 1.0)


@dataclass(frozen=True, slots=True)
class GetiAnnotation:
    """A shape and the ids of its labels, each with its probability."""

    shape: GetiShape
    labels: tuple[tuple[str, float], ...]
    provenances: tuple[Provenance, ...] = field(default=(), compare=False)
    """Of each label, where the annotation was read from a server."""

    def json(self) -> dict[str, Any]:
        """Keys in the order of the recordings."""
        labels = [{"id": label, "probability": probability} for label, probability in self.labels]
        return {"labels": labels, "shape": self.shape.json()}


@dataclass(frozen=True, slots=True)
class GetiScene:
    """All annotations of an image or a frame."""

    annotations: tuple[GetiAnnotation, ...]
    unit: CoordinateUnit
    frame: int | None = None
    """Of a video."""


def whole_image(unit: CoordinateUnit, width: int, height: int) -> GetiShape:
    """The rectangle that carries labels of the whole image (recorded; documented for 2.x)."""
    if unit is CoordinateUnit.FRACTIONS:
        return GetiShape("RECTANGLE", {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0})
    return GetiShape("RECTANGLE", {"x": 0, "y": 0, "width": width, "height": height})


def project_from(project: Fields) -> GetiProject:
    """A project. In lists of newer servers the pipeline, or its labels, may be missing."""
    pipeline = project.inner("pipeline") if project.has("pipeline") else None
    tasks = tuple(_task_from(task) for task in pipeline.each("tasks")) if pipeline is not None else ()
    connections = pipeline.each("connections") if pipeline is not None and pipeline.has("connections") else ()
    return GetiProject(
        project.id("id"),
        project.text("name"),
        tasks,
        tuple((connection.id("from"), connection.id("to")) for connection in connections),
        datasets_from(project),
    )


def datasets_from(project: Fields) -> tuple[tuple[str, str], ...]:
    """Pairs of id and name."""
    datasets = project.each("datasets") if project.has("datasets") else ()
    return tuple((dataset.id("id"), _text(dataset, "name")) for dataset in datasets)


def _task_from(task: Fields) -> GetiTask:
    labels = task.each("labels") if task.has("labels") else ()
    extra = {name: task.json[name] for name in ("keypoint_structure",) if task.has(name)}
    kind = task.text("task_type").lower()
    return GetiTask(task.id("id"), task.text("title"), kind, tuple(_label_from(label) for label in labels), extra)


def _label_from(label: Fields) -> GetiLabel:
    anomalous = label.json.get("is_anomalous")
    return GetiLabel(
        id=label.id("id"),
        name=label.text("name"),
        color=_text(label, "color"),
        group=_text(label, "group"),
        hotkey=_text(label, "hotkey"),
        is_empty=label.json.get("is_empty") is True,
        parent_id=label.id("parent_id") if label.json.get("parent_id") not in (None, "") else None,
        is_anomalous=anomalous if isinstance(anomalous, bool) else None,
    )


def _text(fields: Fields, name: str) -> str:
    return fields.text(name) if fields.has(name) else ""


def medium_from(medium: Fields, kind: str = "") -> GetiMedium:
    """An image or a video; `kind` is used where the server does not give the type."""
    information = medium.inner("media_information")
    states = medium.each("annotation_state_per_task") if medium.has("annotation_state_per_task") else ()
    processing = medium.inner("preprocessing") if medium.has("preprocessing") else None
    return GetiMedium(
        id=medium.id("id"),
        name=medium.text("name"),
        type=_text(medium, "type").lower() or kind,
        width=information.whole("width"),
        height=information.whole("height"),
        url=_text(information, "display_url").strip(),
        states={state.id("task_id"): _text(state, "state").casefold() or "none" for state in states},
        extension=_text(information, "extension").lower().lstrip("."),
        frames=information.whole("frame_count") if information.has("frame_count") else None,
        stride=information.whole("frame_stride") if information.has("frame_stride") else None,
        processing=_text(processing, "status").casefold() if processing is not None else "",
        uploaded=str(medium.json.get("upload_time") or ""),
    )


def scene_from(scene: Fields, unit: CoordinateUnit, *, lenient: bool = False) -> GetiScene:
    """A scene. A shape that cannot be read raises PlatformRefused; with `lenient` it is kept with its `fault`."""
    items = scene.each("annotations") if scene.has("annotations") else ()
    annotations = tuple(_annotation_from(item, lenient) for item in items)
    identifier = scene.inner("media_identifier") if scene.has("media_identifier") else None
    frame = identifier.whole("frame_index") if identifier is not None and identifier.has("frame_index") else None
    return GetiScene(annotations, unit, frame)


def _annotation_from(item: Fields, lenient: bool) -> GetiAnnotation:
    listed = tuple(item.each("labels"))
    labels = tuple(
        (label.id("id"), label.number("probability") if label.has("probability") else 1.0) for label in listed
    )
    try:
        provenances = tuple(_provenance_from(item, label) for label in listed)
        return GetiAnnotation(shape_from(item.inner("shape")), labels, provenances)
    except PlatformRefused as error:
        if not lenient:
            raise
        shape = item.json.get("shape")
        kind = str(shape.get("type")).upper() if isinstance(shape, dict) else ""
        return GetiAnnotation(GetiShape(kind, fault=error), labels)


def _provenance_from(annotation: Fields, label: Fields) -> Provenance:
    """Who gave the label, and when the annotation was changed last.

    Servers 2.x name the user or the model; Sonoma Creek 1.x has "N/A" there (recorded).
    """
    source = label.json.get("source")
    user, model = (source.get("user_id"), source.get("model_id")) if isinstance(source, dict) else (None, None)
    labeler = user if isinstance(user, str) and user else None
    origin = Origin.PERSON if labeler else Origin.PREDICTION if isinstance(model, str) and model else None
    changed_at = annotation.moment("modified")
    if labeler is None and origin is None and changed_at is None:
        return UNKNOWN
    return Provenance(labeler, changed_at=changed_at, origin=origin)


_NUMBERS = {
    "RECTANGLE": ("x", "y", "width", "height"),
    "ELLIPSE": ("x", "y", "width", "height"),
    "ROTATED_RECTANGLE": ("x", "y", "width", "height", "angle"),
    "KEYPOINT": ("x", "y"),
}
SHAPES = frozenset({"POLYGON", *_NUMBERS})
"""Supported types of shapes."""


def shape_from(item: Fields) -> GetiShape:
    """A shape. Raises PlatformRefused for an unknown type."""
    kind = item.text("type").upper()
    if kind == "POLYGON":
        return GetiShape(kind, points=tuple((point.number("x"), point.number("y")) for point in item.each("points")))
    names = _NUMBERS.get(kind)
    if names is None:
        item.refuse("type", f"is '{kind}', a shape that is not known")
    extra = {"is_visible": item.json["is_visible"]} if kind == "KEYPOINT" and item.has("is_visible") else {}
    return GetiShape(kind, {name: item.number(name) for name in names}, extra=extra)
