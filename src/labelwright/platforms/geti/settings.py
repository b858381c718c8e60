"""Calls of a project's configuration: auto-train, iterations and every other value. What is set is read back.

Until 2.11 each task has a configuration of its own, from 2.12 the project has one; `configuration` knows both forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labelwright.platforms.errors import NotFound, PlatformRefused

from . import configuration
from .configuration import OutOfBounds, Parameter
from .models import GetiProject, GetiTask
from .paths import GetiPaths
from .session import NAME

_MANIFEST_KEYS = ("model_manifest_id", "model_template_id", "id")


class GetiSettings(GetiPaths):
    """The calls of configuration."""

    def auto_train(self, project: GetiProject) -> bool:
        """Whether any task trains by itself."""
        return any(self.auto_trains(project))

    def set_auto_train(self, project: GetiProject, on: bool) -> None:
        """Switches auto-train for every task that differs, and reads it back. Idempotent.

        Raises PlatformRefused when the server accepts the change and still shows the old value.
        """
        operation = f"set auto-train of project {project.id}"
        if self.api_version.patches_configuration:
            changed = self._patch_auto_train(operation, project, on)
        else:
            current = {task.id: self.task_auto_trains(project, task) for task in project.trained}
            changed = [task for task in project.trained if current[task.id] != [on]]
            for task in changed:
                body = configuration.auto_train_body(self.api_version.workspace, project.id, task.id, on)
                self.session.request(operation, "POST", self._task_chain_path(project, task), json=body)
        if changed and any(value is not on for value in self.auto_trains(project)):
            message = f"auto-train is not {'on' if on else 'off'} after it was set"
            raise PlatformRefused(NAME, operation, status=200, message=message, advice="Set it on the server's page.")

    def _patch_auto_train(self, operation: str, project: GetiProject, on: bool) -> list[Any]:
        """Returns the entries that were changed."""
        path = f"{self._project_path(project.id)}/project_configuration"
        settings = self.session.request(operation, "GET", path)
        changed = [entry for entry in _auto_train_entries(settings) if entry["value"] is not on]
        for entry in changed:
            entry["value"] = on
        if changed:
            self.session.request(operation, "PATCH", path, json=settings)
        return changed

    def auto_trains(self, project: GetiProject) -> list[bool]:
        """Whether each task trains by itself; nothing for a task whose configuration does not contain it."""
        if self.api_version.patches_configuration:
            operation = f"read auto-train of project {project.id}"
            path = f"{self._project_path(project.id)}/project_configuration"
            settings = self.session.request(operation, "GET", path)
            return [entry["value"] is True for entry in _auto_train_entries(settings)]
        return [value for task in project.trained for value in self.task_auto_trains(project, task)]

    def task_auto_trains(self, project: GetiProject, task: GetiTask) -> list[bool]:
        """One value; none when the task's configuration does not contain it."""
        parameters = self.task_parameters(project, task)
        return [parameter.value is True for parameter in parameters if parameter.name == "auto_training"]

    def task_parameters(self, project: GetiProject, task: GetiTask) -> list[Parameter]:
        """The parameters of one task, until 2.11."""
        fields = self.session.get(f"read the configuration of '{task.title}'", self._task_chain_path(project, task))
        return list(configuration.parameters(list(fields.each("components"))))

    def set_iterations(self, project: GetiProject, iterations: int, titles: list[str] | None = None) -> dict[str, int]:
        """Sets the training length of every task (or those of these titles), within the server's bounds.

        Returns the values read back, by the tasks' titles. Raises PlatformRefused when the server keeps another number,
        or has no such parameter.
        """
        operation = f"set the iterations of project {project.id}"
        try:
            tasks = [task for task in project.trained if titles is None or task.title in titles]
            for task in tasks:
                self._set_iterations(operation, project, task, iterations)
        except OutOfBounds as error:
            refused = PlatformRefused(NAME, operation, message=str(error), advice="Choose a number within the bounds.")
        else:
            current = self.iterations(project)
            if any(current.get(task.title) != iterations for task in tasks):
                message = f"after it was set, the server has {current}"
                raise PlatformRefused(NAME, operation, status=200, message=message)
            return current
        raise refused

    def iterations(self, project: GetiProject) -> dict[str, int]:
        """The training length of each task by its title, without tasks that have no such parameter."""
        values = {task.title: self.task_iterations(project, task) for task in project.trained}
        return {title: value for title, value in values.items() if value is not None}

    def task_iterations(self, project: GetiProject, task: GetiTask) -> int | None:
        """The training length of one task, in iterations or epochs; None when it has no such parameter."""
        if self.api_version.patches_configuration:
            entry = next((entry for _, entry in self._training_entries(project, task)), None)
            value = entry["value"] if entry is not None else None
        else:
            parameter = configuration.iterations_of(iter(self.task_parameters(project, task)))
            value = parameter.value if parameter is not None else None
        return value if isinstance(value, int) else None

    def _set_iterations(self, operation: str, project: GetiProject, task: GetiTask, iterations: int) -> None:
        if self.api_version.patches_configuration:
            for settings, entry in self._training_entries(project, task):
                low, high = entry.get("min_value"), entry.get("max_value")
                Parameter("training", str(entry["key"]), entry["value"], {}, low, high).set_to(iterations)
                entry["value"] = iterations
                path = f"{self._project_path(project.id)}/training_configuration"
                self.session.request(operation, "PATCH", path, json=settings)
                return
        else:
            parameter = configuration.iterations_of(iter(self.task_parameters(project, task)))
            if parameter is not None:
                body = configuration.parameter_body(parameter.set_to(iterations))
                self.session.request(operation, "POST", self._task_chain_path(project, task), json=body)
                return
        message = f"'{task.title}' has none of the parameters {', '.join(configuration.ITERATIONS)}"
        raise PlatformRefused(NAME, operation, message=message)

    def _training_entries(
        self, project: GetiProject, task: GetiTask
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """From 2.12: the task's training configuration, and its entry for the training length."""
        operation = f"read the training of '{task.title}'"
        path = f"{self._project_path(project.id)}/training_configuration"
        manifest = self._manifest(project, task)
        query = f"model_manifest_id={manifest}" if manifest else f"task_id={task.id}"
        response = self.session.request(operation, "GET", f"{path}?{query}")
        if isinstance(response, dict):
            entries = {str(entry["key"]): entry for entry in configuration.key_value_entries(response, "training")}
            settings = {"task_id": task.id, **({"model_manifest_id": manifest} if manifest else {})} | response
            yield from ((settings, entries[name]) for name in configuration.ITERATIONS if name in entries)

    def _manifest(self, project: GetiProject, task: GetiTask) -> str:
        """Id of the task's default algorithm; "" when the server does not list it."""
        operation = f"list the algorithms of project {project.id}"
        try:
            listing = self.session.get(operation, f"{self._project_path(project.id)}/supported_algorithms")
        except NotFound:
            return ""
        algorithms = [
            item.json
            for item in (listing.each("supported_algorithms") if listing.has("supported_algorithms") else ())
            if task.type in (str(item.json.get(name, "")).casefold() for name in ("task", "task_type"))
        ]
        algorithms.sort(key=lambda item: not (item.get("is_default_model") or item.get("default_algorithm")))
        return next((str(item[name]) for item in algorithms[:1] for name in _MANIFEST_KEYS if item.get(name)), "")

    def configuration(self, project: GetiProject) -> dict[str, Any]:
        """The whole configuration, in the server's own form."""
        name = "project_configuration" if self.api_version.patches_configuration else "configuration"
        operation = f"read the configuration of project {project.id}"
        return self.session.get(operation, f"{self._project_path(project.id)}/{name}").json

    def set_configuration(self, project: GetiProject, values: Mapping[tuple[str, str], Any]) -> None:
        """Sets values of parameters (until 2.11), all in one request as recorded.

        Keys are pairs of a task's id ("" for the project) and "component/name".
        """
        operation = f"set the configuration of project {project.id}"
        body = configuration.whole_body(self.configuration(project), values)
        self.session.request(operation, "POST", f"{self._project_path(project.id)}/configuration", json=body)

    def patch_configuration(self, project: GetiProject, configuration: dict[str, Any]) -> None:
        """Sets the whole configuration from 2.12, in the form in which `configuration` returns it."""
        operation = f"set the configuration of project {project.id}"
        path = f"{self._project_path(project.id)}/project_configuration"
        self.session.request(operation, "PATCH", path, json=configuration)


def _auto_train_entries(settings: Any) -> Iterator[dict[str, Any]]:
    for task in settings.get("task_configs") or () if isinstance(settings, dict) else ():
        entries = configuration.key_value_entries(task, "auto_training")
        yield from (entry for entry in entries if entry["key"] == "enable")
