"""Tasks for single calls of a Label Studio server: projects, images, annotations, snapshots, webhooks, storages.

They take the name of a connection and need no campaign. Tasks return Label Studio's own JSON. Those that create
something look first, so that a retry creates nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from labelwright.platforms import PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.label_studio.adapter import NAME, LabelStudio
from labelwright.platforms.label_studio.reopening import to_draft
from labelwright.tasks.chaining import task
from labelwright.tasks.context import connect_platform
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

Json = dict[str, Any]


def label_studio_of(connection: str) -> LabelStudio:
    """Returns the adapter for a connection. Raises SettingsError, and PlatformRefused for another platform's one."""
    name, platform = connect_platform(connection)
    if not isinstance(platform, LabelStudio):
        message = f"connection '{connection}' is one of {name}"
        advice = "Name a connection whose platform is label_studio."
        raise PlatformRefused(NAME, "connect", message=message, advice=advice)
    return platform


def _get(connection: str, operation: str, path: str, params: Mapping[str, str | int] | None = None) -> Any:
    return label_studio_of(connection).server.client.call(operation, "GET", path, params=params)


# Server and people


@task(task_run_name="check {connection}", **RETRY_POLICY)
def check_server(connection: str = NAME) -> str:
    """Returns the server's version and address, after a request with the token."""
    return label_studio_of(connection).check()


@task(task_run_name="list users of {connection}", **RETRY_POLICY)
def list_users(connection: str = NAME) -> list[Json]:
    return list(_get(connection, "list the users", "/api/users"))


# Projects


@task(task_run_name="read project {project}", **RETRY_POLICY)
def read_project(project: int, connection: str = NAME) -> Json:
    """Returns a project with its labeling configuration and counters."""
    return cast(Json, _get(connection, f"read project {project}", f"/api/projects/{project}"))


@task(task_run_name="find projects '{title}'", **RETRY_POLICY)
def find_projects(title: str, connection: str = NAME) -> list[Json]:
    """Returns all projects of exactly this title. The server's own filter ignores case and finds parts of titles."""
    params: dict[str, str | int] = {"title": title, "page_size": 1000}
    listed = Fields(NAME, "list the projects", _get(connection, "list the projects", "/api/projects", params))
    return [project.json for project in listed.each("results") if project.json.get("title") == title]


@task(task_run_name="create project '{title}'", **RETRY_POLICY)
def create_project(title: str, label_config: str, fields: Json | None = None, connection: str = NAME) -> Json:
    """Creates a project, unless there is one of exactly this title. Titles have 3 to 50 characters."""
    existing = find_projects.fn(title, connection)
    log().info("%s project '%s'", "find" if existing else "create", title)
    if existing:
        return min(existing, key=lambda project: int(project["id"]))
    payload = {"title": title, "label_config": label_config, **(fields or {})}
    client = label_studio_of(connection).server.client
    return cast(Json, client.call(f"create project '{title}'", "POST", "/api/projects", json=payload))


@task(task_run_name="change project {project}", **RETRY_POLICY)
def change_project(project: int, fields: Json, connection: str = NAME) -> None:
    """Changes fields of a project. A labeling configuration that drops a label in use is accepted by the server."""
    label_studio_of(connection).server.change(project, f"change project {project}", **fields)


@task(task_run_name="delete project {project}", **RETRY_POLICY)
def delete_project(project: int, connection: str = NAME) -> None:
    """Deletes a project with its tasks. Idempotent. Uploaded files stay on the server's disk."""
    log().info("delete project %d", project)
    label_studio_of(connection).server.delete(project, f"delete project {project}")


# Tasks and files


@task(task_run_name="list tasks of project {project}", **RETRY_POLICY)
def list_tasks(
    project: int, include: str = "", filters: list[Json] | None = None, connection: str = NAME
) -> list[Json]:
    """Returns the tasks of a project in the order of their ids, with annotations unless `include` names fields.

    filters: as in {"filter": "filter:tasks:data.lw_name", "operator": "equal", "type": "String", "value": "a.jpg"}.
    """
    client = label_studio_of(connection).server.client
    operation = f"list the tasks of project {project}"
    tasks = client.tasks(
        operation, project, include=include, filters=filters or (), everything=not include, page_size=500
    )
    return [item.json for item in tasks]


@task(task_run_name="read task {number}", **RETRY_POLICY)
def read_task(number: int, connection: str = NAME) -> Json:
    return cast(Json, _get(connection, f"read task {number}", f"/api/tasks/{number}"))


@task(task_run_name="delete task {number}", **RETRY_POLICY)
def delete_task(number: int, connection: str = NAME) -> None:
    """Deletes a task with its annotations. Idempotent."""
    label_studio_of(connection).server.delete_task(str(number), f"delete task {number}")


@task(task_run_name="list files of project {project}", **RETRY_POLICY)
def list_files(project: int, connection: str = NAME) -> list[Json]:
    """Returns id, path and size of every uploaded file, also of those that no task shows."""
    path = f"/api/projects/{project}/file-uploads"
    return list(_get(connection, f"list the files of project {project}", path, {"all": "true"}))


# Annotations and predictions


@task(task_run_name="list annotations of task {number}", **RETRY_POLICY)
def list_annotations(number: int, connection: str = NAME) -> list[Json]:
    return list(_get(connection, f"list the annotations of task {number}", f"/api/tasks/{number}/annotations/"))


@task(task_run_name="make a draft of annotation {number}", **RETRY_POLICY)
def convert_to_draft(number: int, connection: str = NAME) -> None:
    """Gives an annotation back: its task is unlabeled again, with a draft. Does nothing when it is gone."""
    log().info("make a draft of annotation %d", number)
    to_draft(label_studio_of(connection).server, str(number), f"make a draft of annotation {number}")


@task(task_run_name="list model versions of project {project}", **RETRY_POLICY)
def list_model_versions(project: int, connection: str = NAME) -> dict[str, int]:
    """Returns the number of predictions by model version."""
    path = f"/api/projects/{project}/model-versions"
    return dict(_get(connection, f"list the model versions of project {project}", path))


@task(task_run_name="delete predictions of {model_version}", **RETRY_POLICY)
def delete_predictions(project: int, model_version: str, connection: str = NAME) -> int:
    """Deletes all predictions of a model version. Returns how many there were."""
    client, operation = label_studio_of(connection).server.client, f"delete the predictions of {model_version}"
    path, payload = f"/api/projects/{project}/model-versions", {"model_version": model_version}
    return Fields(NAME, operation, client.call(operation, "DELETE", path, json=payload)).whole("deleted_predictions")


# Snapshots


@task(task_run_name="list snapshots of project {project}", **RETRY_POLICY)
def list_snapshots(project: int, connection: str = NAME) -> list[Json]:
    return list(_get(connection, f"list the snapshots of project {project}", f"/api/projects/{project}/exports/"))


@task(task_run_name="create snapshot '{title}' of project {project}", **RETRY_POLICY)
def create_snapshot(project: int, title: str, connection: str = NAME) -> Json:
    """Creates a snapshot of all annotations, unless there is one of that title."""
    for snapshot in list_snapshots.fn(project, connection):
        if snapshot.get("title") == title:
            return snapshot
    client, path = label_studio_of(connection).server.client, f"/api/projects/{project}/exports/"
    return cast(Json, client.call(f"create snapshot '{title}'", "POST", path, json={"title": title}))


@task(task_run_name="download snapshot {snapshot} to {path}", **RETRY_POLICY)
def download_snapshot(project: int, snapshot: int, path: str, format: str = "JSON", connection: str = NAME) -> str:
    """Writes a snapshot to a file. Returns its path.

    Formats other than JSON are the server's own; they lose rotated boxes, skips and second annotations.
    """
    client, file = label_studio_of(connection).server.client, Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as target:
        address = f"/api/projects/{project}/exports/{snapshot}/download"
        client.download(f"download snapshot {snapshot}", address, {"exportType": format}, target)
    return str(file)


@task(task_run_name="delete snapshot {snapshot}", **RETRY_POLICY)
def delete_snapshot(project: int, snapshot: int, connection: str = NAME) -> None:
    """Deletes a snapshot. Idempotent."""
    if any(item.get("id") == snapshot for item in list_snapshots.fn(project, connection)):
        path = f"/api/projects/{project}/exports/{snapshot}"
        label_studio_of(connection).server.client.delete(f"delete snapshot {snapshot}", path)


# Webhooks


@task(task_run_name="post events of project {project} to {target}", **RETRY_POLICY)
def put_webhook(project: int, target: str, connection: str = NAME) -> int:
    """Creates a webhook, or updates the one with that target. Returns its id. `labelwright receive` is its target."""
    return label_studio_of(connection).put_webhook(str(project), target)


@task(task_run_name="list webhooks of project {project}", **RETRY_POLICY)
def list_webhooks(project: int, connection: str = NAME) -> list[Json]:
    """Returns the webhooks, without the headers, which may hold secrets."""
    listed = _get(connection, f"list the webhooks of project {project}", "/api/webhooks/", {"project": project})
    return [{name: value for name, value in hook.items() if name != "headers"} for hook in listed]


@task(task_run_name="delete webhook {number}", **RETRY_POLICY)
def delete_webhook(number: int, project: int, connection: str = NAME) -> None:
    """Deletes a webhook. Idempotent."""
    if any(hook.get("id") == number for hook in list_webhooks.fn(project, connection)):
        client = label_studio_of(connection).server.client
        client.delete(f"delete webhook {number}", f"/api/webhooks/{number}/")


# Folders of the server


@task(task_run_name="add folder {path} to project {project}", **RETRY_POLICY)
def add_folder(project: int, path: str, pattern: str = ".*", connection: str = NAME) -> Json:
    """Connects a folder of the server's machine with a project, unless it is. Its images come in by `sync_folder`."""
    client, operation = label_studio_of(connection).server.client, f"add a folder to project {project}"
    for storage in client.call(operation, "GET", "/api/storages/localfiles", params={"project": project}):
        if storage.get("path") == path:
            return cast(Json, storage)
    payload = {"project": project, "path": path, "regex_filter": pattern, "use_blob_urls": True, "title": path}
    return cast(Json, client.call(operation, "POST", "/api/storages/localfiles", json=payload))


@task(task_run_name="sync folder {storage}", **RETRY_POLICY)
def sync_folder(storage: int, connection: str = NAME) -> Json:
    """Creates tasks for the images of a folder that have none yet."""
    client, path = label_studio_of(connection).server.client, f"/api/storages/localfiles/{storage}/sync"
    synced = cast(Json, client.call(f"sync folder {storage}", "POST", path, json={}))
    if synced.get("status") == "failed":
        message = str(synced.get("traceback") or "no reason given")[-300:]
        raise PlatformRefused(NAME, f"sync folder {storage}", status=200, message=message)
    return synced
