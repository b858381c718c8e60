"""Projects, media and annotations as Sonoma Creek and Geti tell them: one function a shape.

Coordinates: Sonoma Creek 1.x gives fractions of width and height (recorded), Geti 2.x pixels (documented). A scene
keeps the numbers as they came, with their unit: what is written back to the same dialect is the same to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import nextafter
from typing import Any

from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields

_ROUNDING = 1e-6
"""Of a pixel."""
TRAINS_NOT = frozenset({"dataset", "crop"})
GLOBAL_TASKS = frozenset(
    {"classification", "anomaly", "anomaly_classification", "anomaly_detection", "anomaly_segmentation"}
)
"""Tasks whose labels hold for the image as a whole, or for the object that the task before found."""


class Unit(StrEnum):
    """What coordinates are given in."""

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
    """"Looked at, nothing there". Its name differs between versions: it is known by this alone."""
    parent_id: str | None = None
    is_anomalous: bool | None = None


@dataclass(frozen=True, slots=True)
class GetiTask:
    id: str
    title: str
    type: str
    labels: tuple[GetiLabel, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What only some kinds have, such as `keypoint_structure`, as it came."""

    @property
    def trains(self) -> bool:
        return self.type not in TRAINS_NOT

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
        return tuple(task for task in self.tasks if task.trains)

    @property
    def kind(self) -> str:
        """As the user's document says it: `detection -> segmentation`."""
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
    """As the server has it: the file's name without its ending. Two may bear the same."""
    type: str
    width: int
    height: int
    url: str
    """Path of the bytes; empty where the server gave none."""
    states: Mapping[str, str]
    """Task id to `none`, `partially_annotated`, `annotated` or `to_revisit`."""
    extension: str = ""
    frames: int | None = None
    """Of a video."""
    stride: int | None = None
    processing: str = ""
    uploaded: str = ""
    """When, by the server's clock (ISO 8601)."""

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
    """Why it cannot be read, where a scene is read all the same."""

    def to(self, wanted: Unit, unit: Unit, width: int, height: int) -> GetiShape:
        """The shape in another unit. An angle stays as it is."""
        if wanted is unit:
            return self
        scales = (float(width), float(height))
        if wanted is Unit.PIXELS:
            numbers = {name: value * _scale(name, scales) for name, value in self.numbers.items()}
            points = tuple((x * scales[0], y * scales[1]) for x, y in self.points)
        else:
            numbers = {name: value / _scale(name, scales) for name, value in self.numbers.items()}
            points = tuple((x / scales[0], y / scales[1]) for x, y in self.points)
        return replace(self, numbers=numbers, points=points)

    def inside(self, width: int, height: int) -> GetiShape:
        """The shape, in pixels, without what rounding puts beyond the image's edges: 2.x refuses the least bit."""
        if self.type == "POLYGON":
            points = tuple((_at_most(x, width), _at_most(y, height)) for x, y in self.points)
            return self if points == self.points else replace(self, points=points)
        if self.type != "RECTANGLE":
            return self
        across = _reaching(self.numbers["x"], self.numbers["width"], width)
        down = _reaching(self.numbers["y"], self.numbers["height"], height)
        return replace(self, numbers={**self.numbers, "width": across, "height": down})

    def json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"type": self.type, **self.numbers, **self.extra}
        if self.points:
            said["points"] = [{"x": x, "y": y} for x, y in self.points]
        return said


def _at_most(value: float, edge: float) -> float:
    return edge if edge < value < edge + _ROUNDING else value


def _reaching(start: float, length: float, edge: float) -> float:
    """A length that, added to the start, is not beyond the edge; what is far beyond stays for the server to refuse."""
    if edge < start + length < edge + _ROUNDING:
        length = edge - start
        while start + length > edge:
            length = nextafter(length, 0.0)
    return length


def _scale(name: str, scales: tuple[float, float]) -> float:
    return {"x": scales[0], "width": scales[0], "y": scales[1], "height": scales[1]}.get(name, 1.0)


@dataclass(frozen=True, slots=True)
class GetiAnnotation:
    """A shape and what it is: ids of labels, each with its probability."""

    shape: GetiShape
    labels: tuple[tuple[str, float], ...]

    def json(self) -> dict[str, Any]:
        """Keys in the order of the recordings."""
        labels = [{"id": label, "probability": probability} for label, probability in self.labels]
        return {"labels": labels, "shape": self.shape.json()}


@dataclass(frozen=True, slots=True)
class GetiScene:
    """All that was said of an image or a frame."""

    annotations: tuple[GetiAnnotation, ...]
    unit: Unit
    frame: int | None = None
    """Of a video."""


def whole_image(unit: Unit, width: int, height: int) -> GetiShape:
    """The rectangle by which labels of the image as a whole are told (recorded; documented for 2.x)."""
    if unit is Unit.FRACTIONS:
        return GetiShape("RECTANGLE", {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0})
    return GetiShape("RECTANGLE", {"x": 0, "y": 0, "width": width, "height": height})


def project_from(answer: Fields) -> GetiProject:
    """Lists of newer servers may leave the pipeline out, or its labels."""
    pipeline = answer.inner("pipeline") if answer.has("pipeline") else None
    tasks = tuple(_task_from(task) for task in pipeline.each("tasks")) if pipeline is not None else ()
    connections = pipeline.each("connections") if pipeline is not None and pipeline.has("connections") else ()
    return GetiProject(
        answer.id("id"),
        answer.text("name"),
        tasks,
        tuple((one.id("from"), one.id("to")) for one in connections),
        datasets_from(answer),
    )


def datasets_from(answer: Fields) -> tuple[tuple[str, str], ...]:
    """Pairs of id and name."""
    datasets = answer.each("datasets") if answer.has("datasets") else ()
    return tuple((one.id("id"), _text(one, "name")) for one in datasets)


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


def medium_from(answer: Fields, kind: str = "") -> GetiMedium:
    information = answer.inner("media_information")
    states = answer.each("annotation_state_per_task") if answer.has("annotation_state_per_task") else ()
    processing = answer.inner("preprocessing") if answer.has("preprocessing") else None
    return GetiMedium(
        id=answer.id("id"),
        name=answer.text("name"),
        type=_text(answer, "type").lower() or kind,
        width=information.whole("width"),
        height=information.whole("height"),
        url=_text(information, "display_url").strip(),
        states={state.id("task_id"): _text(state, "state").casefold() or "none" for state in states},
        extension=_text(information, "extension").lower().lstrip("."),
        frames=information.whole("frame_count") if information.has("frame_count") else None,
        stride=information.whole("frame_stride") if information.has("frame_stride") else None,
        processing=_text(processing, "status").casefold() if processing is not None else "",
        uploaded=str(answer.json.get("upload_time") or ""),
    )


def scene_from(answer: Fields, unit: Unit, *, lenient: bool = False) -> GetiScene:
    """A scene. Lenient, it has shapes that cannot be read with their `fault`; else they raise PlatformRefused."""
    annotations = (
        tuple(_annotation_from(one, lenient) for one in answer.each("annotations")) if answer.has("annotations") else ()
    )
    identifier = answer.inner("media_identifier") if answer.has("media_identifier") else None
    frame = identifier.whole("frame_index") if identifier is not None and identifier.has("frame_index") else None
    return GetiScene(annotations, unit, frame)


def _annotation_from(item: Fields, lenient: bool) -> GetiAnnotation:
    labels = tuple(
        (label.id("id"), label.number("probability") if label.has("probability") else 1.0)
        for label in item.each("labels")
    )
    try:
        return GetiAnnotation(shape_from(item.inner("shape")), labels)
    except PlatformRefused as fault:
        if not lenient:
            raise
        shape = item.json.get("shape")
        kind = str(shape.get("type")).upper() if isinstance(shape, dict) else ""
        return GetiAnnotation(GetiShape(kind, fault=fault), labels)


_NUMBERS = {
    "RECTANGLE": ("x", "y", "width", "height"),
    "ELLIPSE": ("x", "y", "width", "height"),
    "ROTATED_RECTANGLE": ("x", "y", "width", "height", "angle"),
    "KEYPOINT": ("x", "y"),
}
SHAPES = frozenset({"POLYGON", *_NUMBERS})
"""Types of shapes that are known."""


def shape_from(item: Fields) -> GetiShape:
    """Raises PlatformRefused for a shape that nobody told us of."""
    kind = item.text("type").upper()
    if kind == "POLYGON":
        return GetiShape(kind, points=tuple((point.number("x"), point.number("y")) for point in item.each("points")))
    names = _NUMBERS.get(kind)
    if names is None:
        item.refuse("type", f"is '{kind}', a shape that is not known")
    extra = {"is_visible": item.json["is_visible"]} if kind == "KEYPOINT" and item.has("is_visible") else {}
    return GetiShape(kind, {name: item.number(name) for name in names}, extra=extra)
