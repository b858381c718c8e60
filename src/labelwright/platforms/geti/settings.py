"""What can be set of a project: auto-train, how long is trained, and everything else. Set, then read back.

Until 2.11 a task has a configuration of its own, from 2.12 a project has one; geti_configuration knows their forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields

from . import configuration
from .configuration import OutOfBounds, Parameter
from .models import GetiProject, GetiTask
from .paths import GetiReached
from .session import NAME

_MANIFEST = ("model_manifest_id", "model_template_id", "id")


class GetiSettings(GetiReached):
    """The calls of configuration."""

    def auto_train(self, project: GetiProject) -> bool:
        """Whether any task trains by itself."""
        return any(self.auto_trains(project))

    def set_auto_train(self, project: GetiProject, on: bool) -> None:
        """For every task that says otherwise, read back. Raises PlatformRefused when the server says that it did and
        did not."""
        operation = f"set auto-train of project {project.id}"
        if self.dialect.patches_configuration:
            set_now = self._patch_auto_train(operation, project, on)
        else:
            said = {task.id: self.task_auto_trains(project, task) for task in project.trained}
            set_now = [task for task in project.trained if said[task.id] != [on]]
            for task in set_now:
                body = configuration.auto_train_body(self.dialect.workspace, project.id, task.id, on)
                self.session.ask(operation, "POST", self._chain(project, task), json=body)
        if set_now and any(now is not on for now in self.auto_trains(project)):
            told = f"auto-train is not {'on' if on else 'off'} after it was set"
            raise PlatformRefused(NAME, operation, status=200, message=told, advice="Set it on the server's own page.")

    def _patch_auto_train(self, operation: str, project: GetiProject, on: bool) -> list[Any]:
        """Answers the values that were other."""
        path = f"{self._of(project.id)}/project_configuration"
        found = self.session.ask(operation, "GET", path)
        others = [one for one in _auto_training_keys(found) if one["value"] is not on]
        for one in others:
            one["value"] = on
        if others:
            self.session.ask(operation, "PATCH", path, json=found)
        return others

    def auto_trains(self, project: GetiProject) -> list[bool]:
        """Whether each task trains by itself; none for a task of which the server does not tell."""
        operation = f"read auto-train of project {project.id}"
        if self.dialect.patches_configuration:
            found = self.session.ask(operation, "GET", f"{self._of(project.id)}/project_configuration")
            return [one["value"] is True for one in _auto_training_keys(found)]
        return [one for task in project.trained for one in self.task_auto_trains(project, task)]

    def task_auto_trains(self, project: GetiProject, task: GetiTask) -> list[bool]:
        """One value; none where the server does not tell."""
        found = self.task_parameters(project, task)
        return [parameter.value is True for parameter in found if parameter.name == "auto_training"]

    def task_parameters(self, project: GetiProject, task: GetiTask) -> list[Parameter]:
        """Those of one task, until 2.11."""
        operation = f"read the configuration of '{task.title}'"
        answer = Fields(NAME, operation, self.session.ask(operation, "GET", self._chain(project, task)))
        return list(configuration.parameters(list(answer.each("components"))))

    def set_iterations(self, project: GetiProject, iterations: int, titles: list[str] | None = None) -> dict[str, int]:
        """How long every task (or those of these titles) is trained, within the server's bounds, read back. Answers it
        by the tasks' titles.

        Raises PlatformRefused when the server takes another number, or has no such parameter.
        """
        operation = f"set the iterations of project {project.id}"
        try:
            tasks = [task for task in project.trained if titles is None or task.title in titles]
            for task in tasks:
                self._set_iterations(operation, project, task, iterations)
        except OutOfBounds as fault:
            refused = PlatformRefused(NAME, operation, message=str(fault), advice="Choose a number within the bounds.")
        else:
            now = self.iterations(project)
            if any(now.get(task.title) != iterations for task in tasks):
                told = f"after it was set, the server says {now}"
                raise PlatformRefused(NAME, operation, status=200, message=told)
            return now
        raise refused

    def iterations(self, project: GetiProject) -> dict[str, int]:
        """How long each task is trained, by its title; none for a task that does not say."""
        found = {task.title: self.task_iterations(project, task) for task in project.trained}
        return {title: value for title, value in found.items() if value is not None}

    def task_iterations(self, project: GetiProject, task: GetiTask) -> int | None:
        """How long one task is trained; None when it does not say."""
        if self.dialect.patches_configuration:
            key = next((one for _, one in self._training_keys(project, task)), None)
            value = key["value"] if key is not None else None
        else:
            parameter = configuration.iterations_of(iter(self.task_parameters(project, task)))
            value = parameter.value if parameter is not None else None
        return value if isinstance(value, int) else None

    def _set_iterations(self, operation: str, project: GetiProject, task: GetiTask, iterations: int) -> None:
        if self.dialect.patches_configuration:
            for whole, one in self._training_keys(project, task):
                low, high = one.get("min_value"), one.get("max_value")
                Parameter("training", str(one["key"]), one["value"], {}, low, high).set_to(iterations)
                one["value"] = iterations
                path = f"{self._of(project.id)}/training_configuration"
                self.session.ask(operation, "PATCH", path, json=whole)
                return
        else:
            parameter = configuration.iterations_of(iter(self.task_parameters(project, task)))
            if parameter is not None:
                body = configuration.parameter_body(parameter.set_to(iterations))
                self.session.ask(operation, "POST", self._chain(project, task), json=body)
                return
        told = f"'{task.title}' has none of the parameters {', '.join(configuration.ITERATIONS)}"
        raise PlatformRefused(NAME, operation, message=told)

    def _training_keys(self, project: GetiProject, task: GetiTask) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """From 2.12: the task's training configuration, and the value in it that says how long is trained."""
        operation, path = f"read the training of '{task.title}'", f"{self._of(project.id)}/training_configuration"
        manifest = self._manifest(project, task)
        query = f"model_manifest_id={manifest}" if manifest else f"task_id={task.id}"
        found = self.session.ask(operation, "GET", f"{path}?{query}")
        if isinstance(found, dict):
            keys = {str(one["key"]): one for one in configuration.keyed(found, "training")}
            whole = {"task_id": task.id, **({"model_manifest_id": manifest} if manifest else {})} | found
            yield from ((whole, keys[name]) for name in configuration.ITERATIONS if name in keys)

    def _manifest(self, project: GetiProject, task: GetiTask) -> str:
        """What is trained for this task unless somebody chose otherwise; empty when the server does not say."""
        operation = f"list the algorithms of project {project.id}"
        try:
            answer = Fields(
                NAME, operation, self.session.ask(operation, "GET", f"{self._of(project.id)}/supported_algorithms")
            )
        except NotFound:
            return ""
        all_of_them = answer.each("supported_algorithms") if answer.has("supported_algorithms") else ()
        found = [
            one.json
            for one in all_of_them
            if task.type in (str(one.json.get(name, "")).casefold() for name in ("task", "task_type"))
        ]
        found.sort(key=lambda one: not (one.get("is_default_model") or one.get("default_algorithm")))
        return next((str(one[name]) for one in found[:1] for name in _MANIFEST if one.get(name)), "")

    def configuration(self, project: GetiProject) -> dict[str, Any]:
        """Everything that can be set, as the server tells it."""
        operation = f"read the configuration of project {project.id}"
        ending = "project_configuration" if self.dialect.patches_configuration else "configuration"
        return Fields(NAME, operation, self.session.ask(operation, "GET", f"{self._of(project.id)}/{ending}")).json

    def set_configuration(self, project: GetiProject, values: Mapping[tuple[str, str], Any]) -> None:
        """Set values of parameters (until 2.11), all in one request as recorded. Keys are pairs of a task's id ("" for
        the project) and "component/name"."""
        operation = f"set the configuration of project {project.id}"
        found = self.configuration(project)
        body = configuration.whole_body(found, values)
        self.session.ask(operation, "POST", f"{self._of(project.id)}/configuration", json=body)

    def patch_configuration(self, project: GetiProject, configuration: dict[str, Any]) -> None:
        """Set what `configuration` answered, with other values, from 2.12."""
        operation = f"set the configuration of project {project.id}"
        self.session.ask(operation, "PATCH", f"{self._of(project.id)}/project_configuration", json=configuration)


def _auto_training_keys(found: Any) -> Iterator[dict[str, Any]]:
    for task in found.get("task_configs") or () if isinstance(found, dict) else ():
        yield from (one for one in configuration.keyed(task, "auto_training") if one["key"] == "enable")
