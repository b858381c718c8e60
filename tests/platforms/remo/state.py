"""What a Remo server holds, and by which rules that changes. Both generations; nothing here speaks HTTP."""

from __future__ import annotations

import hashlib
import html
import io
import itertools
import re
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

TASKS = {1: "Object detection", 2: "Instance segmentation", 3: "Image classification"}
TOOLS = {1: ["rectangle"], 2: ["polygon"], 3: []}
STATUS = {"not_annotated": -1, "skipped": 0, "done": 1}
STATUS_NAMES = {number: name for name, number in STATUS.items()}
ENDINGS = {"image": {".jpeg", ".png", ".jpg", ".tiff", ".tif"}, "annotation": {".json", ".xml", ".csv"}}
HIGH_RESOLUTION = 3840 * 2160 * 1.3


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def class_name(name: str) -> str:
    return name.lower().strip().capitalize()


def task_number(label_object: object) -> int | None:
    """Forgiving of case, dashes and underscores."""
    plain = re.sub(r"[-_]", " ", str(label_object)).strip().lower()
    return next((number for number, name in TASKS.items() if name.lower() == plain), None)


@dataclass
class Picture:
    """An image in a dataset."""

    id: int
    name: str
    digest: str
    width: int
    height: int
    size: int
    number: int
    local: str | None = None
    folder: int | None = None
    created_at: str = field(default_factory=now)
    data: bytes = field(default=b"", repr=False)

    def url(self, kind: str) -> str:
        linked = self.local and kind in ("images", "views")
        return f"/local-files{self.local}" if linked else f"/media/dataset_{kind}/{self.digest}"

    @property
    def high_resolution(self) -> bool:
        return self.width * self.height > HIGH_RESOLUTION


@dataclass
class Note:
    """What is said of an image in an annotation set."""

    id: int
    image: int
    status: int = -1
    objects: list[dict[str, Any]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Set:
    """An annotation set."""

    id: int
    name: str
    task: int
    dataset: int
    classes: list[int] = field(default_factory=list)
    notes: dict[int, Note] = field(default_factory=dict)
    counted: dict[str, Any] | None = None
    """The row of statistics as it was written last; None: there is none."""
    updated_at: str = field(default_factory=now)
    last_annotated: str | None = None


@dataclass
class Folder:
    id: int
    name: str
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Dataset:
    id: int
    name: str
    archived: bool = False
    public: bool = False
    folders: dict[int, Folder] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)
    top_classes: list[dict[str, Any]] = field(default_factory=list)
    """As they were when files came in last (0.3)."""
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Tally:
    """Of an upload: how many files of a kind, and what was wrong with them."""

    total: int = 0
    successful: int = 0
    failed: int = 0
    errors: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        return {
            "pending": 0,
            "total": self.total,
            "successful": self.successful,
            "failed": self.failed,
            "errors": [{"filename": name, "errors": label_object} for name, label_object in self.errors.items()],
            "warnings": [{"filename": name, "warnings": label_object} for name, label_object in self.warnings.items()],
        }


@dataclass
class Upload:
    """A session of 0.6, or the one request of 0.3."""

    id: str
    dataset: int
    status: str = "not complete"
    created_at: str = field(default_factory=now)
    finished_at: str | None = None
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By name: its kind and its bytes."""
    local_files: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    task: int | None = None
    annotation_set: int | None = None
    folder: int | None = None
    images: Tally = field(default_factory=Tally)
    annotations: Tally = field(default_factory=Tally)
    errors: list[dict[str, str]] = field(default_factory=list)
    uploaded: dict[str, list[int]] = field(default_factory=lambda: {"images": [], "annotations": [], "archives": []})
    looks: int = 0
    """How often was asked since it was completed."""


class World:
    """`modern`: 0.6.1, else 0.3.29. `local` are files that lie on the server, `web` what it can fetch.

    A session is worked off when it was looked at `looks_until_done` times.
    """

    def __init__(self, modern: bool) -> None:
        self.modern = modern
        self.local: dict[str, bytes] = {}
        self.web: dict[str, bytes] = {}
        self.looks_until_done = 2
        self.datasets: dict[int, Dataset] = {}
        self.sets: dict[int, Set] = {}
        self.classes: dict[int, str] = {}
        self.tags: dict[int, str] = {}
        self.uploads: dict[str, Upload] = {}
        self.trackers: dict[int, set[int]] = {}
        self._numbers: dict[str, Iterator[int]] = {}

    def next(self, kind: str) -> int:
        return next(self._numbers.setdefault(kind, itertools.count(1)))

    # Datasets

    def new_dataset(self, name: str, public: bool = False) -> Dataset:
        taken = {entry.name for entry in self.datasets.values()}
        if self.modern and name in taken:
            last = [re.fullmatch(re.escape(name) + r" \((\d+)\)", other) for other in taken]
            name = f"{name} ({max((int(match[1]) for match in last if match), default=0) + 1})"
        created = Dataset(self.next("dataset"), name, public=public)
        self.datasets[created.id] = created
        return created

    def delete_dataset(self, dataset: int) -> None:
        del self.datasets[dataset]
        for entry in [entry.id for entry in self.sets.values() if entry.dataset == dataset]:
            del self.sets[entry]

    def sets_of(self, dataset: int) -> list[Set]:
        return [entry for entry in self.sets.values() if entry.dataset == dataset]

    # Annotation sets, classes, tags

    def class_id(self, name: str) -> int:
        """Exactly of that name, made when it is not there."""
        match = next((number for number, entry in self.classes.items() if entry == name), None)
        if match is None:
            match = self.next("class")
            self.classes[match] = name
        return match

    def tag_id(self, name: str) -> int:
        match = next((number for number, entry in self.tags.items() if entry == name), None)
        if match is None:
            match = self.next("tag")
            self.tags[match] = name
        return match

    def new_set(self, dataset: int, name: str, task: int, classes: list[int], *, counted: bool = True) -> Set:
        created = Set(self.next("set"), name, task, dataset, list(dict.fromkeys(classes)))
        self.sets[created.id] = created
        if counted:
            self.count(created)
        return created

    def note(self, annotation_set: Set, image: int) -> Note:
        if image not in annotation_set.notes:
            annotation_set.notes[image] = Note(self.next("note"), image)
        annotation_set.last_annotated = annotation_set.notes[image].updated_at = now()
        return annotation_set.notes[image]

    def count(self, annotation_set: Set) -> None:
        """Write the row of statistics anew, as the server does after some changes and not after others."""
        notes, total = list(annotation_set.notes.values()), len(self.datasets[annotation_set.dataset].pictures)
        names: dict[str, int] = {}
        for note in notes:
            ids = (
                note.classes
                if annotation_set.task == 3
                else [number for label_object in note.objects for number in label_object["classes"]]
            )
            for number in ids:
                names[self.classes[number]] = names.get(self.classes[number], 0) + 1
        listed = sorted(({"name": name, "count": count} for name, count in names.items()), key=lambda x: -x["count"])
        done, skipped = (sum(note.status == number for note in notes) for number in (1, 0))
        touched = sum(bool(note.objects or note.classes or note.tags) for note in notes)
        annotation_set.counted = {
            "annotated_images_count": touched if self.modern else done,
            "skipped_count": skipped,
            "top3_classes": listed[:3],
            "all_classes": listed,
            "total_classes": len(annotation_set.classes),
            "total_annotation_objects": 0 if annotation_set.task == 3 else sum(len(note.objects) for note in notes),
        }
        if self.modern:
            more = {"done_count": done, "todo_count": total - done - skipped}
            annotation_set.counted |= {**more, "images_without_annotations": total - touched}

    def replace_class(self, annotation_set: Set, old: int, new: int | None) -> None:
        def without(classes: list[int]) -> list[int]:
            return [new or number if number == old else number for number in classes if new or number != old]

        annotation_set.classes = [number for number in annotation_set.classes if number != old]
        if new is not None and new not in annotation_set.classes:
            annotation_set.classes.append(new)
        for note in annotation_set.notes.values():
            note.classes = without(note.classes)
            for label_object in note.objects:
                label_object["classes"] = without(label_object["classes"])
            note.objects = [label_object for label_object in note.objects if label_object["classes"]]
        self.count(annotation_set)

    # Files

    def kind_of(self, name: str, data: bytes) -> str | None:
        """image, annotation or archive; None for what is not taken. 0.3 looks at the bytes alone."""
        ending = PurePosixPath(name).suffix.lower()
        picture = data[:3] == b"\xff\xd8\xff" or data[:8] == b"\x89PNG\r\n\x1a\n" or data[:4] in (b"II*\0", b"MM\0*")
        if picture and (ending in ENDINGS["image"] or not self.modern):
            return "image"
        if not picture and ending in ENDINGS["annotation"]:
            return "annotation"
        return "archive" if data[:4] == b"PK\3\4" and ending == ".zip" else None

    def store(self, upload: Upload, name: str, data: bytes) -> None:
        """A file of a form, under the name that is left of it. Two of one name are one."""
        name = re.split(r"[/\\]", html.unescape(name))[-1].strip()
        kind = self.kind_of(name, data)
        if kind is None:
            self.leave_out(upload, name, "File content type not supported")
            return
        upload.uploaded[f"{kind}s"].append(len(data))
        upload.files[name] = (kind, data)

    def leave_out(self, upload: Upload, name: str, reason: str) -> None:
        if PurePosixPath(name).suffix.lower() in ENDINGS["image"]:
            upload.images.failed += 1
            upload.images.total += 1
            upload.images.errors.setdefault(name, []).append(reason)
        else:
            upload.errors.append({"type": "file", "error": reason, "value": name})

    def settle(self) -> None:
        """Some minutes go by: what was completed is worked off."""
        for upload in self.uploads.values():
            if upload.status in ("pending", "in progress"):
                self.work_off(upload)

    def work_off(self, upload: Upload) -> None:
        """Take everything of an upload into its dataset."""
        dataset = self.datasets[upload.dataset]
        for path in upload.local_files:
            for place, data in self.local.items():
                if place == path or place.startswith(path.rstrip("/") + "/"):
                    self._take(dataset, upload, PurePosixPath(place).name, data, place)
        for url in upload.urls:
            self._fetch(dataset, upload, url)
        for name, (_, data) in upload.files.items():
            self._take(dataset, upload, name, data)
        if not self.modern:
            self._count_classes(dataset)
        wrong = upload.images.errors or upload.annotations.errors or upload.errors
        upload.status, upload.finished_at = "failed" if wrong else "done", now()
        if upload.task and self.modern and not upload.annotation_set:
            name = TASKS[upload.task]
            if not any(entry.name == name for entry in self.sets_of(dataset.id)):
                self.new_set(dataset.id, name, upload.task, [], counted=False)

    def _count_classes(self, dataset: Dataset) -> None:
        notes = [note for s in self.sets_of(dataset.id) for note in s.notes.values()]
        label_object = [number for note in notes for o in note.objects for number in o["classes"]]
        dataset.top_classes = [
            {"name": self.classes[c], "count": label_object.count(c)} for c in dict.fromkeys(label_object)
        ]

    def _fetch(self, dataset: Dataset, upload: Upload, url: str) -> None:
        data = self.web.get(url)
        if data is None:
            upload.errors.append({"url": url, "error": "invalid URL"})
        elif data[:4] == b"PK\3\4":
            self._take(dataset, upload, PurePosixPath(url).name, data)
        elif self.modern:  # stored under a random name without an ending, which is then no image
            upload.images.total += 1
            upload.images.failed += 1
            upload.images.errors[str(uuid.uuid4())] = ["File format not supported"]
        else:
            self._take(dataset, upload, str(uuid.uuid4()), data)

    def _take(self, dataset: Dataset, upload: Upload, name: str, data: bytes, local: str | None = None) -> None:
        kind = self.kind_of(name, data)
        if kind == "archive":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for inner in archive.namelist():
                    self._take(dataset, upload, PurePosixPath(inner).name, archive.read(inner))
        elif kind == "annotation":
            upload.annotations.total += 1
            upload.annotations.successful += 1
        elif kind == "image":
            self._take_picture(dataset, upload, name, data, local)

    def _take_picture(self, dataset: Dataset, upload: Upload, name: str, data: bytes, local: str | None) -> None:
        upload.images.total += 1
        if any(entry.name == name for entry in dataset.pictures.values()):
            upload.images.successful += 1  # sic: the session is `failed` and counts it as successful
            upload.images.errors[name] = ["not added (Duplicated image)"]
            return
        try:
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                width, height = picture.size
        except (OSError, SyntaxError):
            upload.images.failed += 1
            upload.images.errors[name] = ["Failed to upload image, error: 'NoneType' object has no attribute 'width'"]
            return
        digest = hashlib.md5(data).hexdigest()
        same = next((entry.name for entry in dataset.pictures.values() if entry.digest == digest), None)
        if same:
            message = f"image correctly added, but we found a duplicate within the dataset: {same}"
            upload.images.warnings[name] = [message]
        upload.images.successful += 1
        number = max((entry.number for entry in dataset.pictures.values()), default=0) + 1
        created = Picture(self.next("picture"), name, digest, width, height, len(data), number, local, upload.folder)
        created.data = data
        dataset.pictures[created.id] = created
        dataset.updated_at = now()
