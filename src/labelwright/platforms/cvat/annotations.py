"""Converts CVAT's shapes, tags and tracks to annotations, and annotations to CVAT's shapes and tags.

CVAT validates hardly anything: a rectangle of three numbers is stored, and blocks every export of its task from then
on. Annotations that cannot be converted are skipped and reported with their task, frame and reason; everything else is
delivered.
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
    UNKNOWN,
    Annotation,
    Box,
    ExcludedImage,
    ImageState,
    InvalidShape,
    LabeledImage,
    Mask,
    MultiPolygon,
    Origin,
    Polygon,
    Provenance,
    Shape,
    ShapeNotice,
    Size,
    WholeImage,
)
from labelwright.domain.fitting import CUT, fitted
from labelwright.domain.geometry import MALFORMED, Point, ellipse, rotated

from .masks import mask_to_points, mask_to_shape
from .models import CvatFrames, CvatJob, Stage
from .schema import CvatLabels
from .tracks import end_of, shapes_of

PREDICTED = "auto"
"""The `source` of predictions that we upload; a person's own work is "manual"."""

BY_PEOPLE = ("manual", "semi-auto")
"""Values of `source`: drawn by a person; predicted by a model and corrected by a person."""

_ORIGINS = {"manual": Origin.PERSON, "semi-auto": Origin.CORRECTED, PREDICTED: Origin.PREDICTION}
"""By `source`. Annotations from a file may come from anybody."""

_NO_LABELS = ("polyline", "points", "cuboid", "skeleton")
"""Shape types that our datasets cannot hold."""


@dataclass(frozen=True, slots=True)
class SkippedAnnotation:
    """An annotation that could not be converted, or only in a changed form."""

    task: int
    kind: str
    """shape, track or tag; or image or job when it is not a single annotation: then there is no id and no label."""
    id: int | None
    frame: int
    image: str
    label: str
    reason: str
    malformed: bool = False
    """Its geometry is invalid: it blocks the server's own exports of the task."""
    job: int | None = None
    """The job that holds it, where annotations were read by job."""
    counted: str = ""
    """The reason under which such shapes are counted; "" counts by `reason`."""
    dropped: bool = True
    """False when the dataset holds it in a changed form."""

    def __str__(self) -> str:
        where = f"frame {self.frame} ({self.image})" if self.image else f"frame {self.frame}"
        holder = f"task {self.task}" + (f", job {self.job}" if self.job is not None else "")
        subject = f"{self.kind} {self.id}" if self.kind not in ("image", "job") else self.kind
        label = f", label {self.label}" if self.label else ""
        return f"{subject} of {holder}, {where}{label}: {self.reason}"

    def as_notice(self) -> ShapeNotice:
        counted = self.counted or (MALFORMED if self.malformed else self.reason)
        return ShapeNotice(counted, self.image, str(self), self.dropped)


class Malformed(InvalidShape):
    """The points do not form a shape of that type."""


@dataclass
class Reader:
    """Reads the annotations of one task, or of one of its jobs. Frames are numbered over the whole task."""

    task: int
    labels: CvatLabels
    frames: CvatFrames
    names: Mapping[int, str]
    """Our names of the frames."""
    job: int | None = None
    jobs: Sequence[range] = ()
    """The frames of each job, where the task is read as a whole."""
    work: Sequence[CvatJob] = ()
    """The jobs of the task: they have the labelers, and tell whether an image was accepted."""
    reviewed: bool = False
    """Whether people accept jobs. Otherwise Labelwright accepts them all when the campaign is finished."""

    def __post_init__(self) -> None:
        self.skipped: list[SkippedAnnotation] = []
        self.excluded: list[ExcludedImage] = []
        self._label_names = self.labels.names
        self._attribute_names = self.labels.attribute_names
        self._jobs: dict[int, list[CvatJob]] = defaultdict(list)  # where jobs overlap, a frame has two
        for job in self.work:
            for frame in job.frames:
                self._jobs[frame].append(job)
        self._provenances: dict[tuple[str, object], Provenance] = {}

    def images(self, payload: Mapping[str, Any], requested: Iterable[int], job_frames: range) -> Iterator[LabeledImage]:
        """Yields the requested frames as labeled images. Deleted frames are added to `excluded` instead.

        `job_frames` are the frames of the job or task that the payload belongs to: annotations of another frame are
        skipped.
        """
        frames = sorted(requested)
        items_by_frame = self._by_frame(payload, job_frames.stop - 1)
        for frame in sorted(items_by_frame):
            if frame not in job_frames:
                outside_task = not 0 <= frame < len(self.frames.frames)
                for kind, item in items_by_frame[frame]:
                    self._skip(
                        kind,
                        item,
                        frame,
                        "its frame is none of its job",
                        malformed=outside_task,
                        counted="frame not in its job",
                    )
        for frame in frames:
            cvat_frame = self.frames.frames[frame]
            annotations: list[Annotation] = []
            if frame in self.frames.deleted:
                self.excluded.append(self._deleted(frame, len(items_by_frame.get(frame, ()))))
                continue
            for kind, item in items_by_frame.get(frame, ()):
                annotations += self._annotation(kind, item, frame, Size(cvat_frame.width, cvat_frame.height))
            size = Size(cvat_frame.width, cvat_frame.height)
            jobs = self._jobs.get(frame, ())
            accepted = self.reviewed and bool(jobs) and all(job.accepted for job in jobs)
            state = ImageState.ACCEPTED if accepted else ImageState.LABELED
            yield LabeledImage(self.names[frame], size, tuple(annotations), f"{self.task}/{frame}", state)

    def _deleted(self, frame: int, annotations: int) -> ExcludedImage:
        detail = f"frame {frame} of task {self.task} was deleted in CVAT"
        if annotations:
            detail += f", with {annotations} annotation{'' if annotations == 1 else 's'} on it"
        return ExcludedImage(self.names[frame], ImageState.GONE, detail, f"{self.task}/{frame}")

    def note(self, frame: int, reason: str) -> None:
        """Records annotations of a whole job as skipped."""
        self._skip("job", {}, frame, reason, counted="job that CVAT could not join")

    def _by_frame(self, payload: Mapping[str, Any], last: int) -> dict[int, list[tuple[str, Mapping[str, Any]]]]:
        """The annotations of each frame: shapes in the order of their ids, then tracks, then tags."""
        items: dict[int, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
        for shape in sorted(_objects(payload, "shapes"), key=_id):
            items[_frame(shape)].append(("shape", shape))
        for track in sorted(_objects(payload, "tracks"), key=_id):
            for shape in shapes_of(track, end_of(track, self.jobs, last)):
                items[_frame(shape)].append(("track", shape))
        for tag in sorted(_objects(payload, "tags"), key=_id):
            items[_frame(tag)].append(("tag", tag))
        return items

    def _annotation(self, kind: str, item: Mapping[str, Any], frame: int, size: Size) -> Iterator[Annotation]:
        label = self._label_names.get(_whole(item.get("label_id")))
        if label is None:
            reason = "its label is none of the project's"
            self._skip(kind, item, frame, reason, malformed=True, counted="label not in the project")
            return
        try:
            shape, cut = fitted(WholeImage() if kind == "tag" else shape_from(item), size)
            if cut:
                reason = "it reached beyond its image and was cut to it"
                self._skip(kind, item, frame, reason, counted=CUT, dropped=False)
            yield Annotation(label, shape, _score(item), self._attributes(item), self._provenance(item, frame))
        except Malformed as fault:
            self._skip(kind, item, frame, str(fault), malformed=True)
        except InvalidShape as fault:
            self._skip(kind, item, frame, str(fault), counted=fault.reason)

    def _provenance(self, item: Mapping[str, Any], frame: int) -> Provenance:
        """The assignee of the job and the annotation's source. CVAT has no times of annotations: those of a job change
        with its state and assignee too. In review the assignee is a reviewer."""
        jobs = self._jobs.get(frame, ())
        people = {"" if self.reviewed and job.stage is not Stage.ANNOTATION else job.assignee_name for job in jobs}
        labeler = people.pop() if len(people) == 1 else ""
        source = item.get("source")
        origin = _ORIGINS.get(source) if isinstance(source, str) else None
        if not labeler and origin is None:
            return UNKNOWN
        return self._provenances.setdefault((labeler, origin), Provenance(labeler, origin=origin))

    def _attributes(self, item: Mapping[str, Any]) -> dict[str, str]:
        values = {}
        for attribute in item.get("attributes") or ():
            if not isinstance(attribute, Mapping):
                continue
            name = self._attribute_names.get(_whole(attribute.get("spec_id")))
            if name is not None and attribute.get("value") not in (None, ""):
                values[name] = str(attribute["value"])
        if item.get("occluded") is True:
            values[OCCLUDED] = "true"
        if _whole(item.get("group")) > 0:  # 0 is no group
            values[GROUP] = str(item["group"])
        return dict(sorted(values.items()))

    def _skip(
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
        self.skipped.append(
            SkippedAnnotation(
                self.task, kind, item.get("id"), frame, image, label, reason, malformed, self.job, counted, dropped
            )
        )


def shape_from(item: Mapping[str, Any]) -> Shape:
    """Converts a CVAT shape. Raises Malformed for invalid points, InvalidShape for types that we do not support."""
    kind, points = item.get("type"), item.get("points")
    if kind == "skeleton":  # it has no points of its own: its elements have them
        raise InvalidShape("labels here have no skeleton; take it from CVAT's own export", "skeleton")
    if not isinstance(points, list) or not all(_is_number(value) for value in points):
        raise Malformed(f"{kind}: its points are not a list of numbers")
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
        return mask_to_shape(points)
    notice = str(kind) if kind in _NO_LABELS else "unknown type"
    raise InvalidShape(f"labels here have no {kind}; take it from CVAT's own export", notice)


def to_cvat_shapes(image: LabeledImage, frame: int, labels: CvatLabels, *, scores: bool) -> tuple[list[Any], list[Any]]:
    """Converts an image's annotations to CVAT's shapes and tags for a frame.

    Raises KeyError for a label that the project does not have, InvalidShape for a shape that CVAT does not have.
    """
    shapes, tags = [], []
    for annotation in image.annotations:
        label = labels.find(annotation.label)
        if label is None:
            raise KeyError(annotation.label)
        payload: dict[str, Any] = {
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
            tags.append(payload)
            continue
        kind, points = _points_of(annotation.shape)
        occluded = annotation.attributes.get(OCCLUDED) == "true"
        payload |= {
            "type": kind,
            "points": points,
            "occluded": occluded,
            "outside": False,
            "z_order": 0,
            "rotation": 0.0,
        }
        shapes.append(payload | ({"score": annotation.confidence} if scores else {}))
    return shapes, tags


def _points_of(shape: Box | Polygon | MultiPolygon | Mask) -> tuple[str, list[float]]:
    if isinstance(shape, MultiPolygon):
        raise InvalidShape("CVAT has no shape of several polygons: give it a mask, or each part a label of its own")
    if isinstance(shape, Mask):
        return "mask", [*mask_to_points(shape)]
    return ("polygon", shape.flat) if isinstance(shape, Polygon) else ("rectangle", list(shape.corners))


def _corners(points: list[float]) -> tuple[Point, ...]:
    """Corners as pairs. A corner that is repeated in a row, as by a double click, counts once."""
    pairs = list(zip(points[::2], points[1::2], strict=True))
    return tuple(pair for pair, before in zip(pairs, [None, *pairs], strict=False) if pair != before)


def _score(item: Mapping[str, Any]) -> float:
    """The confidence, 0 to 1. Newer servers send a model's score even after a person corrected the shape: that is 1."""
    if item.get("source") in BY_PEOPLE:
        return 1.0
    score = item.get("score")
    return float(score) if _is_number(score) and 0 <= score <= 1 else 1.0  # type: ignore[operator,arg-type]


def _objects(payload: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    objects = payload.get(kind) or []
    return [item for item in objects if isinstance(item, Mapping)] if isinstance(objects, list) else []


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
