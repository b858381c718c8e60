"""What a project of each kind is made of: its tasks, how they are connected, its labels.

In a request tasks name each other by title, and labels their parents by name; parents come first (recorded).
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


class CannotBe(ValueError):
    """A project that no server takes: why, and what to do."""


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label to be made. `parent` is the name of one that stands before it in the same task."""

    name: str
    color: str = ""
    """#rrggbb or #rrggbbaa; empty: the server chooses."""
    group: str = ""
    """Of a group one label holds at a time; empty: that of its task."""
    parent: str = ""
    hotkey: str = ""


@dataclass(frozen=True, slots=True)
class NewTask:
    type: str
    labels: tuple[NewLabel, ...] = ()
    title: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def normal_kind(kind: str) -> str:
    """One of KINDS, from the ways that people write it: "Detection to segmentation", "detection_to_segmentation".

    Raises CannotBe.
    """
    plain = kind.strip().lower().replace("_to_", " -> ").replace(" to ", " -> ").replace("->", " -> ")
    wanted = " -> ".join("_".join(part.split()) for part in plain.split(" -> ") if part.strip())
    if wanted not in KINDS:
        raise CannotBe(f"no project is of the kind '{kind}'; known: {', '.join(KINDS)}")
    return wanted


def project_body(name: str, tasks: Sequence[NewTask], *, every_group: bool = False) -> dict[str, Any]:
    """The request that creates a project. Raises CannotBe.

    Of a hierarchy Sonoma Creek makes the groups that are not named, one for all (recorded: `default - <title>`). 2.x
    wants `every_group`, and takes no label beside its parent in one: those below a parent get their own.
    """
    check(tasks)
    said: list[dict[str, Any]] = [{"title": "Dataset", "task_type": "dataset"}]
    connections: list[dict[str, str]] = []
    titles = ["Dataset"]

    def add(task: dict[str, Any]) -> None:
        connections.append({"from": titles[-1], "to": task["title"]})
        titles.append(task["title"])
        said.append(task)

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
    return {"name": name, "pipeline": {"connections": connections, "tasks": said}}


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
    """Raises CannotBe for tasks that no server takes."""
    if not 1 <= len(tasks) <= 2:
        raise CannotBe(f"a project has one trainable task or two, not {len(tasks)}")
    seen: set[str] = set()
    for task in tasks:
        if task.type not in TASKS:
            raise CannotBe(f"no task is of the kind '{task.type}'; known: {', '.join(TASKS)}")
        names = [label.name for label in task.labels]
        anomaly = task.type.startswith("anomaly")
        if not names and not anomaly:
            raise CannotBe(f"a {task.type} task needs a label")
        if anomaly and len(names) not in (0, 2):
            raise CannotBe(f"an anomaly task has no labels of its own, or two: one of them anomalous; not {len(names)}")
        if task.type == "classification" and len(tasks) == 1 and sum(not label.parent for label in task.labels) < 2:
            raise CannotBe("a classification project needs two labels without a parent, or more")
        _parents_first(task.labels)
        for name in names:
            if name in seen:
                raise CannotBe(f"label '{name}' stands in the project twice: the names of both tasks must differ")
            seen.add(name)


def _parents_first(labels: Iterable[NewLabel]) -> list[NewLabel]:
    """Raises CannotBe when a parent is not there."""
    waiting, placed, names = list(labels), [], {""}
    while waiting:
        ready = [label for label in waiting if label.parent in names]
        if not ready:
            raise CannotBe(
                f"label '{waiting[0].name}': its parent '{waiting[0].parent}' is not among the task's labels"
            )
        first = ready[0]
        placed.append(first)
        names.add(first.name)
        waiting.remove(first)
    return placed


def _unused(title: str, titles: Sequence[str]) -> str:
    number, wanted = 2, title
    while wanted in titles:
        wanted, number = f"{title} {number}", number + 1
    return wanted
