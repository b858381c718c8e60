"""Writes and reads a backup in a folder.

project.json            the project: kind, tasks, labels with hierarchy and colours, datasets, configuration, source
media/00001.jsonl       a page of media, one per line: name, file, hash, size, annotations
images/<dataset>/       images as the server returned them: <name>_<id>.<suffix of their real format>
videos/<dataset>/
complete.json           counts; written last
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from labelwright.platforms.geti.models import CoordinateUnit, GetiLabel, shape_from
from labelwright.platforms.geti.session import NAME
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.messages import Sink

from .archive import (
    READ,
    ArchivedAnnotation,
    ArchivedLabel,
    ArchivedMedium,
    ArchivedProject,
    ArchivedScene,
    ArchivedTask,
    BackupRefused,
)

FORMAT = 1
PROJECT, MEDIA, COMPLETE = "project.json", "media", "complete.json"


# Writing


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def write_project(folder: Path, project: ArchivedProject) -> None:
    tasks = [
        {
            "type": task.type,
            "title": task.title,
            "extra": dict(task.extra),
            "labels": [
                {
                    "name": label.name,
                    "color": label.color,
                    "group": label.group,
                    "hotkey": label.hotkey,
                    "is_empty": label.is_empty,
                    "parent": label.parent_id,
                    "is_anomalous": label.is_anomalous,
                }
                for label in task.labels
            ],
        }
        for task in project.tasks
    ]
    content = {
        "format": FORMAT,
        "name": project.name,
        "kind": project.kind,
        "unit": project.unit.value,
        "tasks": tasks,
        "datasets": list(project.datasets),
        "auto_train": project.auto_train,
        "iterations": dict(project.iterations),
        "parameters": dict(project.parameters),
        "source": dict(project.source),
        "not_read": dict(project.not_read),
    }
    write_json(folder / PROJECT, content)


def write_page(folder: Path, name: str, media: Sequence[ArchivedMedium]) -> None:
    path = folder / MEDIA / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        for medium in media:
            file.write(line_of(medium))
    part.replace(path)


def line_of(medium: ArchivedMedium) -> str:
    return json.dumps(_medium_json(medium), ensure_ascii=False) + "\n"


def read_lines(path: Path) -> Iterator[ArchivedMedium]:
    """Media of a page whose last line may be incomplete."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                return
            yield _medium_from(Fields(NAME, READ, record, path.name))


def _medium_json(medium: ArchivedMedium) -> dict[str, Any]:
    scenes = [
        {
            "frame": scene.frame,
            "annotations": [
                {
                    "shape": annotation.shape.json(),
                    "labels": [
                        {
                            "task": label.task,
                            "name": label.name,
                            "empty": label.empty,
                            "anomalous": label.anomalous,
                            "probability": probability,
                        }
                        for label, probability in annotation.labels
                    ],
                }
                for annotation in scene.annotations
            ],
        }
        for scene in medium.scenes
    ]
    return {
        "id": medium.id,
        "type": medium.type,
        "name": medium.name,
        "dataset": medium.dataset,
        "file": medium.file,
        "sha256": medium.sha256,
        "bytes": medium.bytes,
        "width": medium.width,
        "height": medium.height,
        "scenes": scenes,
        **({"not_read": medium.not_read} if medium.not_read else {}),
    }


class HashingFile:
    """A file that is hashed while it is written."""

    def __init__(self, file: Sink) -> None:
        self._file: Any = file
        self._hash, self.bytes = sha256(), 0
        self.head = b""
        """The first 16 bytes, which identify the format."""

    def write(self, part: bytes) -> int:
        self._hash.update(part)
        self.bytes += len(part)
        if len(self.head) < 16:
            self.head += part[: 16 - len(self.head)]
        return int(self._file.write(part))

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def content(self) -> bytes:
        """All that was written; needs a file that can be read."""
        self._file.seek(0)
        return bytes(self._file.read())


def hash_of(path: Path) -> tuple[str, int]:
    """SHA-256 and length of a file."""
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
        return digest.hexdigest(), file.tell()


# Reading


class NativeBackup:
    """A folder in the layout above. Raises BackupRefused when it is none or, if required, not complete."""

    def __init__(self, folder: Path, *, require_complete: bool = True) -> None:
        self.folder = folder
        if not (folder / PROJECT).is_file():
            raise BackupRefused(folder, f"there is no {PROJECT}")
        if require_complete and not (folder / COMPLETE).is_file():
            raise BackupRefused(folder, "the backup was interrupted", "Run the backup into this folder again.")

    def project(self) -> ArchivedProject:
        try:
            fields = Fields(NAME, READ, json.loads((self.folder / PROJECT).read_text(encoding="utf-8")))
        except ValueError:
            raise BackupRefused(self.folder, f"{PROJECT} is not valid JSON") from None
        if fields.json.get("format") != FORMAT:
            raise BackupRefused(self.folder, f"{PROJECT} is of format {fields.json.get('format')}, not {FORMAT}")
        return ArchivedProject(
            fields.text("name"),
            tuple(_task_from(task) for task in fields.each("tasks")),
            tuple(str(name) for name in fields.list("datasets")),
            CoordinateUnit(fields.text("unit")),
            fields.json.get("auto_train"),
            fields.inner("iterations").json,
            fields.inner("parameters").json,
            fields.inner("source").json,
            fields.inner("not_read").json if fields.has("not_read") else {},
        )

    def pages(self) -> Sequence[str]:
        return sorted(path.stem for path in (self.folder / MEDIA).glob("*.jsonl"))

    def page(self, name: str) -> list[ArchivedMedium]:
        # Not splitlines: it also splits at characters such as U+2028, which JSON strings may contain.
        lines = (self.folder / MEDIA / f"{name}.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        try:
            return [
                _medium_from(Fields(NAME, READ, json.loads(line), f"{name}[{number}]"))
                for number, line in enumerate(lines)
                if line
            ]
        except ValueError:
            raise BackupRefused(self.folder, f"{MEDIA}/{name}.jsonl is not valid JSON") from None

    def media(self) -> Iterator[ArchivedMedium]:
        for page in self.pages():
            yield from self.page(page)


def _task_from(task: Fields) -> ArchivedTask:
    labels = tuple(
        GetiLabel(
            "",
            label.text("name"),
            label.text("color"),
            label.text("group"),
            label.text("hotkey"),
            label.json.get("is_empty") is True,
            label.json.get("parent"),
            label.json.get("is_anomalous"),
        )
        for label in task.each("labels")
    )
    return ArchivedTask(task.text("type"), task.text("title"), labels, task.inner("extra").json)


def _medium_from(medium: Fields) -> ArchivedMedium:
    scenes = tuple(
        ArchivedScene(
            tuple(_annotation_from(annotation) for annotation in scene.each("annotations")), scene.json.get("frame")
        )
        for scene in medium.each("scenes")
    )
    return ArchivedMedium(
        medium.id("id"),
        medium.text("type"),
        medium.text("name"),
        medium.text("dataset"),
        medium.text("file"),
        medium.text("sha256"),
        medium.whole("bytes"),
        medium.whole("width"),
        medium.whole("height"),
        scenes,
        medium.text("not_read") if medium.has("not_read") else "",
    )


def _annotation_from(annotation: Fields) -> ArchivedAnnotation:
    labels = tuple(
        (
            ArchivedLabel(
                label.whole("task"), label.text("name"), label.json.get("empty") is True, label.json.get("anomalous")
            ),
            label.number("probability"),
        )
        for label in annotation.each("labels")
    )
    return ArchivedAnnotation(shape_from(annotation.inner("shape")), labels)


def is_inside(folder: Path, file: str) -> bool:
    """Whether a backup's path stays in its folder. Backups may come from elsewhere and are not trusted."""
    return not Path(file).is_absolute() and (folder / file).resolve().is_relative_to(folder.resolve())
