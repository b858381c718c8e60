"""Folders as the user's own tool wrote them: `project_info.json`, `images/<name>.jpg`, `annotations/<name>.json`.

`project_info.json` names the project, its type and the labels of its one or two tasks; annotations name labels by name
and are in fractions of the image. Labels called as the servers call the empty one mean it (that tool wrote the server's
own name, of which there are several).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from labelwright.platforms.geti.models import GetiLabel, Unit, shape_from
from labelwright.platforms.geti.projects import CannotBe, normal_kind
from labelwright.platforms.geti.session import NAME
from labelwright.platforms.http.json_fields import Fields

from .archive import (
    ArchivedMedium,
    ArchivedProject,
    ArchivedTask,
    Backup,
    BackupRefused,
    SaidAnnotation,
    SaidLabel,
    SaidScene,
)
from .folder import OwnBackup, hash_of
from .sdk_layout import GetiSdkBackup, is_sdk_folder

INFO = "project_info.json"
_EMPTY = frozenset({"no object", "empty", "no class", "empty label"})
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jfif"})
_A_PAGE = 200
_READ = "read the backup"


class SeedBackup:
    """Raises BackupRefused for a folder that cannot be understood."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            found = json.loads((folder / INFO).read_text(encoding="utf-8"))
        except ValueError:
            raise BackupRefused(folder, f"{INFO} is not valid JSON") from None
        info = Fields(NAME, _READ, found)
        try:
            self._kind = normal_kind(info.text("project_type"))
        except CannotBe as fault:
            raise BackupRefused(folder, str(fault)) from None
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
        not_kept = dict.fromkeys(("auto-train", "iterations", "configuration"), "folders of that tool do not hold it")
        source = {"layout": INFO}
        return ArchivedProject(self._name, tasks, ("images",), Unit.FRACTIONS, source=source, not_read=not_kept)

    def pages(self) -> Sequence[str]:
        return [str(first) for first in range(0, len(self._files()), _A_PAGE)]

    def page(self, name: str) -> list[ArchivedMedium]:
        first = int(name)
        return [self._medium(path) for path in self._files()[first : first + _A_PAGE]]

    def _files(self) -> list[Path]:
        folder = self.folder / "images"
        found = folder.rglob("*") if folder.is_dir() else ()
        return sorted(path for path in found if path.suffix.lower() in _ENDINGS)

    def _names(self, info: Fields, name: str) -> list[str]:
        """Texts, or objects with a name."""
        given = info.json.get(name) or []
        if not isinstance(given, list):
            info.refuse(name, "is not a list")
        return [one["name"] if isinstance(one, dict) and "name" in one else str(one) for one in given]

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

    def _scenes(self, path: Path) -> Iterator[SaidScene]:
        if not path.is_file():
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise BackupRefused(self.folder, f"annotations/{path.name} is not valid JSON") from None
        scene = Fields(NAME, _READ, {"annotations": found} if isinstance(found, list) else found, path.name)
        annotations = scene.each("annotations") if scene.has("annotations") else ()
        said = tuple(self._annotation(one, path) for one in annotations)
        if said:
            yield SaidScene(said)

    def _annotation(self, one: Fields, path: Path) -> SaidAnnotation:
        labels = []
        for given in one.list("labels"):
            label = {"name": given} if isinstance(given, str) else given
            fields = Fields(NAME, _READ, label, f"{path.name}.labels")
            probability = fields.number("probability") if fields.has("probability") else 1.0
            labels.append((self._label(fields.text("name"), path), probability))
        return SaidAnnotation(shape_from(one.inner("shape")), tuple(labels))

    def _label(self, name: str, path: Path) -> SaidLabel:
        for place, names in enumerate(self._labels[: len(self._tasks)]):
            if name in names:
                return SaidLabel(place, name, _is_empty(name))
        if _is_empty(name):
            return SaidLabel(0, name, empty=True)
        raise BackupRefused(self.folder, f"annotations/{path.name}: label '{name}' is not in {INFO}")


def _is_empty(name: str) -> bool:
    return name.casefold() in _EMPTY


def open_backup(folder: Path) -> Backup:
    """The backup in a folder, whichever tool wrote it. Raises BackupRefused."""
    if (folder / INFO).is_file():
        return SeedBackup(folder)
    if is_sdk_folder(folder):
        return GetiSdkBackup(folder)
    try:
        return OwnBackup(folder)
    except BackupRefused as refused:
        if not folder.is_dir():
            raise BackupRefused(folder, "there is no such folder") from None
        raise refused from None
