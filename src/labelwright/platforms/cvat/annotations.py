"""Annotations of CVAT: shapes, tags and tracks as our labels; our labels as shapes and tags.

CVAT checks hardly anything: a rectangle of three numbers is stored, and blocks every export of its task from then on.
What cannot be a label of ours is left out of its image with its place and the reason, and everything else is delivered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

from labelwright.domain import (
    GROUP,
    OCCLUDED,
    Annotation,
    Box,
    ExcludedImage,
    ImageState,
    InvalidShape,
    LabeledImage,
    Mask,
    MultiPolygon,
    Polygon,
    Shape,
    ShapeNotice,
    Size,
    WholeImage,
)
from labelwright.domain.fitting import CUT, fitted
from labelwright.domain.geometry import MALFORMED, Point, ellipse, rotated

from .masks import drawn, encoded
from .models import CvatFrames
from .schema import CvatLabels
from .tracks import end_of, shapes_of

PREDICTED = "auto"
"""The `source` of what we put in; a person's own work is "manual"."""

BY_PEOPLE = ("manual", "semi-auto")
"""Drawn by a person, or put in by a model and corrected by a person."""

_NO_LABELS = ("polyline", "points", "cuboid", "skeleton")
"""Types of shapes that no dataset here has a place for."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something in the annotations that is no label of ours."""

    task: int
    kind: str
    """shape, track or tag; image or job where it is no single annotation, which then has neither id nor label."""
    id: int | None
    frame: int
    image: str
    label: str
    reason: str
    malformed: bool = False
    """It can be no shape at all: it blocks the server's own exports of the task."""
    job: int | None = None
    """The job that holds it, where one was asked."""
    counted: str = ""
    """The reason in the words in which such shapes are counted."""
    dropped: bool = True
    """False when it is in the dataset in a changed form."""

    def __str__(self) -> str:
        where = f"frame {self.frame} ({self.image})" if self.image else f"frame {self.frame}"
        holder = f"task {self.task}" + (f", job {self.job}" if self.job is not None else "")
        what = f"{self.kind} {self.id}" if self.kind not in ("image", "job") else self.kind
        label = f", label {self.label}" if self.label else ""
        return f"{what} of {holder}, {where}{label}: {self.reason}"

    def as_notice(self) -> ShapeNotice:
        counted = self.counted or (MALFORMED if self.malformed else self.reason)
        return ShapeNotice(counted, self.image, str(self), self.dropped)


class Malformed(InvalidShape):
    """Points that are no shape of that type."""


@dataclass
class Reader:
    """Reads the annotations of one task (or of a job of it, whose frames are numbered over the whole task)."""

    task: int
    labels: CvatLabels
    frames: CvatFrames
    names: Mapping[int, str]
    """Our names of the frames."""
    job: int | None = None
    jobs: Sequence[range] = ()
    """The frames of each job, where the task is read as a whole."""

    def __post_init__(self) -> None:
        self.left_out: list[LeftOut] = []
        self.excluded: list[ExcludedImage] = []
        self._label_names = self.labels.names
        self._attribute_names = self.labels.attribute_names

    def images(self, answer: Mapping[str, Any], wanted: Iterable[int], there: range) -> Iterator[LabeledImage]:
        """The wanted frames, each as an image that was looked at; those that were deleted become `excluded` instead.

        `there` are the frames of the job, or of the task, that was asked for its annotations: what is said of another
        frame is left out.
        """
        frames = sorted(wanted)
        found = self._by_frame(answer, there.stop - 1)
        for frame in sorted(found):
            if frame not in there:
                nowhere = not 0 <= frame < len(self.frames.frames)
                for kind, item in found[frame]:
                    self._leave_out(
                        kind,
                        item,
                        frame,
                        "its frame is none of its job",
                        malformed=nowhere,
                        counted="frame not in its job",
                    )
        for frame in frames:
            told = self.frames.frames[frame]
            annotations: list[Annotation] = []
            if frame in self.frames.deleted:
                self.excluded.append(self._deleted(frame, len(found.get(frame, ()))))
                continue
            for kind, item in found.get(frame, ()):
                annotations += self._annotation(kind, item, frame, Size(told.width, told.height))
            size = Size(told.width, told.height)
            yield LabeledImage(self.names[frame], size, tuple(annotations), f"{self.task}/{frame}")

    def _deleted(self, frame: int, annotations: int) -> ExcludedImage:
        detail = f"frame {frame} of task {self.task} was deleted in CVAT"
        if annotations:
            detail += f", with {annotations} annotation{'' if annotations == 1 else 's'} on it"
        return ExcludedImage(self.names[frame], ImageState.GONE, detail, f"{self.task}/{frame}")

    def note(self, frame: int, reason: str) -> None:
        """Something that is left out and is no single annotation."""
        self._leave_out("job", {}, frame, reason, counted="job that CVAT could not join")

    def _by_frame(self, answer: Mapping[str, Any], last: int) -> dict[int, list[tuple[str, Mapping[str, Any]]]]:
        """What is said of each frame, in the order in which it was said: shapes by their ids, tracks, tags."""
        said: dict[int, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
        for shape in sorted(_objects(answer, "shapes"), key=_id):
            said[_frame(shape)].append(("shape", shape))
        for track in sorted(_objects(answer, "tracks"), key=_id):
            for shape in shapes_of(track, end_of(track, self.jobs, last)):
                said[_frame(shape)].append(("track", shape))
        for tag in sorted(_objects(answer, "tags"), key=_id):
            said[_frame(tag)].append(("tag", tag))
        return said

    def _annotation(self, kind: str, item: Mapping[str, Any], frame: int, size: Size) -> Iterator[Annotation]:
        label = self._label_names.get(_whole(item.get("label_id")))
        if label is None:
            why = "its label is none of the project's"
            self._leave_out(kind, item, frame, why, malformed=True, counted="label not in the project")
            return
        try:
            shape, cut = fitted(WholeImage() if kind == "tag" else shape_from(item), size)
            if cut:
                why = "it reached beyond its image and was cut to it"
                self._leave_out(kind, item, frame, why, counted=CUT, dropped=False)
            yield Annotation(label, shape, _score(item), self._attributes(item))
        except Malformed as fault:
            self._leave_out(kind, item, frame, str(fault), malformed=True)
        except InvalidShape as fault:
            self._leave_out(kind, item, frame, str(fault), counted=fault.reason)

    def _attributes(self, item: Mapping[str, Any]) -> dict[str, str]:
        found = {}
        for one in item.get("attributes") or ():
            name = self._attribute_names.get(_whole(one.get("spec_id"))) if isinstance(one, Mapping) else None
            if name is not None and one.get("value") not in (None, ""):
                found[name] = str(one["value"])
        if item.get("occluded") is True:
            found[OCCLUDED] = "true"
        if _whole(item.get("group")) > 0:  # 0 is no group
            found[GROUP] = str(item["group"])
        return dict(sorted(found.items()))

    def _leave_out(
        self,
        kind: str,
        item: Mapping[str, Any],
        frame: int,
        reason: str,
        *,
        malformed: bool = False,
        counted: str = "",
        dropped: bool = True,
    ) -> None:
        label = self._label_names.get(_whole(item.get("label_id")), str(item.get("label_id", "")))
        image = self.names.get(frame, "")
        self.left_out.append(
            LeftOut(self.task, kind, item.get("id"), frame, image, label, reason, malformed, self.job, counted, dropped)
        )


def shape_from(item: Mapping[str, Any]) -> Shape:
    """A shape of CVAT. Raises Malformed for points that are none, InvalidShape for one that we cannot say."""
    kind, points = item.get("type"), item.get("points")
    if kind == "skeleton":  # its points are those of its elements
        raise InvalidShape("labels here have no skeleton; take it from CVAT's own export", "skeleton")
    if not isinstance(points, list) or not all(_is_number(value) for value in points):
        raise Malformed(f"{kind}: its points are no list of numbers")
    if kind == "rectangle":
        if len(points) != 4:
            raise Malformed(f"rectangle: {len(points)} numbers instead of 4")
        x1, y1, x2, y2 = points
        box = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        angle = item.get("rotation") or 0
        return rotated(box, float(angle)) if _is_number(angle) and angle % 360 else box
    if kind == "ellipse":
        if len(points) != 4:
            raise Malformed(f"ellipse: {len(points)} numbers instead of 4")
        x, y, right, top = points
        angle = item.get("rotation") or 0
        return ellipse((x, y), abs(right - x), abs(y - top), float(angle) if _is_number(angle) else 0.0)
    if kind == "polygon":
        if len(points) < 6 or len(points) % 2:
            raise Malformed(f"polygon: {len(points)} numbers, it takes an even number from 6")
        return Polygon(_corners(points))
    if kind == "mask":
        return drawn(points)
    known = str(kind) if kind in _NO_LABELS else "unknown type"
    raise InvalidShape(f"labels here have no {kind}; take it from CVAT's own export", known)


def to_cvat_shapes(image: LabeledImage, frame: int, labels: CvatLabels, *, scores: bool) -> tuple[list[Any], list[Any]]:
    """Shapes and tags for a frame, as CVAT takes them. Raises KeyError for a label that the project does not have,
    InvalidShape for a shape that CVAT does not have."""
    shapes, tags = [], []
    for annotation in image.annotations:
        label = labels.named(annotation.label)
        if label is None:
            raise KeyError(annotation.label)
        said: dict[str, Any] = {
            "frame": frame,
            "label_id": label.id,
            "group": int(group) if (group := annotation.attributes.get(GROUP, "")).isdecimal() else 0,
            "source": PREDICTED,
            "attributes": [
                {"spec_id": label.attributes[name], "value": value}
                for name, value in annotation.attributes.items()
                if name in label.attributes
            ],
        }
        if isinstance(annotation.shape, WholeImage):
            tags.append(said)
            continue
        kind, points = _points_of(annotation.shape)
        occluded = annotation.attributes.get(OCCLUDED) == "true"
        said |= {"type": kind, "points": points, "occluded": occluded, "outside": False, "z_order": 0, "rotation": 0.0}
        shapes.append(said | ({"score": annotation.confidence} if scores else {}))
    return shapes, tags


def _points_of(shape: Box | Polygon | MultiPolygon | Mask) -> tuple[str, list[float]]:
    if isinstance(shape, MultiPolygon):
        raise InvalidShape("CVAT has no shape of several polygons: give it a mask, or each part a label of its own")
    if isinstance(shape, Mask):
        return "mask", [*encoded(shape)]
    return ("polygon", shape.flat) if isinstance(shape, Polygon) else ("rectangle", list(shape.corners))


def _corners(points: list[float]) -> tuple[Point, ...]:
    """Corners in pairs; a corner said twice in a row, as by a double click, counts once."""
    pairs = list(zip(points[::2], points[1::2], strict=True))
    return tuple(pair for pair, before in zip(pairs, [None, *pairs], strict=False) if pair != before)


def _score(item: Mapping[str, Any]) -> float:
    """Newer servers tell how sure a model was, also of what a person corrected since: people are sure."""
    if item.get("source") in BY_PEOPLE:
        return 1.0
    score = item.get("score")
    return float(score) if _is_number(score) and 0 <= score <= 1 else 1.0  # type: ignore[operator,arg-type]


def _objects(answer: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    found = answer.get(kind) or []
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _id(item: Mapping[str, Any]) -> int:
    return _whole(item.get("id"))


def _frame(item: Mapping[str, Any]) -> int:
    return _whole(item.get("frame"))


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _is_number(value: object) -> bool:
    with suppress(OverflowError):
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return False
