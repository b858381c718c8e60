"""Parses Scale's tasks and batch counts. Keys without a value may be missing instead of null."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import atan2, cos, degrees, hypot, sin
from typing import Any
from urllib.parse import urlsplit

from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Box,
    ImageState,
    InvalidShape,
    LabeledImage,
    Polygon,
    Provenance,
    Shape,
    Size,
    WholeImage,
)
from labelwright.domain.geometry import ellipse
from labelwright.domain.planar import distinct
from labelwright.platforms.http.error_messages import cut_masked
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import FailedImage
from labelwright.platforms.shape_notices import ShapeNotices

NAME = "scale"
FILE, WIDTH, HEIGHT, CAMPAIGN, SHA256 = "file", "width", "height", "campaign", "sha256"
"""Keys of the image's data in the metadata of our tasks."""

STAGING, IN_PROGRESS, DONE = "staging", "in_progress", "completed"
BATCH_STATES = frozenset({STAGING, IN_PROGRESS, DONE})
PENDING, COMPLETED, ERROR = "pending", "completed", "error"
CANCELLED = frozenset({"canceled", "cancelled"})
DEAD = CANCELLED | {ERROR}
"""States of tasks that ended without labels."""

Fetch = Callable[[str], Any]
"""Returns the JSON at a URL from a response."""


@dataclass(frozen=True, slots=True)
class Counts:
    """State of a batch and number of its tasks in each state."""

    state: str
    pending: int
    completed: int
    error: int
    cancelled: int

    @property
    def dead(self) -> int:
        return self.error + self.cancelled

    @property
    def total(self) -> int:
        return self.pending + self.completed + self.dead


def counts_from(payload: Fields) -> Counts:
    """Parses a batch's status, which lacks counts that are zero."""
    state = payload.text("status")
    if state not in BATCH_STATES:
        payload.refuse("status", f"is '{state}', expected one of {', '.join(sorted(BATCH_STATES))}")

    def count(*names: str) -> int:
        return sum(payload.whole(name) for name in names if payload.has(name))

    return Counts(state, count(PENDING), count(COMPLETED), count(ERROR), count(*sorted(CANCELLED)))


def status_of(task: Fields) -> str:
    status = task.text("status")
    statuses = {PENDING, COMPLETED} | DEAD
    if status not in statuses:
        task.refuse("status", f"is '{status}', expected one of {', '.join(sorted(statuses))}")
    return status


def image_name(task: Fields, campaign: str) -> str | None:
    """Returns our name of the task's image; None for a task that somebody else put into the batch."""
    name = metadata_of(task.json).get(FILE)
    if isinstance(name, str) and name:
        return name
    unique = task.json.get("unique_id")
    start = f"{campaign}/"
    return unique[len(start) :] or None if isinstance(unique, str) and unique.startswith(start) else None


def unique_id(campaign: str, image: str) -> str:
    """Returns the unique_id of an image's task. It is unique in the account, over all projects and task types."""
    return f"{campaign}/{image}"


def has_image_id(task: Fields, campaign: str) -> bool:
    """Whether the task still has its image's unique_id. A failed one without it was replaced or dropped."""
    unique = task.json.get("unique_id")
    return isinstance(unique, str) and unique.startswith(f"{campaign}/")


def metadata_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a task or a batch; empty when there is none."""
    metadata = item.get("metadata")
    return dict(metadata) if isinstance(metadata, Mapping) else {}


def created_at(task: Mapping[str, Any]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(task.get("created_at")))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def size_of(task: Fields) -> Size:
    """The size of the image as displayed, from the metadata that we wrote when the task was created."""
    where = f"{task.where}.metadata" if task.where else "metadata"
    metadata = Fields(NAME, task.operation, metadata_of(task.json), where)
    return Size(metadata.whole(WIDTH), metadata.whole(HEIGHT))


def failed_from(task: Fields, name: str) -> FailedImage:
    """Converts a task that ended without labels, with its reason."""
    cancelled = status_of(task) in CANCELLED
    return FailedImage(task.id("task_id"), name, "it was cancelled" if cancelled else error_reason(task), cancelled)


def error_reason(task: Fields) -> str:
    """Scale's error message. Of attachment URLs only host and path, since they are signed."""
    response = task.json.get("response")
    parts: list[str] = []
    if isinstance(response, Mapping):
        message = response.get("error") or response.get("message")
        parts += [str(message)] if message else []
        attachments = response.get("attachments")
        for attachment in attachments if isinstance(attachments, list) else []:
            if isinstance(attachment, Mapping):
                status, url = attachment.get("statusCode", "no answer"), str(attachment.get("url", ""))
                parts.append(f"{status} from {_without_query(url)}")
    elif isinstance(response, str):
        parts.append(response)
    return cut_masked(" ".join(parts)) or "no reason given"


def labeled_from(task: Fields, name: str, fetch: Fetch, notices: ShapeNotices) -> LabeledImage:
    """Converts a completed task. Without annotations the image was labeled as empty.

    Annotations that cannot be converted are skipped and added to the notices. Scale reports when the task was completed
    and the customer's own review, but not who labeled it.
    """
    try:
        size = size_of(task)
    except InvalidShape as fault:
        task.refuse("metadata", f"of image '{name}': {fault}")
    annotations = _annotations(task, name, size, fetch, notices)
    state = _REVIEWS.get(str(task.json.get("customer_review_status")), ImageState.LABELED)
    return LabeledImage(name, size, tuple(annotations), remote_id=task.id("task_id"), state=state)


_REVIEWS = {"accepted": ImageState.ACCEPTED, "rejected": ImageState.REJECTED}
"""By `customer_review_status`; in the other states nothing is decided."""


def _annotations(task: Fields, name: str, size: Size, fetch: Fetch, notices: ShapeNotices) -> list[Annotation]:
    response = task.json.get("response")
    completed_at = task.moment("completed_at")
    provenance = UNKNOWN if completed_at is None else Provenance(changed_at=completed_at)
    if isinstance(response, str):
        response = fetch(response)
    if response is None:
        return []
    payload = Fields(NAME, task.operation, response, f"the response of image '{name}'")
    if payload.has("category"):
        value = payload.json["category"]
        categories = value if isinstance(value, list) else [value]
        return [Annotation(str(category), WholeImage(), provenance=provenance) for category in categories]
    if isinstance(payload.json.get("annotations"), str):
        fetched = fetch(payload.json["annotations"])
        listed = fetched if isinstance(fetched, list) else Fields(NAME, task.operation, fetched).list("annotations")
        payload = Fields(NAME, task.operation, {"annotations": listed}, payload.where)
    if not payload.has("annotations"):
        return []
    kept = (
        notices.keep(name, f"{item.where} of task {task.id('task_id')}", size, partial(_annotation, item, provenance))
        for item in payload.each("annotations")
    )
    return [annotation for annotation in kept if annotation is not None]


def _annotation(item: Fields, provenance: Provenance) -> Annotation:
    """Raises InvalidShape, PlatformRefused."""
    kind = item.text("type")
    if kind not in _SHAPES:
        notice = kind if kind in _NO_LABELS else "unknown type"
        raise InvalidShape(f"type is '{kind}', and only {', '.join(_SHAPES)} can be kept", notice)
    label = item.text("label") or item.refuse("label", "is empty")
    return Annotation(label, _SHAPES[kind](item), 1.0, _attributes(item), provenance)


def _box(item: Fields) -> Shape:
    left, top = item.number("left"), item.number("top")
    width, height = item.number("width"), item.number("height")
    rotation = item.number("rotation") if item.has("rotation") else 0.0
    upright = Box.from_xywh(left, top, width, height)  # refuses a box without an area, rotated or not
    if not rotation:
        return upright
    if item.has("vertices"):
        return _polygon(item)
    # left and top are those before the rotation around the box's centre, clockwise as y points down.
    x, y, c, s = left + width / 2, top + height / 2, cos(rotation), sin(rotation)
    corners = [(dx * width / 2, dy * height / 2) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return Polygon(tuple((x + dx * c - dy * s, y + dx * s + dy * c) for dx, dy in corners))


def _polygon(item: Fields) -> Polygon:
    return Polygon(tuple(distinct(_vertices(item))))


def _ellipse(item: Fields) -> Polygon:
    """Scale sends the four ends of the axes in order around the ellipse; the axes may be rotated."""
    corners = _vertices(item)
    if len(corners) != 4:
        raise InvalidShape(f"ellipse has {len(corners)} vertices and needs 4")
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    (ax, ay), (bx, by) = ((x0 - x2) / 2, (y0 - y2) / 2), ((x1 - x3) / 2, (y1 - y3) / 2)
    across, down = hypot(ax, ay), hypot(bx, by)
    # The axes must have the same centre and be at right angles, with a tolerance of 1 in 100 for rounding.
    apart = hypot(x0 + x2 - x1 - x3, y0 + y2 - y1 - y3) / 2
    if abs(ax * bx + ay * by) > across * down / 100 or apart > max(1.0, max(across, down) / 100):
        raise InvalidShape("the vertices of the ellipse are not the ends of its axes")
    return ellipse(((x0 + x2) / 2, (y0 + y2) / 2), across, down, degrees(atan2(ay, ax)))


def _vertices(item: Fields) -> list[tuple[float, float]]:
    return [(corner.number("x"), corner.number("y")) for corner in item.each("vertices")]


_SHAPES: dict[str, Callable[[Fields], Shape]] = {"box": _box, "polygon": _polygon, "ellipse": _ellipse}
_NO_LABELS = ("line", "point", "cuboid")
"""Annotation types that our datasets cannot hold."""


def _attributes(item: Fields) -> dict[str, str]:
    attributes = item.json.get("attributes")
    if not isinstance(attributes, Mapping):
        return {}
    return {
        str(name): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in attributes.items()
        if value is not None
    }


def _without_query(url: str) -> str:
    try:
        parts = urlsplit(url)
        shown = f"{parts.hostname or ''}{parts.path}"
    except ValueError:
        shown = ""
    return shown or "an unknown URL"
