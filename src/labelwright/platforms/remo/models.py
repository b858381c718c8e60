"""The JSON of Remo and what it becomes: one function a shape. Both generations; what is absent in one is None.

What is listed keeps the whole answer too (`answer`), under Remo's own names; fields that are there in one generation
and absent in the other are empty. None of that makes two things different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import RemoteImage


class Task(StrEnum):
    """What is annotated in an annotation set."""

    DETECTION = "Object detection"
    SEGMENTATION = "Instance segmentation"
    CLASSIFICATION = "Image classification"


TASK_NUMBERS = {Task.DETECTION: 1, Task.SEGMENTATION: 2, Task.CLASSIFICATION: 3}
"""As the deprecated call wants them."""


class ImageStatus(StrEnum):
    """Where one image of an annotation set stands."""

    DONE = "done"
    SKIPPED = "skipped"
    NOT_ANNOTATED = "not_annotated"


@dataclass(frozen=True, slots=True)
class RemoNamed:
    """A class or a tag. Its id changes when it is renamed: it is another one then."""

    id: str
    name: str
    answer: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoDataset:
    """A dataset; an archived one shows no annotation sets."""

    id: str
    name: str
    archived: bool = False
    public: bool = False
    ours: bool = True
    """Whether we may write to it."""
    images: int = 0
    owner: str = field(default="", compare=False)
    created_at: str = field(default="", compare=False)
    updated_at: str = field(default="", compare=False)
    size_in_bytes: int | None = field(default=None, compare=False)
    image_thumbnails: tuple[str, ...] = field(default=(), compare=False)
    """Addresses on the server."""
    top3_classes: tuple[RemoClassCount, ...] = field(default=(), compare=False)
    total_classes: int | None = field(default=None, compare=False)
    total_annotation_objects: int | None = field(default=None, compare=False)
    answer: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoClassCount:
    """How many objects bear a class."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class RemoFolder:
    """A folder of a dataset."""

    id: str
    name: str
    images: int = 0
    created_at: str = field(default="", compare=False)
    updated_at: str = field(default="", compare=False)
    preview: str = field(default="", compare=False)
    top3_classes: tuple[RemoClassCount, ...] = field(default=(), compare=False)
    total_classes: int | None = field(default=None, compare=False)
    answer: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoImage(RemoteImage):
    """An image of a dataset, with what Remo tells of it besides."""

    created_at: str = field(default="", compare=False)
    """When it was uploaded."""
    preview: str = field(default="", compare=False)
    """Address of a small picture of it on the server."""
    url: str = field(default="", compare=False)
    """Address of the image on the server."""
    answer: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoAnnotationSet:
    """An annotation set. Told without statistics where the server tells none."""

    id: str
    name: str
    task: str
    classes: tuple[RemoNamed, ...] = ()
    total: int = 0
    """Images in its dataset."""
    looked_at: int = 0
    """Images that are done or skipped, at most `total`."""
    skipped: int = 0
    """Of these: those that were skipped."""
    complete: bool = False
    """Whether every image is done or skipped."""
    annotated: int = 0
    objects: int = 0
    says_it_is_completed: bool = False
    """Remo's `is_completed`: as many images touched as there are. It is no completion and decides nothing."""
    created_at: str = field(default="", compare=False)
    updated_at: str = field(default="", compare=False)
    last_annotated_date: str = field(default="", compare=False)
    public: bool = field(default=False, compare=False)
    top3_classes: tuple[RemoClassCount, ...] = field(default=(), compare=False)
    total_classes: int | None = field(default=None, compare=False)
    answer: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoUpload:
    """What became of an upload. `failed` does not mean that nothing came in: list the images to know."""

    session: str | None
    """None where uploads are done when they are answered."""
    state: str
    """not complete, pending, in progress, done or failed."""
    added: int
    left_out: tuple[tuple[str, str], ...] = ()
    """Name and reason of each file that was left out for another reason than that it is there already."""
    message: str = ""
    """What went wrong besides."""
    dataset: str = ""
    created_at: str = ""

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed")

    @property
    def running(self) -> bool:
        return self.state in ("pending", "in progress")


def named_from(answer: Fields) -> RemoNamed:
    return RemoNamed(answer.id("id"), answer.text("name"), answer.json)


def dataset_from(answer: Fields) -> RemoDataset:
    flags = answer.json
    quantity = answer.whole("quantity") if answer.has("quantity") else 0
    archived, public = flags.get("is_archived") is True, flags.get("is_public") is True
    ours = flags.get("is_readonly") is not True
    return RemoDataset(
        answer.id("id"),
        answer.text("name"),
        archived,
        public,
        ours,
        quantity,
        owner=_said(answer, "owner"),
        created_at=_said(answer, "created_at"),
        updated_at=_said(answer, "updated_at"),
        size_in_bytes=_number_of(answer, "size_in_bytes"),
        image_thumbnails=_texts(answer, "image_thumbnails"),
        top3_classes=_class_counts(answer),
        total_classes=_number_of(answer, "total_classes"),
        total_annotation_objects=_number_of(answer, "total_annotation_objects"),
        answer=answer.json,
    )


def folder_from(answer: Fields) -> RemoFolder:
    return RemoFolder(
        answer.id("id"),
        answer.text("name"),
        answer.whole("total_images") if answer.has("total_images") else 0,
        created_at=_said(answer, "created_at"),
        updated_at=_said(answer, "updated_at"),
        preview=_said(answer, "preview"),
        top3_classes=_class_counts(answer),
        total_classes=_number_of(answer, "total_classes"),
        answer=answer.json,
    )


def _said(answer: Fields, *names: str) -> str:
    """The first of these fields that is a text. What only describes is never a reason to refuse an answer."""
    return next((value for name in names if isinstance(value := answer.json.get(name), str)), "")


def _number_of(answer: Fields, name: str) -> int | None:
    value = answer.json.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _texts(answer: Fields, name: str) -> tuple[str, ...]:
    value = answer.json.get(name)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _class_counts(answer: Fields) -> tuple[RemoClassCount, ...]:
    """The most frequent classes; some lists give names alone, without a count."""
    value = answer.json.get("top3_classes")
    found = []
    for one in value if isinstance(value, list) else []:
        name, count = (one.get("name"), one.get("count")) if isinstance(one, dict) else (one, 0)
        if isinstance(name, str):
            found.append(RemoClassCount(name, count if isinstance(count, int) else 0))
    return tuple(found)


def annotation_set_from(answer: Fields) -> RemoAnnotationSet:
    """From any of the four shapes in which sets are told: created (the old way too), read, or listed."""
    task = answer.json.get("task")
    if isinstance(task, dict):
        task = answer.inner("task").text("name")
    elif not isinstance(task, str):  # the deprecated call answers its number
        task = next((name.value for name, number in TASK_NUMBERS.items() if number == task), "")
    classes = tuple(named_from(one) for one in answer.each("classes")) if answer.has("classes") else ()
    identity, name = answer.id("id"), answer.text("name")
    described: dict[str, Any] = {
        "created_at": _said(answer, "created_at"),
        "updated_at": _said(answer, "updated_at"),
        "last_annotated_date": _said(answer, "last_annotated_date"),
        "public": answer.json.get("is_public") is True,
        "answer": answer.json,
    }
    if not answer.has("statistics"):
        return RemoAnnotationSet(identity, name, task, classes, **described)
    statistics, total = answer.inner("statistics"), answer.whole("total_images")
    annotated = _count(statistics, "annotated_images_count")
    looked_at, complete = _progress(statistics, total)
    return RemoAnnotationSet(
        identity,
        name,
        task,
        classes,
        total,
        min(looked_at, total),
        min(_count(statistics, "skipped_count"), looked_at, total),
        complete,
        annotated,
        _count(statistics, "total_annotation_objects"),
        answer.json.get("is_completed") is True,
        top3_classes=_class_counts(statistics),
        total_classes=_number_of(statistics, "total_classes"),
        **described,
    )


def _progress(statistics: Fields, total: int) -> tuple[int, bool]:
    """Images looked at, and whether all are.

    0.6 counts done, skipped and open images, all three zero before the first annotation: so the first two have to make
    up the whole (or more, when images were deleted that were counted before). 0.3 counts as annotated what is done,
    beside what is skipped. The user's document knows `annotated_images_count` alone, which misses images without
    objects.
    """
    annotated, skipped = _count(statistics, "annotated_images_count"), _count(statistics, "skipped_count")
    if statistics.has("done_count"):
        looked_at = _count(statistics, "done_count") + skipped
        return looked_at, looked_at >= total > 0 and _count(statistics, "todo_count") == 0
    return annotated + skipped, annotated + skipped >= total > 0


def _count(statistics: Fields, name: str) -> int:
    return statistics.whole(name) if statistics.has(name) else 0


def image_from(answer: Fields) -> RemoImage:
    """An image of any list: with `width` and `height`, or with `dimensions`. Its name as Remo shows it."""
    if answer.has("dimensions"):
        width, height = (int(answer.as_number("dimensions", value)) for value in answer.list("dimensions")[:2])
    else:
        width, height = answer.whole("width"), answer.whole("height")
    size = next((answer.whole(name) for name in ("size", "size_in_bytes") if answer.has(name)), None)
    return RemoImage(
        answer.id("id"),
        answer.text("name"),
        width,
        height,
        size,
        created_at=_said(answer, "created_at", "upload_date"),
        preview=_said(answer, "preview", "thumbnail"),
        url=_said(answer, "url", "view", "image"),
        answer=answer.json,
    )


def content_from(record: Fields) -> RemoFolder | RemoImage:
    """A folder or an image of a dataset's contents."""
    if record.text("record_type") == "folder":
        return folder_from(record.inner("folder"))
    return image_from(record.inner("image"))


def upload_from(answer: Fields) -> RemoUpload:
    """From the answer to an upload of either generation, or from a session's status."""
    if answer.has("session_id") and not answer.has("status"):
        return RemoUpload(answer.id("session_id"), "not complete", 0)
    if not answer.has("session_id"):
        return _upload_done(answer)
    images = answer.inner("images") if answer.has("images") else None
    added = images.whole("successful") if images and images.has("successful") else 0
    left_out, message = [], []
    for place in (images, answer.inner("annotations") if answer.has("annotations") else None):
        for one in place.each("errors") if place and place.has("errors") else ():
            left_out += [(one.text("filename"), reason) for reason in map(str, one.list("errors"))]
    for one in answer.each("errors") if answer.has("errors") else ():
        name = one.json.get("value", one.json.get("url"))
        reason = str(one.json.get("error", ""))
        if isinstance(name, str):
            left_out.append((name, reason))
        else:
            message.append(reason)
    dataset = answer.inner("dataset") if answer.has("dataset") else None
    return RemoUpload(
        answer.id("session_id"),
        answer.text("status"),
        added,
        tuple(one for one in left_out if not _is_there_already(one[1])),
        "; ".join(message),
        dataset.id("id") if dataset and dataset.has("id") else "",
        answer.text("created_at") if answer.has("created_at") else "",
    )


def _upload_done(answer: Fields) -> RemoUpload:
    """0.3: `{"files uploaded": 2, "annotations": 0, "errors": [...]}`, its errors sentences with names in them."""
    errors = [str(error) for error in answer.list("errors")] if answer.has("errors") else []
    left_out = [("", error) for error in errors if not _is_there_already(error)]
    return RemoUpload(None, "done", answer.whole("files uploaded"), tuple(left_out))


def _is_there_already(reason: str) -> bool:
    return "duplicated image" in reason.lower()
