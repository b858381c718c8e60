"""A project apart from any server: what is kept of it in a backup, and how it is told from a server's terms and back.

Labels are told by task, name and whether they are the empty one: ids are the server's, and names of empty labels differ
between versions. Coordinates are the source's own numbers; `unit` says what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.geti.models import GetiLabel, GetiProject, GetiScene, GetiShape, Unit
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.session import NAME

READ = "read the backup"


@dataclass(frozen=True, slots=True)
class SaidLabel:
    """A label without its id."""

    task: int
    """Place among the trainable tasks, from 0."""
    name: str
    empty: bool
    anomalous: bool | None = None


@dataclass(frozen=True, slots=True)
class SaidAnnotation:
    shape: GetiShape
    labels: tuple[tuple[SaidLabel, float], ...]


@dataclass(frozen=True, slots=True)
class SaidScene:
    annotations: tuple[SaidAnnotation, ...]
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class ArchivedTask:
    type: str
    title: str
    labels: tuple[GetiLabel, ...]
    """With parents by name; their ids are empty."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def new(self) -> NewTask:
        """Without what servers make themselves: empty labels, and those of anomaly tasks."""
        anomaly = self.type.startswith("anomaly")
        labels = tuple(
            NewLabel(one.name, one.color, one.group, one.parent_id or "", one.hotkey)
            for one in self.labels
            if not one.is_empty and not anomaly
        )
        return NewTask(self.type, labels, self.title, dict(self.extra))


@dataclass(frozen=True, slots=True)
class ArchivedProject:
    name: str
    tasks: tuple[ArchivedTask, ...]
    datasets: tuple[str, ...]
    unit: Unit
    auto_train: bool | None = None
    iterations: Mapping[str, int] = field(default_factory=dict)
    """By the place of the task."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Every other value that can be set, by `<place of the task>/<component>/<name>`."""
    source: Mapping[str, str] = field(default_factory=dict)
    """host, project, dialect, version."""
    not_read: Mapping[str, str] = field(default_factory=dict)
    """What could not be read when it was saved, and why: unknown, which is not the same as unset."""

    @property
    def kind(self) -> str:
        return " -> ".join(task.type for task in self.tasks)


@dataclass(frozen=True, slots=True)
class ArchivedMedium:
    id: str
    """The source's, or any name that is unique in the folder."""
    type: str
    name: str
    """As the source shows it: without ending."""
    dataset: str
    file: str
    """Path in the folder."""
    sha256: str
    bytes: int
    width: int
    height: int
    scenes: tuple[SaidScene, ...] = ()
    not_read: str = ""
    """Why its annotations could not be read when it was saved."""


class Backup(Protocol):
    """A folder that a project can be restored from."""

    folder: Path

    def project(self) -> ArchivedProject: ...

    def pages(self) -> Sequence[str]:
        """Names of parts of a few hundred media each."""

    def page(self, name: str) -> list[ArchivedMedium]: ...


class BackupRefused(PlatformRefused):
    """A folder that is no backup, or not a whole one: why, and what to do."""

    def __init__(self, folder: Path, message: str, advice: str = "") -> None:
        super().__init__(NAME, READ, message=f"{folder}: {message}", advice=advice)
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return BackupRefused, (self.folder, self.message.partition(": ")[2], self.advice)


# From a server's terms to ours and back


def said_labels(project: GetiProject) -> dict[str, SaidLabel]:
    """What each label's id means."""
    return {
        label.id: SaidLabel(place, label.name, label.is_empty, label.is_anomalous)
        for place, task in enumerate(project.trained)
        for label in task.labels
    }


def said(scene: GetiScene, labels: Mapping[str, SaidLabel]) -> SaidScene:
    """Raises PlatformRefused for a label that the project does not have."""
    found = []
    for one in scene.annotations:
        for identity, _ in one.labels:
            if identity not in labels:
                raise PlatformRefused(NAME, "read annotations", message=f"label {identity} is not in the project")
        found.append(SaidAnnotation(one.shape, tuple((labels[identity], value) for identity, value in one.labels)))
    return SaidScene(tuple(found), scene.frame)


def label_ids(project: GetiProject, wanted: Mapping[SaidLabel, None] | Sequence[SaidLabel]) -> dict[SaidLabel, str]:
    """The id in this project of each label: by task and name, empty and anomalous ones by their mark.

    Raises PlatformRefused that names a label which is not there.
    """
    found = {}
    for one in wanted:
        task = project.trained[one.task]
        for label in task.labels:
            marked = (one.empty and label.is_empty) or (
                one.anomalous is not None and label.is_anomalous is one.anomalous
            )
            if marked or (label.name == one.name and label.is_empty is one.empty):
                found[one] = label.id
                break
        else:
            told = f"'{task.title}' has no {'empty ' if one.empty else ''}label '{one.name}'"
            raise PlatformRefused(NAME, "find a label", message=told)
    return found


def archived_tasks(project: GetiProject) -> tuple[ArchivedTask, ...]:
    names = {label.id: label.name for task in project.trained for label in task.labels}
    return tuple(
        ArchivedTask(
            task.type,
            task.title,
            tuple(
                GetiLabel(
                    "",
                    one.name,
                    one.color,
                    one.group,
                    one.hotkey,
                    one.is_empty,
                    names.get(one.parent_id, one.parent_id) if one.parent_id else None,
                    one.is_anomalous,
                )
                for one in task.labels
            ),
            task.extra,
        )
        for task in project.trained
    )
