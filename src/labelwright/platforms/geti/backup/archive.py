"""Types of a backed-up project, independent of any server, and their conversion from and to a server's types.

A label is identified by its task's index, its name and whether it is the empty one: ids are the server's, and names of
empty labels differ between versions. Coordinates are the source's own numbers, in the project's `unit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.geti.models import CoordinateUnit, GetiLabel, GetiProject, GetiScene, GetiShape, GetiTask
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.session import NAME

READ = "read the backup"


@dataclass(frozen=True, slots=True)
class ArchivedLabel:
    """A label without its id."""

    task: int
    """Index among the trainable tasks, from 0."""
    name: str
    empty: bool
    anomalous: bool | None = None


@dataclass(frozen=True, slots=True)
class ArchivedAnnotation:
    shape: GetiShape
    labels: tuple[tuple[ArchivedLabel, float], ...]


@dataclass(frozen=True, slots=True)
class ArchivedScene:
    annotations: tuple[ArchivedAnnotation, ...]
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class ArchivedTask:
    type: str
    title: str
    labels: tuple[GetiLabel, ...]
    """With parents by name; their ids are empty."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def new(self) -> NewTask:
        """The task to create, without labels that servers add themselves: empty ones, and those of anomaly tasks."""
        is_anomaly = self.type.startswith("anomaly")
        labels = tuple(
            NewLabel(label.name, label.color, label.group, label.parent_id or "", label.hotkey)
            for label in self.labels
            if not label.is_empty and not is_anomaly
        )
        return NewTask(self.type, labels, self.title, dict(self.extra))


@dataclass(frozen=True, slots=True)
class ArchivedProject:
    name: str
    tasks: tuple[ArchivedTask, ...]
    datasets: tuple[str, ...]
    unit: CoordinateUnit
    auto_train: bool | None = None
    iterations: Mapping[str, int] = field(default_factory=dict)
    """By the task's index."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Every other value that can be set, by `<task's index>/<component>/<name>`."""
    source: Mapping[str, str] = field(default_factory=dict)
    """host, project, dialect, version."""
    not_read: Mapping[str, str] = field(default_factory=dict)
    """Settings that could not be read when it was saved, with the reason. They are unknown, not unset."""

    @property
    def kind(self) -> str:
        return " -> ".join(task.type for task in self.tasks)


@dataclass(frozen=True, slots=True)
class ArchivedMedium:
    id: str
    """The source's id, or any name that is unique in the folder."""
    type: str
    name: str
    """As on the source: without suffix."""
    dataset: str
    file: str
    """Path in the folder."""
    sha256: str
    bytes: int
    width: int
    height: int
    scenes: tuple[ArchivedScene, ...] = ()
    not_read: str = ""
    """Why its annotations could not be read when it was saved."""


class Backup(Protocol):
    """A folder that a project can be restored from."""

    folder: Path

    def project(self) -> ArchivedProject: ...

    def pages(self) -> Sequence[str]:
        """Names of the pages, each of a few hundred media."""

    def page(self, name: str) -> list[ArchivedMedium]: ...


class BackupRefused(PlatformRefused):
    """A folder that is no backup, or not a complete one; the message says why, and what to do."""

    error_code = "LW4017"

    def __init__(self, folder: Path, message: str, advice: str = "") -> None:
        super().__init__(NAME, READ, message=f"{folder}: {message}", advice=advice)
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return BackupRefused, (self.folder, self.message.partition(": ")[2], self.advice)


# Conversion from and to a server's types


def archived_labels(project: GetiProject) -> dict[str, ArchivedLabel]:
    """The project's labels by their ids."""
    return {
        label.id: ArchivedLabel(index, label.name, label.is_empty, label.is_anomalous)
        for index, task in enumerate(project.trained)
        for label in task.labels
    }


def archived_scene(scene: GetiScene, labels: Mapping[str, ArchivedLabel]) -> ArchivedScene:
    """Raises PlatformRefused for a label that the project does not have."""
    annotations = []
    for annotation in scene.annotations:
        for identity, _ in annotation.labels:
            if identity not in labels:
                raise PlatformRefused(NAME, "read annotations", message=f"label {identity} is not in the project")
        with_names = tuple((labels[identity], probability) for identity, probability in annotation.labels)
        annotations.append(ArchivedAnnotation(annotation.shape, with_names))
    return ArchivedScene(tuple(annotations), scene.frame)


def label_ids(project: GetiProject, labels: Iterable[ArchivedLabel]) -> dict[ArchivedLabel, str]:
    """The ids that archived labels have in this project. Raises PlatformRefused that names a missing label."""
    return {label: _label_id(project.trained[label.task], label) for label in labels}


def _label_id(task: GetiTask, archived: ArchivedLabel) -> str:
    """Empty and anomalous labels are found by their flags, because their names differ between versions."""
    for label in task.labels:
        has_flag = (archived.empty and label.is_empty) or (
            archived.anomalous is not None and label.is_anomalous is archived.anomalous
        )
        if has_flag or (label.name == archived.name and label.is_empty is archived.empty):
            return label.id
    message = f"'{task.title}' has no {'empty ' if archived.empty else ''}label '{archived.name}'"
    raise PlatformRefused(NAME, "find a label", message=message)


def archived_tasks(project: GetiProject) -> tuple[ArchivedTask, ...]:
    """The project's trained tasks, with parents of labels by name."""
    names = {label.id: label.name for task in project.trained for label in task.labels}

    def without_ids(label: GetiLabel) -> GetiLabel:
        parent = names.get(label.parent_id, label.parent_id) if label.parent_id else None
        return replace(label, id="", parent_id=parent)

    return tuple(
        ArchivedTask(task.type, task.title, tuple(without_ids(label) for label in task.labels), task.extra)
        for task in project.trained
    )
