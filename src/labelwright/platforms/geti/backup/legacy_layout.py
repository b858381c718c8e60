"""Reads backups of the older tool: `project_info.json`, `images/<name>.jpg`, `annotations/<name>.json`.

`project_info.json` has the project's name, its type and the labels of its one or two tasks; annotations refer to labels
by name, in fractions of the image. A label with one of the servers' names of the empty label is the empty label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from labelwright.platforms.geti.models import CoordinateUnit, GetiLabel, shape_from
from labelwright.platforms.geti.projects import InvalidProject, normal_kind
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
    Backup,
    BackupRefused,
)
from .folder import NativeBackup, hash_of
from .sdk_layout import SdkBackup, is_sdk_folder

INFO = "project_info.json"
_EMPTY_NAMES = frozenset({"no object", "empty", "no class", "empty label"})
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jfif"})
_PAGE_SIZE = 200


class LegacyBackup:
    """A backup of the older tool. Raises BackupRefused for a malformed folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            content = json.loads((folder / INFO).read_text(encoding="utf-8"))
        except ValueError:
            raise BackupRefused(folder, f"{INFO} is not valid JSON") from None
        info = Fields(NAME, READ, content)
        try:
            self._kind = normal_kind(info.text("project_type"))
        except InvalidProject as error:
            raise BackupRefused(folder, str(error)) from None
        self._name = info.text("project_name")
        self._labels = [self._names(info, name) for name in ("label_names_task_one", "label_names_task_two")]
        self._tasks = self._kind.split(" -> ")
        if len(self._tasks) == 2 and not self._labels[1]:
            raise BackupRefused(folder, f"{INFO} names no labels for the second task of {self._kind}")

    def project(self) -> ArchivedProject:
        tasks = tuple(
            ArchivedTask(kind, "", tuple(GetiLabel("", name) for name in names if not _is_empty(name)))
            for kind, names in zip(self._tasks, self._labels, strict=False)
        )
        not_saved = dict.fromkeys(("auto-train", "iterations", "configuration"), "folders of that tool do not hold it")
        source = {"layout": INFO}
        return ArchivedProject(
            self._name, tasks, ("images",), CoordinateUnit.FRACTIONS, source=source, not_read=not_saved
        )

    def pages(self) -> Sequence[str]:
        return [str(first) for first in range(0, len(self._files()), _PAGE_SIZE)]

    def page(self, name: str) -> list[ArchivedMedium]:
        first = int(name)
        return [self._medium(path) for path in self._files()[first : first + _PAGE_SIZE]]

    def _files(self) -> list[Path]:
        folder = self.folder / "images"
        paths = folder.rglob("*") if folder.is_dir() else ()
        return sorted(path for path in paths if path.suffix.lower() in _SUFFIXES)

    def _names(self, info: Fields, name: str) -> list[str]:
        """Names of labels, which are strings or objects with a name."""
        labels = info.json.get(name) or []
        if not isinstance(labels, list):
            info.refuse(name, "is not a list")
        return [label["name"] if isinstance(label, dict) and "name" in label else str(label) for label in labels]

    def _medium(self, path: Path) -> ArchivedMedium:
        from PIL import Image

        try:
            with Image.open(path) as image:
                width, height = image.size
        except OSError:
            raise BackupRefused(self.folder, f"{path.name} is no image") from None
        digest, length = hash_of(path)
        inner = path.relative_to(self.folder / "images")
        return ArchivedMedium(
            id=inner.as_posix(),
            type="image",
            name=path.stem,
            dataset="images",
            file=path.relative_to(self.folder).as_posix(),
            sha256=digest,
            bytes=length,
            width=width,
            height=height,
            scenes=tuple(self._scenes(self.folder / "annotations" / inner.with_suffix(".json"))),
        )

    def _scenes(self, path: Path) -> Iterator[ArchivedScene]:
        if not path.is_file():
            return
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise BackupRefused(self.folder, f"annotations/{path.name} is not valid JSON") from None
        scene = Fields(NAME, READ, {"annotations": content} if isinstance(content, list) else content, path.name)
        annotations = scene.each("annotations") if scene.has("annotations") else ()
        archived = tuple(self._annotation(annotation, path) for annotation in annotations)
        if archived:
            yield ArchivedScene(archived)

    def _annotation(self, annotation: Fields, path: Path) -> ArchivedAnnotation:
        labels = []
        for item in annotation.list("labels"):
            label = {"name": item} if isinstance(item, str) else item
            fields = Fields(NAME, READ, label, f"{path.name}.labels")
            probability = fields.number("probability") if fields.has("probability") else 1.0
            labels.append((self._label(fields.text("name"), path), probability))
        return ArchivedAnnotation(shape_from(annotation.inner("shape")), tuple(labels))

    def _label(self, name: str, path: Path) -> ArchivedLabel:
        for index, names in enumerate(self._labels[: len(self._tasks)]):
            if name in names:
                return ArchivedLabel(index, name, _is_empty(name))
        if _is_empty(name):
            return ArchivedLabel(0, name, empty=True)
        raise BackupRefused(self.folder, f"annotations/{path.name}: label '{name}' is not in {INFO}")


def _is_empty(name: str) -> bool:
    return name.casefold() in _EMPTY_NAMES


def open_backup(folder: Path) -> Backup:
    """The backup in a folder, whichever tool wrote it. Raises BackupRefused."""
    if (folder / INFO).is_file():
        return LegacyBackup(folder)
    if is_sdk_folder(folder):
        return SdkBackup(folder)
    try:
        return NativeBackup(folder)
    except BackupRefused as refused:
        if not folder.is_dir():
            raise BackupRefused(folder, "there is no such folder") from None
        raise refused from None
