"""Configuration of projects: what the servers tell, and the requests that change it, in the recorded forms.

Until 2.11 a task has components with parameters; from 2.12 a project has task configurations with keys and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from labelwright.platforms.http.json_fields import Fields

ITERATIONS = ("num_iters", "max_num_epochs", "max_epochs")
"""Names of the parameter that says how long is trained: the first that is there counts."""
_LEARNING = ("learning_parameters", "dataset")
"""Groups that it is in, of newer and older servers (the seed)."""
_KEPT = ("name", "data_type", "template_type", "auto_hpo_state", "value", "min_value", "max_value")


class OutOfBounds(ValueError):
    """A value that the server does not take: which, and what it takes."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that can be set, where it is, and its bounds."""

    component: str
    """`learning_parameters`, `TASK_NODE`, ...: the group's or the component's name."""
    name: str
    value: Any
    entity: Mapping[str, Any]
    low: float | None = None
    high: float | None = None
    editable: bool = True
    kind: str = ""

    @property
    def key(self) -> str:
        return f"{self.component}/{self.name}"

    def set_to(self, value: Any) -> Parameter:
        """Raises OutOfBounds."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = self.low if self.low is not None else value
            high = self.high if self.high is not None else value
            if not low <= value <= high:
                raise OutOfBounds(f"{self.name} is from {low:g} to {high:g}, not {value:g}")
        return replace(self, value=value)


def parameters(components: Iterator[Fields] | list[Fields]) -> Iterator[Parameter]:
    """Every parameter of components as `configuration/task_chain/{task}` gives them, those of groups too."""
    for component in components:
        entity = component.inner("entity_identifier")
        where = next((str(entity.json[name]) for name in ("group_name", "component") if entity.json.get(name)), "")
        yield from _of(component, where, entity.json)
        for group in component.each("groups") if component.has("groups") else ():
            yield from _of(group, f"{where}.{group.text('name')}", entity.json)


def _of(holder: Fields, component: str, entity: Mapping[str, Any]) -> Iterator[Parameter]:
    for one in holder.each("parameters") if holder.has("parameters") else ():
        yield Parameter(
            component,
            one.text("name"),
            one.json.get("value"),
            entity,
            one.number("min_value") if one.has("min_value") else None,
            one.number("max_value") if one.has("max_value") else None,
            one.json.get("editable") is not False,
            one.text("data_type") if one.has("data_type") else "",
        )


def iterations_of(found: Iterator[Parameter]) -> Parameter | None:
    """The parameter that says how long is trained."""
    learning = [one for one in found if one.name in ITERATIONS]
    learning.sort(key=lambda one: (ITERATIONS.index(one.name), _rank(one.component)))
    return learning[0] if learning else None


def _rank(component: str) -> int:
    return _LEARNING.index(component) if component in _LEARNING else len(_LEARNING)


def auto_train_body(workspace: str, project: str, task: str, on: bool) -> dict[str, Any]:
    """Exactly as recorded."""
    entity = {
        "type": "COMPONENT_PARAMETERS",
        "workspace_id": workspace,
        "component": "TASK_NODE",
        "project_id": project,
        "task_id": task,
    }
    return {
        "components": [{"entity_identifier": entity, "parameters": [{"name": "auto_training", "value": on}]}],
    }


def parameter_body(parameter: Parameter) -> dict[str, Any]:
    """One parameter of a task, in the form of the above."""
    entity = {name: value for name, value in parameter.entity.items() if value not in ("", None)}
    one = {"name": parameter.name, "value": parameter.value}
    return {"components": [{"entity_identifier": entity, "parameters": [one]}]}


def whole_body(configuration: Mapping[str, Any], wanted: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """All of `GET configuration`, with some values changed, in the form in which it was recorded being set.

    `wanted` maps (task's id, "" for the project; "component/name") to a value.
    """
    tasks = [
        {
            "components": [_component(one, wanted, str(task["task_id"])) for one in task.get("components") or ()],
            "task_id": task["task_id"],
            **({"task_title": task["task_title"]} if "task_title" in task else {}),
        }
        for task in configuration.get("task_chain") or ()
    ]
    return {
        "task_chain": tasks,
        "global": [_component(one, wanted, "") for one in configuration.get("global") or ()],
    }


def _component(one: Mapping[str, Any], wanted: Mapping[tuple[str, str], Any], task: str) -> dict[str, Any]:
    entity = {name: value for name, value in one["entity_identifier"].items() if value not in ("", None)}
    where = str(entity.get("group_name") or entity.get("component") or "")
    said = _group(one, wanted, task, where)
    if one.get("groups"):
        said["groups"] = [
            _group(group, wanted, task, f"{where}.{group.get('name', '')}", nested=True) for group in one["groups"]
        ]
    return said | {"entity_identifier": entity, **({"id": one["id"]} if "id" in one else {})}


def _group(
    one: Mapping[str, Any], wanted: Mapping[tuple[str, str], Any], task: str, where: str, *, nested: bool = False
) -> dict[str, Any]:
    said: dict[str, Any] = {name: one[name] for name in ("header", "type") if name in one}
    said["parameters"] = [
        {name: parameter[name] for name in _KEPT if name in parameter}
        | {"value": wanted.get((task, f"{where}/{parameter['name']}"), parameter.get("value"))}
        for parameter in one.get("parameters") or ()
    ]
    if nested or one.get("name"):
        said["name"] = one.get("name")
    return said


def keyed(found: Any, *path: str) -> Iterator[dict[str, Any]]:
    """Every `{"key": ..., "value": ...}` of a configuration of 2.12 below `path`, however deep (from the documents:
    groups are objects or lists of lists of these)."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    waiting = [found]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            if "key" in one and "value" in one:
                yield one
            else:
                waiting += list(one.values())
        elif isinstance(one, list):
            waiting += one
