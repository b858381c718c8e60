"""What Remo answers to uploads, by generation."""

from __future__ import annotations

import uuid
from typing import Any

from .rendering import upload_shown
from .routes import Answer, Asked, ServerError, number, route
from .state import TASKS, Dataset, Upload, World, task_number

_NO_PAGE = {"count": 0, "next": None, "previous": None, "results": []}


@route("POST", "/api/dataset/{}/upload/")
def upload(world: World, request: Asked, dataset: str) -> Answer:
    record, set_number = world.datasets.get(number(dataset)), request.query.get("annotation_set_id")
    if set_number and not set_number.isdecimal():
        return Answer(400, {"error": "Annotation_set_id should be integer value."})
    if set_number and (int(set_number) not in world.sets or world.sets[int(set_number)].dataset != number(dataset)):
        return Answer(404, {"error": f"Annotation set #{set_number} was not found."})
    if record is None:
        return Answer(403, {"error": "Only admin can edit public datasets."})
    if request.content_type.startswith("multipart/form-data"):
        payload: dict[str, Any] = dict(request.form)
    elif request.content_type.startswith("application/json"):
        payload = request.json()
    else:
        message = f"Not supported payload format: {request.content_type}"
        return Answer(400, {"error": message} if world.modern else {"error": True, "detail": message})
    task = task_number(payload.get("annotation_task")) if payload.get("annotation_task") else None
    if set_number and task and world.sets[int(set_number)].task != task:
        own_task = TASKS[world.sets[int(set_number)].task]
        message = f"Annotation set #{set_number} task ({own_task}) does not match with giving task"
        return Answer(400, {"error": f"{message} - {TASKS[task]}"})
    handler = _upload_new if world.modern else _upload_old
    return handler(world, request, record, payload, task, int(set_number) if set_number else None)


def _upload_new(
    world: World, request: Asked, dataset: Dataset, payload: dict[str, Any], task: int | None, set_number: int | None
) -> Answer:
    form = request.content_type.startswith("multipart")
    if form and "folder_id" in payload:
        raise ServerError  # it compares a text with a number
    session = (
        world.uploads.get(str(payload["session_id"])) if payload.get("session_id") else _new_upload(world, dataset)
    )
    if session is None:
        return Answer(404, {"error": f"session_id: {payload['session_id']} was not found"})
    if session.status == "not complete":
        for name, data in request.files:
            world.store(session, name, data)
        session.task, session.annotation_set = session.task or task, session.annotation_set or set_number
        if not form:
            session.local_files += payload.get("local_files") or []
            session.urls += payload.get("urls") or []
            folder = payload.get("folder_id")
            session.folder = folder if isinstance(folder, int) and folder in dataset.folders else session.folder
    if payload.get("complete") in (True, "true", "True"):
        _start(session)
    return Answer(200, {"session_id": session.id})


def _upload_old(
    world: World, request: Asked, dataset: Dataset, payload: dict[str, Any], task: int | None, set_number: int | None
) -> Answer:
    form = request.content_type.startswith("multipart")
    folder = request.query.get("folder_id") if form else payload.get("folder_id")
    if form and folder and number(str(folder)) not in dataset.folders:
        return Answer(400, {"error": True, "detail": "wrong 'folder_id' query parameter", **_NO_PAGE})
    session = Upload(str(uuid.uuid4()), dataset.id, task=task, annotation_set=set_number)
    session.folder = number(str(folder)) if folder and number(str(folder)) in dataset.folders else None
    for name, data in request.files:
        world.store(session, name, data)
    session.local_files, session.urls = payload.get("local_files") or [], payload.get("urls") or []
    if any(url not in world.web for url in session.urls):
        return Answer(400, {"error": "invalid URL"})
    world.work_off(session)
    duplicated = "Found duplicated image, it will be skipped. Filename "
    errors, added = [], session.images.successful
    for name, reasons in session.images.errors.items():
        if "Duplicated" in reasons[0]:
            added -= 1
            errors.append(duplicated + (name if form else ""))
        elif "content type" not in reasons[0]:  # what is no image is left out without a word
            errors.append(f"Failed to upload image {name}, error: unable to call VipsForeignLoad")
    return Answer(200, {"files uploaded": added, "annotations": session.annotations.successful, "errors": errors})


def _new_upload(world: World, dataset: Dataset) -> Upload:
    created = Upload(str(uuid.uuid4()), dataset.id)
    world.uploads[created.id] = created
    return created


def _start(session: Upload) -> bool:
    if session.status != "not complete":
        return False
    session.status = "pending"
    return True


def _look(world: World, session: Upload) -> None:
    """Time goes by while it is looked at."""
    if session.status in ("pending", "in progress"):
        session.looks += 1
        session.status = "in progress"
        if session.looks >= world.looks_until_done and session.dataset in world.datasets:
            world.work_off(session)


@route("POST", "/api/v1/ui/uploads/", "new")
def open_upload(world: World, request: Asked) -> Answer:
    record = world.datasets.get(request.json().get("dataset_id"))
    if record is None:
        return Answer(404, {"error": "Dataset not found"})
    return Answer(201, upload_shown(world, _new_upload(world, record)))


@route("GET", "/api/v1/ui/uploads/", "new")
def list_uploads(world: World, request: Asked) -> Answer:
    over = request.query.get("show_active") is None
    record = [session for session in world.uploads.values() if (session.status in ("done", "failed")) == over]
    shown = [upload_shown(world, session) for session in reversed(record)]
    for session in record:
        _look(world, session)
    return Answer(200, {"results": shown})


@route("GET", "/api/v1/ui/uploads/{}/status/", "new")
def read_upload(world: World, request: Asked, upload_id: str) -> Answer:
    if upload_id not in world.uploads:
        return Answer(404, {"error": f"session_id: {upload_id} was not found"})
    _look(world, world.uploads[upload_id])
    return Answer(200, upload_shown(world, world.uploads[upload_id]))


@route("POST", "/api/v1/ui/uploads/{}/complete/", "new")
def complete_upload(world: World, request: Asked, upload_id: str) -> Answer:
    done = upload_id in world.uploads and _start(world.uploads[upload_id])
    return Answer(200 if done else 404, {"session_id": upload_id})
