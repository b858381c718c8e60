"""Files, imports, storages."""

from __future__ import annotations

import mimetypes
import re
import secrets
from pathlib import PurePosixPath
from typing import Any

from .project_routes import _guard
from .server import Call, Reply, route
from .state import Annotation, File, NoRoute, Prediction, Refused, Task, data_keys, invalid, now

EXTENSIONS = frozenset(
    {".bmp", ".csv", ".flac", ".gif", ".htm", ".html", ".jpg", ".jpeg", ".json", ".m4a", ".mp3", ".ogg", ".png"}
    | {".svg", ".tsv", ".txt", ".wav", ".xml", ".mp4", ".webm", ".webp", ".pdf"}
)


@route("POST", r"/api/projects/(\d+)/import")
def import_tasks(call: Call, number: int) -> Reply:
    if number not in call.world.projects:
        raise NoRoute  # a project that is missing is a page here
    if call.files:
        return _import_files(call, number)
    payload = call.json()
    if isinstance(payload, dict) and "url" in payload:
        _guard(call, payload["url"], 400)
    items = payload if isinstance(payload, list) else [payload]
    _check(call, number, items)
    tasks = [_make_task(call, number, item) for item in items]
    return Reply(201, _report(call, tasks, annotations=sum(len(item.get("annotations", ())) for item in items),
                              predictions=sum(len(item.get("predictions", ())) for item in items)))  # fmt: skip


def _check(call: Call, project: int, items: list[Any]) -> None:
    """All or nothing: one bad item refuses the lot, and its number is told."""
    for place, item in enumerate(items):
        data = item.get("data", item) if isinstance(item, dict) else {}
        for key in data_keys(call.world.projects[project].label_config):
            if key not in data:
                text = f'"{key}" key is expected in task data [assume: item["data"] = task root with values]'
                faults: list[Any] = [{} for _ in range(place)]
                raise invalid(non_field_errors=[*faults, f"Error at item {place}: {text} :: {item}"])


def _make_task(call: Call, project: int, item: dict[str, Any], file: File | None = None) -> Task:
    world = call.world
    inner = 1 + max((task.inner_id for task in world.tasks_of(project)), default=0)
    task = Task(
        world.next_id("task"),
        project,
        item.get("data", item),
        item.get("meta", {}),
        item.get("inner_id", inner),
        file.id if file else None,
    )
    world.tasks[task.id] = task
    for annotation in item.get("annotations", ()):
        entry = Annotation(
            world.next_id("annotation"),
            task.id,
            annotation.get("result", []),
            annotation.get("completed_by", call.user.id),
            None,
            annotation.get("was_cancelled", False),
            annotation.get("ground_truth", True),
            annotation.get("lead_time"),
        )
        world.annotations[entry.id] = entry
    for prediction in item.get("predictions", ()):
        made = Prediction(
            world.next_id("prediction"),
            task.id,
            prediction["result"],
            prediction.get("model_version", ""),
            prediction.get("score"),
        )
        world.predictions[made.id] = made
    return task


def _import_files(call: Call, project: int) -> Reply:
    for name, _ in call.files.values():
        extension = PurePosixPath(name).suffix.lower()
        if extension not in EXTENSIONS:
            raise invalid(non_field_errors=[f"{extension} extension is not supported"])
    files = []
    for name, content in call.files.values():
        kept = re.sub(r"[^\w.\-]", "", name.replace(" ", "_"))
        path = f"upload/{project}/{secrets.token_hex(4)}-{kept}"
        file = File(call.world.next_id("file"), project, path, content)
        call.world.files[file.id] = file
        files.append(file)
    if call.query.get("commit_to_project", "true") == "false":
        report = _report(call, [], files=files) | {"task_count": len(files)}
        return Reply(201, report | {"annotation_count": None, "prediction_count": None})
    tasks = []
    for file in files:
        is_page = file.path.endswith((".html", ".htm", ".txt"))
        image = file.content.decode() if is_page else f"/data/{file.path}"
        tasks.append(_make_task(call, project, {"data": {"image": image}}, file))
    return Reply(201, _report(call, tasks, files=files))


def _report(
    call: Call, tasks: list[Task], *, files: list[File] | None = None, annotations: int = 0, predictions: int = 0
) -> dict[str, Any]:
    formats: Any = {}
    for file in files or ():
        extension = PurePosixPath(file.path).suffix
        formats[extension] = formats.get(extension, 0) + 1
    report = {
        "task_count": len(tasks),
        "annotation_count": annotations,
        "prediction_count": predictions,
        "duration": 0.1,
        "file_upload_ids": [file.id for file in files or ()],
        "could_be_tasks_list": False,
        "found_formats": formats if files else [],
        "data_columns": ["$undefined$"] if files else [],
    }
    if call.query.get("return_task_ids") == "true":
        report["task_ids"] = [task.id for task in tasks]
    return report


@route("POST", r"/api/projects/(\d+)/import/predictions")
def import_predictions(call: Call, number: int) -> Reply:
    project, items = call.world.project(number), call.json()
    for item in items:
        task = call.world.tasks.get(item["task"])
        if task is None or task.project != number:
            text = f'{item} contains invalid "task" field: corresponding task ID couldn\'t be retrieved from project '
            raise invalid(non_field_errors=[f"{text}{project.title} (id={number}) tasks"])
    for item in items:
        made = Prediction(
            call.world.next_id("prediction"),
            item["task"],
            item["result"],
            item.get("model_version", ""),
            item.get("score"),
        )
        call.world.predictions[made.id] = made
    return Reply(201, {"created": len(items)})


@route("GET", r"/api/projects/(\d+)/file-uploads")
def list_files(call: Call, number: int) -> Reply:
    call.world.project(number)
    if call.query.get("all") != "true":
        return Reply(200, [])
    files = [file for file in call.world.files.values() if file.project == number]
    return Reply(200, [_file_json(file) for file in files])


def _file_json(file: File) -> dict[str, Any]:
    return {"id": file.id, "file": file.path, "size": len(file.content)}


@route("GET", r"/api/import/file-upload/(\d+)")
def read_file(call: Call, number: int) -> Reply:
    if number not in call.world.files:
        raise Refused(404, "No FileUpload matches the given query.")
    return Reply(200, _file_json(call.world.files[number]))


@route("GET", r"/data/(upload/.*)")
def serve_file(call: Call, path: str) -> Reply:
    for file in call.world.files.values():
        if file.path == path:
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            return Reply(200, body=file.content, kind=kind)
    raise NoRoute


# Storages


@route("GET", r"/api/storages/localfiles")
def list_storages(call: Call) -> Reply:
    storages = call.world.storages.values()
    return Reply(200, [storage for storage in storages if str(storage["project"]) == call.query.get("project")])


@route("POST", r"/api/storages/localfiles")
def make_storage(call: Call) -> Reply:
    payload = call.json()
    number = call.world.next_id("storage")
    storage = {
        "id": number,
        "type": "localfiles",
        "synchronizable": True,
        "path": payload["path"],
        "regex_filter": payload.get("regex_filter"),
        "use_blob_urls": payload.get("use_blob_urls", False),
        "last_sync": None,
        "last_sync_count": None,
        "last_sync_job": None,
        "status": "initialized",
        "traceback": None,
        "meta": {},
        "title": payload.get("title"),
        "description": None,
        "created_at": now(),
        "recursive_scan": False,
        "project": payload["project"],
    }
    call.world.storages[number] = storage
    return Reply(201, storage)


@route("POST", r"/api/storages/localfiles/(\d+)/sync")
def sync_storage(call: Call, number: int) -> Reply:
    storage = call.world.storages[number]
    known = {task.storage_filename for task in call.world.tasks_of(storage["project"])}
    new = [f"{storage['path']}/{name}" for name in call.world.storage_files.get(storage["path"], [])]
    new = [name for name in new if name not in known]
    for name in new:
        folder, _, file = name.rpartition("/")
        image = f"/data/local-files/?d={folder.rpartition('/')[2]}/{file}"
        task = _make_task(call, storage["project"], {"data": {"image": image}})
        task.storage_filename = name
    meta = {"attempts": 1, "duration": 0.1, "tasks_existed": len(known) - 1}
    meta |= dict.fromkeys(("time_queued", "time_in_progress", "time_last_ping", "time_completed"), now())
    storage |= {"last_sync": now(), "last_sync_count": len(new), "status": "completed", "meta": meta}
    return Reply(200, storage)
