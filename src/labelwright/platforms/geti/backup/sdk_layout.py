"""Reads backups of the vendor's geti-sdk (format of 2.13.1).

project.json                          the server's project without ids
images/<dataset>/, videos/<dataset>/  media under their names
annotations/<name>.json               and, of a video's frames, annotations/<name>_frame_<number>.json

Labels refer to their parents, and annotations to their labels, by name. Where two media of a project have the same
name, all file names end with `_<id>`. Images have the suffix .jpg in any format.
Coordinates are pixels, in folders of early versions fractions. Settings and hotkeys are not saved.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from labelwright.platforms.geti.models import UNTRAINED_TASKS, CoordinateUnit, GetiLabel, GetiShape, shape_from
from labelwright.platforms.geti.session import NAME
from labelwright.platforms.http.json_fields import Fields

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
from .folder import PROJECT, hash_of

_IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jfif"})
_VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v"})
_WITH_ID = re.compile(r"(.+)_([0-9a-f]{24})")
_FRAME = re.compile(r"(.+)_frame_(\d+)")
_PAGE_SIZE = 200
_NOT_SAVED = "folders of geti-sdk do not hold it"


def is_sdk_folder(folder: Path) -> bool:
    """Whether geti-sdk wrote the folder: its project file has the server's form, not that of our own backups."""
    try:
        content = json.loads((folder / PROJECT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "format" not in content and isinstance(content.get("pipeline"), dict)


class SdkBackup:
    """A backup of geti-sdk. Raises BackupRefused for a malformed folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._info = Fields(NAME, READ, self._json(folder / PROJECT), PROJECT)
        self._tasks = tuple(
            _task_from(task)
            for task in self._info.inner("pipeline").each("tasks")
            if task.text("task_type").lower() not in UNTRAINED_TASKS
        )
        if not self._tasks:
            raise BackupRefused(folder, f"{PROJECT} has no task that could be trained")
        datasets = self._info.each("datasets") if self._info.has("datasets") else ()
        self._datasets = tuple(dataset.text("name") for dataset in datasets) or ("Dataset",)

    def project(self) -> ArchivedProject:
        not_saved = dict.fromkeys(("auto-train", "iterations", "configuration"), _NOT_SAVED)
        return ArchivedProject(
            self._info.text("name"),
            self._tasks,
            self._datasets,
            self._unit,
            source={"layout": "geti-sdk"},
            not_read=not_saved,
        )

    def pages(self) -> Sequence[str]:
        return [str(first) for first in range(0, len(self._files), _PAGE_SIZE)]

    def page(self, name: str) -> list[ArchivedMedium]:
        first = int(name)
        return [self._medium(kind, path) for kind, path in self._files[first : first + _PAGE_SIZE]]

    @cached_property
    def _files(self) -> list[tuple[str, Path]]:
        return [
            (kind, path)
            for kind, endings in (("image", _IMAGES), ("video", _VIDEOS))
            for path in sorted((self.folder / f"{kind}s").rglob("*"))
            if path.suffix.lower() in endings and path.is_file()
        ]

    @cached_property
    def _names(self) -> dict[Path, str]:
        """Names of media by file, without ids where all names of a kind have them."""
        names: dict[Path, str] = {}
        for kind in ("image", "video"):
            paths = [path for file_kind, path in self._files if file_kind == kind]
            matches = {path: _WITH_ID.fullmatch(path.stem) for path in paths}
            without_ids = {path: match[1] for path, match in matches.items() if match is not None}
            with_ids = len(without_ids) == len(paths) and max(Counter(without_ids.values()).values(), default=0) > 1
            names |= without_ids if with_ids else {path: path.stem for path in paths}
        return names

    @cached_property
    def _annotations(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted((self.folder / "annotations").glob("*.json"))}

    @cached_property
    def _frames(self) -> dict[str, list[tuple[int, Path]]]:
        """Annotated frames, as (number, file), by the video's stem."""
        images = {path.stem for kind, path in self._files if kind == "image"}
        frames: dict[str, list[tuple[int, Path]]] = defaultdict(list)
        for stem, path in self._annotations.items():
            match = _FRAME.fullmatch(stem)
            if match is not None and stem not in images:
                frames[match[1]].append((int(match[2]), path))
        return frames

    @cached_property
    def _unit(self) -> CoordinateUnit:
        """Fractions where no coordinate is above 1; images have at least 32 pixels a side."""
        has_annotations = False
        for path in self._annotations.values():
            for annotation in self._scene(path, None).annotations:
                has_annotations = True
                if _largest(annotation.shape) > 1:
                    return CoordinateUnit.PIXELS
        return CoordinateUnit.FRACTIONS if has_annotations else CoordinateUnit.PIXELS

    def _medium(self, kind: str, path: Path) -> ArchivedMedium:
        digest, length = hash_of(path)
        width, height = self._size(path) if kind == "image" else (0, 0)
        inner = path.relative_to(self.folder / f"{kind}s")
        in_dataset = len(inner.parts) > 1 and inner.parts[0] in self._datasets
        return ArchivedMedium(
            id=path.relative_to(self.folder).as_posix(),
            type=kind,
            name=self._names[path],
            dataset=inner.parts[0] if in_dataset else self._datasets[0],
            file=path.relative_to(self.folder).as_posix(),
            sha256=digest,
            bytes=length,
            width=width,
            height=height,
            scenes=tuple(scene for scene in self._scenes(kind, path) if scene.annotations),
        )

    def _scenes(self, kind: str, path: Path) -> Iterator[ArchivedScene]:
        if kind == "video":
            for number, file in sorted(self._frames.get(path.stem, ())):
                yield self._scene(file, number)
            return
        annotations = self._annotations.get(path.stem)
        if annotations is not None:
            yield self._scene(annotations, None)

    def _scene(self, path: Path, frame: int | None) -> ArchivedScene:
        scene = Fields(NAME, READ, self._json(path), path.name)
        return ArchivedScene(
            tuple(self._annotation(annotation, path) for annotation in scene.each("annotations")), frame
        )

    def _annotation(self, annotation: Fields, path: Path) -> ArchivedAnnotation:
        labels = tuple(
            (self._label(label.text("name"), path), label.number("probability") if label.has("probability") else 1.0)
            for label in annotation.each("labels")
        )
        return ArchivedAnnotation(shape_from(annotation.inner("shape")), labels)

    def _label(self, name: str, path: Path) -> ArchivedLabel:
        for index, task in enumerate(self._tasks):
            for label in task.labels:
                if label.name == name:
                    return ArchivedLabel(index, name, label.is_empty, label.is_anomalous)
        raise BackupRefused(self.folder, f"annotations/{path.name}: label '{name}' is not in {PROJECT}")

    def _size(self, path: Path) -> tuple[int, int]:
        from PIL import Image

        try:
            with Image.open(path) as image:
                return image.size
        except OSError:
            raise BackupRefused(self.folder, f"{path.relative_to(self.folder)} is no image") from None

    def _json(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise BackupRefused(self.folder, f"{path.relative_to(self.folder)} is not valid JSON") from None


def _task_from(task: Fields) -> ArchivedTask:
    labels = tuple(
        GetiLabel(
            "",
            label.text("name"),
            _text(label, "color"),
            _text(label, "group"),
            _text(label, "hotkey"),
            label.json.get("is_empty") is True,
            _text(label, "parent_id") or None,
            label.json.get("is_anomalous"),
        )
        for label in (task.each("labels") if task.has("labels") else ())
    )
    extra = {name: task.json[name] for name in ("keypoint_structure",) if task.has(name)}
    return ArchivedTask(task.text("task_type").lower(), _text(task, "title"), labels, extra)


def _text(fields: Fields, name: str) -> str:
    return fields.text(name) if fields.has(name) else ""


def _largest(shape: GetiShape) -> float:
    """The largest coordinate of a shape, without its angle."""
    numbers = [value for name, value in shape.numbers.items() if name != "angle"]
    return max((*numbers, *(value for point in shape.points for value in point)), default=0.0)
