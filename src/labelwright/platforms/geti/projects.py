"""Kinds of projects, and the request that creates one with its tasks, connections and labels.

In the request tasks refer to each other by title, and labels to their parents by name; parents come first (recorded).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .models import GLOBAL_TASKS

TASKS = {
    "detection": "Detection task",
    "segmentation": "Segmentation task",
    "instance_segmentation": "Instance segmentation task",
    "rotated_detection": "Rotated detection task",
    "classification": "Classification task",
    "anomaly": "Anomaly",
    "anomaly_classification": "Anomaly classification task",
    "anomaly_detection": "Anomaly detection task",
    "anomaly_segmentation": "Anomaly segmentation task",
    "keypoint_detection": "Keypoint detection task",
}
"""Title of each kind of task, by its name in the API."""

KINDS = (
    "detection",
    "segmentation",
    "instance_segmentation",
    "rotated_detection",
    "classification",
    "anomaly",
    "anomaly_classification",
    "anomaly_detection",
    "anomaly_segmentation",
    "keypoint_detection",
    "detection -> segmentation",
    "detection -> classification",
    "rotated_detection -> classification",
    "rotated_detection -> segmentation",
)
"""Kinds of projects that can be created."""


class InvalidProject(ValueError):
    """A project that no server accepts; the message says why, and what to change."""


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label to create. `parent` is the name of another label of the same task."""

    name: str
    color: str = ""
    """#rrggbb or #rrggbbaa; empty: the server chooses."""
    group: str = ""
    """An object has at most one label of a group; empty: the task's group."""
    parent: str = ""
    hotkey: str = ""


@dataclass(frozen=True, slots=True)
class NewTask:
    type: str
    labels: tuple[NewLabel, ...] = ()
    title: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def normal_kind(kind: str) -> str:
    """One of KINDS, from the spellings that people use: "Detection to segmentation", "detection_to_segmentation".

    Raises InvalidProject.
    """
    spelled = kind.strip().lower().replace("_to_", " -> ").replace(" to ", " -> ").replace("->", " -> ")
    normalized = " -> ".join("_".join(part.split()) for part in spelled.split(" -> ") if part.strip())
    if normalized not in KINDS:
        raise InvalidProject(f"no project is of the kind '{kind}'; known: {', '.join(KINDS)}")
    return normalized


def project_body(name: str, tasks: Sequence[NewTask], *, every_group: bool = False) -> dict[str, Any]:
    """The request that creates a project. Raises InvalidProject.

    For a hierarchy Sonoma Creek creates one group for all labels without a group (recorded: `default - <title>`). 2.x
    needs `every_group`, and refuses a label in the group of its parent: labels below a parent get a group of their own.
    """
    check(tasks)
    task_bodies: list[dict[str, Any]] = [{"title": "Dataset", "task_type": "dataset"}]
    connections: list[dict[str, str]] = []
    titles = ["Dataset"]

    def add(task: dict[str, Any]) -> None:
        connections.append({"from": titles[-1], "to": task["title"]})
        titles.append(task["title"])
        task_bodies.append(task)

    for number, task in enumerate(tasks):
        if number and tasks[number - 1].type not in GLOBAL_TASKS:
            add({"title": "Crop task", "task_type": "crop"})
        title = _unused(task.title or TASKS[task.type], titles)
        group, hierarchy = f"{title.lower()} label group", any(label.parent for label in task.labels)
        labels = [
            _label_body(label, _group_of(label, group) if every_group else "" if hierarchy else group)
            for label in _parents_first(task.labels)
        ]
        add({"title": title, "task_type": task.type, **task.extra, "labels": labels})
    return {"name": name, "pipeline": {"connections": connections, "tasks": task_bodies}}


def _group_of(label: NewLabel, group: str) -> str:
    return f"{label.parent} label group" if label.parent else group


def _label_body(label: NewLabel, group: str) -> dict[str, Any]:
    fields = {
        "parent_id": label.parent,
        "group": label.group or group,
        "color": label.color,
        "hotkey": label.hotkey,
    }
    return {"name": label.name} | {name: value for name, value in fields.items() if value}


def check(tasks: Sequence[NewTask]) -> None:
    """Raises InvalidProject for tasks that no server accepts."""
    if not 1 <= len(tasks) <= 2:
        raise InvalidProject(f"a project has one trainable task or two, not {len(tasks)}")
    names_so_far: set[str] = set()
    for task in tasks:
        if task.type not in TASKS:
            raise InvalidProject(f"no task is of the kind '{task.type}'; known: {', '.join(TASKS)}")
        names = [label.name for label in task.labels]
        anomaly = task.type.startswith("anomaly")
        if not names and not anomaly:
            raise InvalidProject(f"a {task.type} task needs a label")
        if anomaly and len(names) not in (0, 2):
            raise InvalidProject(
                f"an anomaly task has no labels of its own, or two: one of them anomalous; not {len(names)}"
            )
        if task.type == "classification" and len(tasks) == 1 and sum(not label.parent for label in task.labels) < 2:
            raise InvalidProject("a classification project needs two labels without a parent, or more")
        _parents_first(task.labels)
        for name in names:
            if name in names_so_far:
                raise InvalidProject(f"label '{name}' is listed twice: the labels of both tasks need different names")
            names_so_far.add(name)


def _parents_first(labels: Iterable[NewLabel]) -> list[NewLabel]:
    """The labels with every parent before its children. Raises InvalidProject when a parent is missing."""
    waiting, placed, names = list(labels), [], {""}
    while waiting:
        ready = [label for label in waiting if label.parent in names]
        if not ready:
            raise InvalidProject(
                f"label '{waiting[0].name}': its parent '{waiting[0].parent}' is not among the task's labels"
            )
        first = ready[0]
        placed.append(first)
        names.add(first.name)
        waiting.remove(first)
    return placed


def _unused(title: str, titles: Sequence[str]) -> str:
    number, candidate = 2, title
    while candidate in titles:
        candidate, number = f"{title} {number}", number + 1
    return candidate
