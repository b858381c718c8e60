"""Scale's tasks and what they become: one function a shape. Keys that mean nothing may be absent rather than null."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import atan2, cos, degrees, hypot, sin
from typing import Any
from urllib.parse import urlsplit

from labelwright.domain import Annotation, Box, InvalidShape, LabeledImage, Polygon, Shape, Size, WholeImage
from labelwright.domain.geometry import ellipse
from labelwright.domain.planar import distinct
from labelwright.platforms.http.error_messages import cut_masked
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import FailedImage
from labelwright.platforms.shape_notices import ShapeNotices

NAME = "scale"
FILE, WIDTH, HEIGHT, CAMPAIGN, SHA256 = "file", "width", "height", "campaign", "sha256"
"""What every task of ours says of its image in its metadata."""

STAGING, IN_PROGRESS, DONE = "staging", "in_progress", "completed"
BATCH_STATES = frozenset({STAGING, IN_PROGRESS, DONE})
PENDING, COMPLETED, ERROR = "pending", "completed", "error"
CANCELLED = frozenset({"canceled", "cancelled"})
DEAD = CANCELLED | {ERROR}
"""States of tasks from which nothing more comes."""

Fetch = Callable[[str], Any]
"""Gets the JSON at an address that an answer named."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tasks of a batch are in which state."""

    state: str
    pending: int
    completed: int
    error: int
    cancelled: int

    @property
    def dead(self) -> int:
        return self.error + self.cancelled


def counts_from(answer: Fields) -> Counts:
    """A batch's status. Counts that are zero are left out."""
    state = answer.text("status")
    if state not in BATCH_STATES:
        answer.refuse("status", f"is '{state}', which is none of {', '.join(sorted(BATCH_STATES))}")

    def count(*names: str) -> int:
        return sum(answer.whole(name) for name in names if answer.has(name))

    return Counts(state, count(PENDING), count(COMPLETED), count(ERROR), count(*sorted(CANCELLED)))


def status_of(task: Fields) -> str:
    status = task.text("status")
    known = {PENDING, COMPLETED} | DEAD
    if status not in known:
        task.refuse("status", f"is '{status}', which is none of {', '.join(sorted(known))}")
    return status


def image_name(task: Fields, campaign: str) -> str | None:
    """Our name of the task's image; None for a task that somebody else put into the batch."""
    name = _metadata(task).get(FILE)
    if isinstance(name, str) and name:
        return name
    unique = task.json.get("unique_id")
    start = f"{campaign}/"
    return unique[len(start) :] or None if isinstance(unique, str) and unique.startswith(start) else None


def unique_id(campaign: str, image: str) -> str:
    """What makes a task of ours unlike any other one in the account, whatever its project and type."""
    return f"{campaign}/{image}"


def holds_its_id(task: Fields, campaign: str) -> bool:
    """Whether the task bears its image's unique_id still: a failed one that does not was replaced, or left out."""
    unique = task.json.get("unique_id")
    return isinstance(unique, str) and unique.startswith(f"{campaign}/")


def created_at(task: Mapping[str, Any]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(task.get("created_at")))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def size_of(task: Fields) -> Size:
    """Of the image as displayed, as we told it when the task was made."""
    metadata = Fields(NAME, task.operation, _metadata(task), f"{task.where}.metadata" if task.where else "metadata")
    return Size(metadata.whole(WIDTH), metadata.whole(HEIGHT))


def failed_from(task: Fields, name: str) -> FailedImage:
    """A task that ended without labels, and why."""
    cancelled = status_of(task) in CANCELLED
    return FailedImage(task.id("task_id"), name, "it was cancelled" if cancelled else why(task), cancelled)


def why(task: Fields) -> str:
    """Scale's words for an error; of the attachments only host and path, since their addresses are signed."""
    response = task.json.get("response")
    told: list[str] = []
    if isinstance(response, Mapping):
        message = response.get("error") or response.get("message")
        told += [str(message)] if message else []
        attachments = response.get("attachments")
        for one in attachments if isinstance(attachments, list) else []:
            if isinstance(one, Mapping):
                told.append(f"{one.get('statusCode', 'no answer')} from {_bare(str(one.get('url', '')))}")
    elif isinstance(response, str):
        told.append(response)
    return cut_masked(" ".join(told)) or "it does not say why"


def labeled_from(task: Fields, name: str, fetch: Fetch, notices: ShapeNotices) -> LabeledImage:
    """A completed task. One without annotations was looked at, and nothing was there.

    Annotations that cannot be kept are left out and noted.
    """
    try:
        size = size_of(task)
    except InvalidShape as fault:
        task.refuse("metadata", f"of image '{name}': {fault}")
    found = _annotations(task, name, size, fetch, notices)
    return LabeledImage(name, size, tuple(found), remote_id=task.id("task_id"))


def _annotations(task: Fields, name: str, size: Size, fetch: Fetch, notices: ShapeNotices) -> list[Annotation]:
    response = task.json.get("response")
    if isinstance(response, str):
        response = fetch(response)
    if response is None:
        return []
    told = Fields(NAME, task.operation, response, f"the response of image '{name}'")
    if told.has("category"):
        value = told.json["category"]
        return [Annotation(str(one), WholeImage()) for one in (value if isinstance(value, list) else [value])]
    if isinstance(told.json.get("annotations"), str):
        fetched = fetch(told.json["annotations"])
        listed = fetched if isinstance(fetched, list) else Fields(NAME, task.operation, fetched).list("annotations")
        told = Fields(NAME, task.operation, {"annotations": listed}, told.where)
    if not told.has("annotations"):
        return []
    kept = (
        notices.keep(name, f"{item.where} of task {task.id('task_id')}", size, partial(_annotation, item))
        for item in told.each("annotations")
    )
    return [annotation for annotation in kept if annotation is not None]


def _annotation(item: Fields) -> Annotation:
    """Raises InvalidShape, PlatformRefused."""
    kind = item.text("type")
    if kind not in _SHAPES:
        known = kind if kind in _NO_LABELS else "unknown type"
        raise InvalidShape(f"type is '{kind}', and only {', '.join(_SHAPES)} can be kept", known)
    return Annotation(
        item.text("label") or item.refuse("label", "is empty"), _SHAPES[kind](item), 1.0, _attributes(item)
    )


def _box(item: Fields) -> Shape:
    left, top = item.number("left"), item.number("top")
    width, height = item.number("width"), item.number("height")
    rotation = item.number("rotation") if item.has("rotation") else 0.0
    upright = Box.from_xywh(left, top, width, height)  # one without an area is refused as such, turned or not
    if not rotation:
        return upright
    if item.has("vertices"):
        return _polygon(item)
    # left and top are those of the box before it was turned around its centre, clockwise as y points down.
    x, y, c, s = left + width / 2, top + height / 2, cos(rotation), sin(rotation)
    corners = [(dx * width / 2, dy * height / 2) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return Polygon(tuple((x + dx * c - dy * s, y + dx * s + dy * c) for dx, dy in corners))


def _polygon(item: Fields) -> Polygon:
    return Polygon(tuple(distinct(_vertices(item))))


def _ellipse(item: Fields) -> Polygon:
    """Scale gives the four ends of its axes in their order around it; they may be turned."""
    corners = _vertices(item)
    if len(corners) != 4:
        raise InvalidShape(f"ellipse has {len(corners)} vertices and needs 4")
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    (ax, ay), (bx, by) = ((x0 - x2) / 2, (y0 - y2) / 2), ((x1 - x3) / 2, (y1 - y3) / 2)
    across, down = hypot(ax, ay), hypot(bx, by)
    # Ends of axes are opposite each other around one middle, and at right angles: 1 in 100 is rounding.
    apart = hypot(x0 + x2 - x1 - x3, y0 + y2 - y1 - y3) / 2
    if abs(ax * bx + ay * by) > across * down / 100 or apart > max(1.0, max(across, down) / 100):
        raise InvalidShape("the vertices of the ellipse are not the ends of its axes")
    return ellipse(((x0 + x2) / 2, (y0 + y2) / 2), across, down, degrees(atan2(ay, ax)))


def _vertices(item: Fields) -> list[tuple[float, float]]:
    return [(corner.number("x"), corner.number("y")) for corner in item.each("vertices")]


_SHAPES: dict[str, Callable[[Fields], Shape]] = {"box": _box, "polygon": _polygon, "ellipse": _ellipse}
_NO_LABELS = ("line", "point", "cuboid")
"""Types of annotations that no dataset here has a place for."""


def _attributes(item: Fields) -> dict[str, str]:
    told = item.json.get("attributes")
    if not isinstance(told, Mapping):
        return {}
    return {
        str(name): ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in told.items()
        if value is not None
    }


def _metadata(task: Fields) -> Mapping[str, Any]:
    metadata = task.json.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _bare(url: str) -> str:
    try:
        parts = urlsplit(url)
        shown = f"{parts.hostname or ''}{parts.path}"
    except ValueError:
        shown = ""
    return shown or "an address that it does not tell"
