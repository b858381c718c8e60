"""Reads a project's settings for a backup, one by one, so that an unreadable setting is noted and costs no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.configuration import ITERATIONS, key_value_entries, parameters
from labelwright.platforms.geti.models import GetiProject
from labelwright.platforms.geti.session import NAME
from labelwright.platforms.http.json_fields import Fields

_SEPARATE = ("auto_training", *ITERATIONS)
"""Parameters that a backup has in fields of their own."""
_NOT_MENTIONED = "could not be read: the server's configuration does not mention it"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Parameters:
    """A project's settings. Tasks are named by their index among the trainable ones, because ids are the server's."""

    auto_train: bool | None
    """Whether any task trains by itself; None when that could not be read."""
    iterations: Mapping[str, int]
    """By the task's index."""
    others: Mapping[str, Any]
    """By `<task's index>/<component>/<name>`."""
    not_read: Mapping[str, str] = field(default_factory=dict)
    """Settings that could not be read, with the reason."""


def archived_parameters(client: GetiClient, project: GetiProject) -> Parameters:
    """Reads auto-train, iterations and every other value. A setting that the server refuses is noted in `not_read`."""
    not_read: dict[str, str] = {}
    auto_trains: list[bool] = []
    iterations: dict[str, int] = {}
    reads = {
        f"auto-train of '{task.title}'": partial(client.task_auto_trains, project, task) for task in project.trained
    }
    if client.api_version.patches_configuration:
        reads = {"auto-train": partial(client.auto_trains, project)}
    for setting, read in reads.items():
        values = read_or_note(not_read, setting, read)
        auto_trains += values or []
        if values == [] and project.trained:
            not_read[setting] = _NOT_MENTIONED
    auto_train = True if any(auto_trains) else None if not_read else False
    for index, task in enumerate(project.trained):
        read_iterations = partial(client.task_iterations, project, task)
        number = read_or_note(not_read, f"iterations of '{task.title}'", read_iterations)
        if number is not None:
            iterations[str(index)] = number
    others = read_or_note(not_read, "configuration", lambda: dict(_other_values(client, project))) or {}
    return Parameters(auto_train, iterations, others, not_read)


def read_or_note(not_read: dict[str, str], name: str, read: Callable[[], _Value]) -> _Value | None:
    """Returns what `read` returns. A refusal goes into `not_read` under `name`; an expired login (401) is raised."""
    try:
        return read()
    except PlatformRefused as refused:
        if refused.status == 401:
            raise
        not_read[name] = refusal_reason(refused)
        return None


def refusal_reason(refused: PlatformRefused) -> str:
    """The reason as it is stored in backups and shown to people."""
    message = f" ({refused.message})" if refused.message else ""
    return f"could not be read: the server answered {refused.status} when asked to {refused.operation}{message}"


def _other_values(client: GetiClient, project: GetiProject) -> Iterator[tuple[str, Any]]:
    indexes = {task.id: str(index) for index, task in enumerate(project.trained)}
    configuration = Fields(NAME, "read the configuration", client.configuration(project))
    if client.api_version.patches_configuration:
        for task in configuration.each("task_configs"):
            index = indexes.get(task.id("task_id"), "")
            for group in ("training", "auto_training"):
                for entry in key_value_entries(task.json, group):
                    if entry["key"] != "enable" or group != "auto_training":
                        yield f"{index}/{group}/{entry['key']}", entry["value"]
        return
    chains = [
        (indexes.get(task.id("task_id"), ""), task.each("components")) for task in configuration.each("task_chain")
    ]
    for index, components in [("", configuration.each("global")), *chains]:
        for parameter in parameters(list(components)):
            if parameter.name not in _SEPARATE and parameter.editable:
                yield f"{index}/{parameter.key}", parameter.value
