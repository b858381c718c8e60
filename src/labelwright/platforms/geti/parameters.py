"""The settings of a project as a backup keeps them. Each is read by itself, and what cannot be read is kept as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.http.json_fields import Fields

from .client import GetiClient
from .configuration import ITERATIONS, keyed, parameters
from .models import GetiProject
from .session import NAME

_OWN = ("auto_training", *ITERATIONS)

_NOT_TOLD = "could not be read: the server's configuration does not mention it"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What can be set of a project, by places of tasks instead of ids."""

    auto_train: bool | None
    """Whether any task trains by itself; None when that could not be read."""
    iterations: Mapping[str, int]
    others: Mapping[str, Any]
    not_read: Mapping[str, str] = field(default_factory=dict)
    """What could not be read, and why."""


def archived_parameters(client: GetiClient, project: GetiProject) -> Parameters:
    """Auto-train, iterations, and every other value. One that the server refuses to tell does not cost the others."""
    not_read: dict[str, str] = {}
    auto_trains: list[bool] = []
    iterations: dict[str, int] = {}
    reads = {
        f"auto-train of '{task.title}'": partial(client.task_auto_trains, project, task) for task in project.trained
    }
    if client.dialect.patches_configuration:
        reads = {"auto-train": partial(client.auto_trains, project)}
    for what, read in reads.items():
        values = read_or_note(not_read, what, read)
        auto_trains += values or []
        if values == [] and project.trained:
            not_read[what] = _NOT_TOLD
    auto_train = True if any(auto_trains) else None if not_read else False
    for place, task in enumerate(project.trained):
        read_iterations = partial(client.task_iterations, project, task)
        number = read_or_note(not_read, f"iterations of '{task.title}'", read_iterations)
        if number is not None:
            iterations[str(place)] = number
    others = read_or_note(not_read, "configuration", lambda: dict(_others(client, project))) or {}
    return Parameters(auto_train, iterations, others, not_read)


def read_or_note(not_read: dict[str, str], what: str, read: Callable[[], _Value]) -> _Value | None:
    """What `read` returns. What the server refuses is noted as not read, with its words; an expired login is raised."""
    try:
        return read()
    except PlatformRefused as refused:
        if refused.status == 401:
            raise
        not_read[what] = why_not_read(refused)
        return None


def why_not_read(refused: PlatformRefused) -> str:
    """The reason as it is kept in backups and shown."""
    message = f" ({refused.message})" if refused.message else ""
    return f"could not be read: the server answered {refused.status} when asked to {refused.operation}{message}"


def _others(client: GetiClient, project: GetiProject) -> Iterator[tuple[str, Any]]:
    places = {task.id: str(place) for place, task in enumerate(project.trained)}
    found = Fields(NAME, "read the configuration", client.configuration(project))
    if client.dialect.patches_configuration:
        for task in found.each("task_configs"):
            place = places.get(task.id("task_id"), "")
            for group in ("training", "auto_training"):
                for one in keyed(task.json, group):
                    if one["key"] != "enable" or group != "auto_training":
                        yield f"{place}/{group}/{one['key']}", one["value"]
        return
    chains = [(places.get(task.id("task_id"), ""), task.each("components")) for task in found.each("task_chain")]
    for place, components in [("", found.each("global")), *chains]:
        for parameter in parameters(list(components)):
            if parameter.name not in _OWN and parameter.editable:
                yield f"{place}/{parameter.key}", parameter.value
