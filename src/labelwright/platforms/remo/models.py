"""Data classes for Remo's responses, and one parser per shape, for both generations.

Fields that a generation does not have are None or empty. Listed items also keep the whole JSON (`raw`), under Remo's
own names. Descriptive fields are not part of equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import RemoteImage


class Task(StrEnum):
    """Task of an annotation set."""

    DETECTION = "Object detection"
    SEGMENTATION = "Instance segmentation"
    CLASSIFICATION = "Image classification"


TASK_NUMBERS = {Task.DETECTION: 1, Task.SEGMENTATION: 2, Task.CLASSIFICATION: 3}
"""Numbers of the tasks in the deprecated call."""


class ImageStatus(StrEnum):
    """Status of an image in an annotation set."""

    DONE = "done"
    SKIPPED = "skipped"
    NOT_ANNOTATED = "not_annotated"


@dataclass(frozen=True, slots=True)
class RemoNamed:
    """A class or a tag. Renaming changes its id."""

    id: str
    name: str
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoDataset:
    """A dataset. The annotation sets of an archived dataset are not found."""

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
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoClassCount:
    """A class and its number of objects."""

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
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoImage(RemoteImage):
    """An image of a dataset, with Remo's additional fields."""

    created_at: str = field(default="", compare=False)
    """Time of the upload."""
    preview: str = field(default="", compare=False)
    """Address of a thumbnail on the server."""
    url: str = field(default="", compare=False)
    """Address of the image on the server."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoAnnotationSet:
    """An annotation set. Counts are 0 where the server returns no statistics."""

    id: str
    name: str
    task: str
    classes: tuple[RemoNamed, ...] = ()
    total: int = 0
    """Images in its dataset."""
    looked_at: int = 0
    """Images that are done or skipped, at most `total`."""
    skipped: int = 0
    """Images that were skipped; included in `looked_at`."""
    complete: bool = False
    """Whether every image is done or skipped."""
    annotated: int = 0
    objects: int = 0
    says_it_is_completed: bool = False
    """Remo's `is_completed`: as many images touched as there are. Not used, because it is no completion."""
    created_at: str = field(default="", compare=False)
    updated_at: str = field(default="", compare=False)
    last_annotated_date: str = field(default="", compare=False)
    public: bool = field(default=False, compare=False)
    top3_classes: tuple[RemoClassCount, ...] = field(default=(), compare=False)
    total_classes: int | None = field(default=None, compare=False)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RemoUpload:
    """Result of an upload. A failed one may have added images: list the images to find out."""

    session: str | None
    """None where the response to an upload means that it is done."""
    state: str
    """One of: not complete, pending, in progress, done, failed."""
    added: int
    left_out: tuple[tuple[str, str], ...] = ()
    """Name and reason of each file that was left out, except duplicates."""
    message: str = ""
    """Errors that name no file."""
    dataset: str = ""
    created_at: str = ""

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed")

    @property
    def running(self) -> bool:
        return self.state in ("pending", "in progress")


def class_from(fields: Fields) -> RemoNamed:
    return RemoNamed(fields.id("id"), fields.text("name"), fields.json)


def dataset_from(fields: Fields) -> RemoDataset:
    flags = fields.json
    quantity = fields.whole("quantity") if fields.has("quantity") else 0
    archived, public = flags.get("is_archived") is True, flags.get("is_public") is True
    ours = flags.get("is_readonly") is not True
    return RemoDataset(
        fields.id("id"),
        fields.text("name"),
        archived,
        public,
        ours,
        quantity,
        owner=_text_of(fields, "owner"),
        created_at=_text_of(fields, "created_at"),
        updated_at=_text_of(fields, "updated_at"),
        size_in_bytes=_number_of(fields, "size_in_bytes"),
        image_thumbnails=_texts(fields, "image_thumbnails"),
        top3_classes=_class_counts(fields),
        total_classes=_number_of(fields, "total_classes"),
        total_annotation_objects=_number_of(fields, "total_annotation_objects"),
        raw=fields.json,
    )


def folder_from(fields: Fields) -> RemoFolder:
    return RemoFolder(
        fields.id("id"),
        fields.text("name"),
        fields.whole("total_images") if fields.has("total_images") else 0,
        created_at=_text_of(fields, "created_at"),
        updated_at=_text_of(fields, "updated_at"),
        preview=_text_of(fields, "preview"),
        top3_classes=_class_counts(fields),
        total_classes=_number_of(fields, "total_classes"),
        raw=fields.json,
    )


def _text_of(fields: Fields, *names: str) -> str:
    """Returns the first of these fields that is a text. Missing descriptive fields are no error."""
    return next((value for name in names if isinstance(value := fields.json.get(name), str)), "")


def _number_of(fields: Fields, name: str) -> int | None:
    value = fields.json.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    value = fields.json.get(name)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _class_counts(fields: Fields) -> tuple[RemoClassCount, ...]:
    """Returns the most frequent classes. Some lists give names without counts."""
    value = fields.json.get("top3_classes")
    counts = []
    for entry in value if isinstance(value, list) else []:
        name, count = (entry.get("name"), entry.get("count")) if isinstance(entry, dict) else (entry, 0)
        if isinstance(name, str):
            counts.append(RemoClassCount(name, count if isinstance(count, int) else 0))
    return tuple(counts)


def annotation_set_from(fields: Fields) -> RemoAnnotationSet:
    """Reads an annotation set from any of four shapes: created, created by the deprecated call, read, or listed."""
    task = fields.json.get("task")
    if isinstance(task, dict):
        task = fields.inner("task").text("name")
    elif not isinstance(task, str):  # the deprecated call returns its number
        task = next((name.value for name, number in TASK_NUMBERS.items() if number == task), "")
    classes = tuple(class_from(entry) for entry in fields.each("classes")) if fields.has("classes") else ()
    identity, name = fields.id("id"), fields.text("name")
    described: dict[str, Any] = {
        "created_at": _text_of(fields, "created_at"),
        "updated_at": _text_of(fields, "updated_at"),
        "last_annotated_date": _text_of(fields, "last_annotated_date"),
        "public": fields.json.get("is_public") is True,
        "raw": fields.json,
    }
    if not fields.has("statistics"):
        return RemoAnnotationSet(identity, name, task, classes, **described)
    statistics, total = fields.inner("statistics"), fields.whole("total_images")
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
        fields.json.get("is_completed") is True,
        top3_classes=_class_counts(statistics),
        total_classes=_number_of(statistics, "total_classes"),
        **described,
    )


def _progress(statistics: Fields, total: int) -> tuple[int, bool]:
    """Returns the number of done and skipped images, and whether all images are.

    0.6 counts done, skipped and open images. All three are zero before the first annotation, so done and skipped must
    add up to the total (or more, because deleted images stay counted). 0.3 counts done images as annotated, apart from
    skipped ones. The user's document only has `annotated_images_count`, which misses images without objects.
    """
    annotated, skipped = _count(statistics, "annotated_images_count"), _count(statistics, "skipped_count")
    if statistics.has("done_count"):
        looked_at = _count(statistics, "done_count") + skipped
        return looked_at, looked_at >= total > 0 and _count(statistics, "todo_count") == 0
    return annotated + skipped, annotated + skipped >= total > 0


def _count(statistics: Fields, name: str) -> int:
    return statistics.whole(name) if statistics.has(name) else 0


def image_from(fields: Fields) -> RemoImage:
    """Reads an image of any list, with `width` and `height` or with `dimensions`. Its name is the one Remo shows."""
    if fields.has("dimensions"):
        width, height = (int(fields.as_number("dimensions", value)) for value in fields.list("dimensions")[:2])
    else:
        width, height = fields.whole("width"), fields.whole("height")
    size = next((fields.whole(name) for name in ("size", "size_in_bytes") if fields.has(name)), None)
    return RemoImage(
        fields.id("id"),
        fields.text("name"),
        width,
        height,
        size,
        created_at=_text_of(fields, "created_at", "upload_date"),
        preview=_text_of(fields, "preview", "thumbnail"),
        url=_text_of(fields, "url", "view", "image"),
        raw=fields.json,
    )


def content_from(record: Fields) -> RemoFolder | RemoImage:
    """Reads a folder or an image of a dataset's contents."""
    if record.text("record_type") == "folder":
        return folder_from(record.inner("folder"))
    return image_from(record.inner("image"))


def upload_from(fields: Fields) -> RemoUpload:
    """Reads an upload from the response to a request of either generation, or from a session's status."""
    if not fields.has("session_id"):
        return _finished_upload(fields)
    if not fields.has("status"):
        return RemoUpload(fields.id("session_id"), "not complete", 0)
    images, dataset = _part(fields, "images"), _part(fields, "dataset")
    errors, message = _session_errors(fields)
    rejected = [*_file_errors(images), *_file_errors(_part(fields, "annotations")), *errors]
    return RemoUpload(
        fields.id("session_id"),
        fields.text("status"),
        images.whole("successful") if images and images.has("successful") else 0,
        tuple((name, reason) for name, reason in rejected if not _is_duplicate(reason)),
        message,
        dataset.id("id") if dataset and dataset.has("id") else "",
        fields.text("created_at") if fields.has("created_at") else "",
    )


def _part(fields: Fields, name: str) -> Fields | None:
    return fields.inner(name) if fields.has(name) else None


def _file_errors(part: Fields | None) -> list[tuple[str, str]]:
    """Returns file name and reason of each error in the images or annotations of a session."""
    if part is None or not part.has("errors"):
        return []
    return [(error.text("filename"), str(reason)) for error in part.each("errors") for reason in error.list("errors")]


def _session_errors(fields: Fields) -> tuple[list[tuple[str, str]], str]:
    """Returns a session's errors: name and reason of those that name a file or URL, and the others as one text."""
    named, unnamed = [], []
    for error in fields.each("errors") if fields.has("errors") else ():
        name, reason = error.json.get("value", error.json.get("url")), str(error.json.get("error", ""))
        if isinstance(name, str):
            named.append((name, reason))
        else:
            unnamed.append(reason)
    return named, "; ".join(unnamed)


def _finished_upload(fields: Fields) -> RemoUpload:
    """Reads 0.3's `{"files uploaded": 2, "annotations": 0, "errors": [...]}`. File names are within the errors."""
    errors = [str(error) for error in fields.list("errors")] if fields.has("errors") else []
    left_out = [("", error) for error in errors if not _is_duplicate(error)]
    return RemoUpload(None, "done", fields.whole("files uploaded"), tuple(left_out))


def _is_duplicate(reason: str) -> bool:
    return "duplicated image" in reason.lower()
