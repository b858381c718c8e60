"""Reads a project's configuration from the servers' JSON and builds the requests that change it, as recorded.

Until 2.11 a task has components with parameters; from 2.12 a project has task configurations with keys and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from labelwright.platforms.http.json_fields import Fields

ITERATIONS = ("num_iters", "max_num_epochs", "max_epochs")
"""Names of the parameter for the training length; the first that exists is used."""
_LEARNING_GROUPS = ("learning_parameters", "dataset")
"""Groups that contain it, in newer and older servers (documented)."""
_SENT_KEYS = ("name", "data_type", "template_type", "auto_hpo_state", "value", "min_value", "max_value")


class OutOfBounds(ValueError):
    """A value outside the server's bounds."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that can be set, its place in the configuration, and its bounds."""

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
    """Every parameter of components as in `configuration/task_chain/{task}`, those of groups included."""
    for component in components:
        entity = component.inner("entity_identifier")
        name = next((str(entity.json[key]) for key in ("group_name", "component") if entity.json.get(key)), "")
        yield from _parameters_of(component, name, entity.json)
        for group in component.each("groups") if component.has("groups") else ():
            yield from _parameters_of(group, f"{name}.{group.text('name')}", entity.json)


def _parameters_of(holder: Fields, component: str, entity: Mapping[str, Any]) -> Iterator[Parameter]:
    for parameter in holder.each("parameters") if holder.has("parameters") else ():
        yield Parameter(
            component,
            parameter.text("name"),
            parameter.json.get("value"),
            entity,
            parameter.number("min_value") if parameter.has("min_value") else None,
            parameter.number("max_value") if parameter.has("max_value") else None,
            parameter.json.get("editable") is not False,
            parameter.text("data_type") if parameter.has("data_type") else "",
        )


def iterations_of(parameters: Iterator[Parameter]) -> Parameter | None:
    """The parameter for the training length."""
    candidates = [parameter for parameter in parameters if parameter.name in ITERATIONS]
    candidates.sort(key=lambda parameter: (ITERATIONS.index(parameter.name), _rank(parameter.component)))
    return candidates[0] if candidates else None


def _rank(component: str) -> int:
    return _LEARNING_GROUPS.index(component) if component in _LEARNING_GROUPS else len(_LEARNING_GROUPS)


def auto_train_body(workspace: str, project: str, task: str, on: bool) -> dict[str, Any]:
    """The request that switches auto-train of a task, exactly as recorded."""
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
    """The request that sets one parameter of a task, in the same form."""
    entity = {name: value for name, value in parameter.entity.items() if value not in ("", None)}
    entry = {"name": parameter.name, "value": parameter.value}
    return {"components": [{"entity_identifier": entity, "parameters": [entry]}]}


def whole_body(configuration: Mapping[str, Any], values: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """The request that sets the whole configuration (of `GET configuration`) with some values changed, as recorded.

    `values` maps (task's id, "" for the project; "component/name") to a value.
    """
    tasks = [
        {
            "components": [
                _component(component, values, str(task["task_id"])) for component in task.get("components") or ()
            ],
            "task_id": task["task_id"],
            **({"task_title": task["task_title"]} if "task_title" in task else {}),
        }
        for task in configuration.get("task_chain") or ()
    ]
    return {
        "task_chain": tasks,
        "global": [_component(component, values, "") for component in configuration.get("global") or ()],
    }


def _component(component: Mapping[str, Any], values: Mapping[tuple[str, str], Any], task: str) -> dict[str, Any]:
    entity = {name: value for name, value in component["entity_identifier"].items() if value not in ("", None)}
    name = str(entity.get("group_name") or entity.get("component") or "")
    body = _group(component, values, task, name)
    if component.get("groups"):
        body["groups"] = [
            _group(group, values, task, f"{name}.{group.get('name', '')}", nested=True) for group in component["groups"]
        ]
    return body | {"entity_identifier": entity, **({"id": component["id"]} if "id" in component else {})}


def _group(
    group: Mapping[str, Any], values: Mapping[tuple[str, str], Any], task: str, component: str, *, nested: bool = False
) -> dict[str, Any]:
    body: dict[str, Any] = {name: group[name] for name in ("header", "type") if name in group}
    body["parameters"] = [
        {name: parameter[name] for name in _SENT_KEYS if name in parameter}
        | {"value": values.get((task, f"{component}/{parameter['name']}"), parameter.get("value"))}
        for parameter in group.get("parameters") or ()
    ]
    if nested or group.get("name"):
        body["name"] = group.get("name")
    return body


def key_value_entries(configuration: Any, *path: str) -> Iterator[dict[str, Any]]:
    """Every `{"key": ..., "value": ...}` of a configuration of 2.12 below `path`, at any depth.

    Groups are objects, or lists of lists of entries (documented).
    """
    for name in path:
        configuration = configuration.get(name) if isinstance(configuration, dict) else None
    queue = [configuration]
    while queue:
        node = queue.pop(0)
        if isinstance(node, dict):
            if "key" in node and "value" in node:
                yield node
            else:
                queue += list(node.values())
        elif isinstance(node, list):
            queue += node
