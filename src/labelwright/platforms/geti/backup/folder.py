"""A backup in a folder: how it is written and read.

project.json            the project: kind, tasks, labels with hierarchy and colours, datasets, configuration, source
media/00001.jsonl       a page of media, one a line: name, file, hash, size, and all that was said of it
images/<dataset>/       the images' bytes as the server gave them: <name>_<id>.<ending of what they are>
videos/<dataset>/
complete.json           counts; written when everything else is there
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from labelwright.platforms.geti.models import GetiLabel, Unit, shape_from
from labelwright.platforms.geti.session import NAME
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.messages import Sink

from .archive import (
    READ,
    ArchivedMedium,
    ArchivedProject,
    ArchivedTask,
    BackupRefused,
    SaidAnnotation,
    SaidLabel,
    SaidScene,
)

FORMAT = 1
PROJECT, MEDIA, COMPLETE = "project.json", "media", "complete.json"


# Writing


def write_json(path: Path, said_: Any) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(said_, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def write_project(folder: Path, project: ArchivedProject) -> None:
    tasks = [
        {
            "type": task.type,
            "title": task.title,
            "extra": dict(task.extra),
            "labels": [
                {
                    "name": one.name,
                    "color": one.color,
                    "group": one.group,
                    "hotkey": one.hotkey,
                    "is_empty": one.is_empty,
                    "parent": one.parent_id,
                    "is_anomalous": one.is_anomalous,
                }
                for one in task.labels
            ],
        }
        for task in project.tasks
    ]
    written = {
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
    write_json(folder / PROJECT, written)


def write_page(folder: Path, name: str, media: Sequence[ArchivedMedium]) -> None:
    path = folder / MEDIA / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        for one in media:
            file.write(line_of(one))
    part.replace(path)


def line_of(one: ArchivedMedium) -> str:
    return json.dumps(_medium_json(one), ensure_ascii=False) + "\n"


def read_lines(path: Path) -> Iterator[ArchivedMedium]:
    """Lines of a page that may have broken off in its last one."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                return
            yield _medium_from(Fields(NAME, READ, found, path.name))


def _medium_json(one: ArchivedMedium) -> dict[str, Any]:
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
        for scene in one.scenes
    ]
    return {
        "id": one.id,
        "type": one.type,
        "name": one.name,
        "dataset": one.dataset,
        "file": one.file,
        "sha256": one.sha256,
        "bytes": one.bytes,
        "width": one.width,
        "height": one.height,
        "scenes": scenes,
        **({"not_read": one.not_read} if one.not_read else {}),
    }


class HashingFile:
    """A file that is hashed while it is written."""

    def __init__(self, file: Sink) -> None:
        self._file: Any = file
        self._hash, self.bytes = sha256(), 0
        self.head = b""
        """The first bytes: they tell what it is."""

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
        """All that was written, of a file that can be read again."""
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


class OwnBackup:
    """A folder in the layout above. Raises BackupRefused when it is none, or was interrupted."""

    def __init__(self, folder: Path, *, whole: bool = True) -> None:
        self.folder = folder
        if not (folder / PROJECT).is_file():
            raise BackupRefused(folder, f"there is no {PROJECT}")
        if whole and not (folder / COMPLETE).is_file():
            raise BackupRefused(folder, "the backup was interrupted", "Run the backup into this folder again.")

    def project(self) -> ArchivedProject:
        try:
            found = Fields(NAME, READ, json.loads((self.folder / PROJECT).read_text(encoding="utf-8")))
        except ValueError:
            raise BackupRefused(self.folder, f"{PROJECT} is not valid JSON") from None
        if found.json.get("format") != FORMAT:
            raise BackupRefused(self.folder, f"{PROJECT} is of format {found.json.get('format')}, not {FORMAT}")
        return ArchivedProject(
            found.text("name"),
            tuple(_task_from(task) for task in found.each("tasks")),
            tuple(str(name) for name in found.list("datasets")),
            Unit(found.text("unit")),
            found.json.get("auto_train"),
            found.inner("iterations").json,
            found.inner("parameters").json,
            found.inner("source").json,
            found.inner("not_read").json if found.has("not_read") else {},
        )

    def pages(self) -> Sequence[str]:
        return sorted(path.stem for path in (self.folder / MEDIA).glob("*.jsonl"))

    def page(self, name: str) -> list[ArchivedMedium]:
        # Not splitlines: names may hold characters that end lines for it, such as U+2028, and none for JSON.
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
            one.text("name"),
            one.text("color"),
            one.text("group"),
            one.text("hotkey"),
            one.json.get("is_empty") is True,
            one.json.get("parent"),
            one.json.get("is_anomalous"),
        )
        for one in task.each("labels")
    )
    return ArchivedTask(task.text("type"), task.text("title"), labels, task.inner("extra").json)


def _medium_from(one: Fields) -> ArchivedMedium:
    scenes = tuple(
        SaidScene(tuple(_annotation_from(said_) for said_ in scene.each("annotations")), scene.json.get("frame"))
        for scene in one.each("scenes")
    )
    return ArchivedMedium(
        one.id("id"),
        one.text("type"),
        one.text("name"),
        one.text("dataset"),
        one.text("file"),
        one.text("sha256"),
        one.whole("bytes"),
        one.whole("width"),
        one.whole("height"),
        scenes,
        one.text("not_read") if one.has("not_read") else "",
    )


def _annotation_from(one: Fields) -> SaidAnnotation:
    labels = tuple(
        (
            SaidLabel(
                label.whole("task"), label.text("name"), label.json.get("empty") is True, label.json.get("anomalous")
            ),
            label.number("probability"),
        )
        for label in one.each("labels")
    )
    return SaidAnnotation(shape_from(one.inner("shape")), labels)


def is_inside(folder: Path, file: str) -> bool:
    """Whether a path of a backup stays in its folder: backups come from elsewhere."""
    return not Path(file).is_absolute() and (folder / file).resolve().is_relative_to(folder.resolve())
