"""What Remo answers to uploads, by generation."""

from __future__ import annotations

import uuid
from typing import Any

from .routes import Answer, Asked, ServerError, number, route
from .shown import upload_shown
from .world import TASKS, Dataset, Upload, World, task_number

_NO_PAGE = {"count": 0, "next": None, "previous": None, "results": []}


@route("POST", "/api/dataset/{}/upload/")
def upload(world: World, asked: Asked, dataset: str) -> Answer:
    found, wanted = world.datasets.get(number(dataset)), asked.query.get("annotation_set_id")
    if wanted and not wanted.isdecimal():
        return Answer(400, {"error": "Annotation_set_id should be integer value."})
    if wanted and (int(wanted) not in world.sets or world.sets[int(wanted)].dataset != number(dataset)):
        return Answer(404, {"error": f"Annotation set #{wanted} was not found."})
    if found is None:
        return Answer(403, {"error": "Only admin can edit public datasets."})
    if asked.content_type.startswith("multipart/form-data"):
        said: dict[str, Any] = dict(asked.form)
    elif asked.content_type.startswith("application/json"):
        said = asked.json()
    else:
        told = f"Not supported payload format: {asked.content_type}"
        return Answer(400, {"error": told} if world.modern else {"error": True, "detail": told})
    task = task_number(said.get("annotation_task")) if said.get("annotation_task") else None
    if wanted and task and world.sets[int(wanted)].task != task:
        told = f"Annotation set #{wanted} task ({TASKS[world.sets[int(wanted)].task]}) does not match with giving task"
        return Answer(400, {"error": f"{told} - {TASKS[task]}"})
    handler = _upload_new if world.modern else _upload_old
    return handler(world, asked, found, said, task, int(wanted) if wanted else None)


def _upload_new(
    world: World, asked: Asked, dataset: Dataset, said: dict[str, Any], task: int | None, wanted: int | None
) -> Answer:
    form = asked.content_type.startswith("multipart")
    if form and "folder_id" in said:
        raise ServerError  # it compares a text with a number
    one = world.uploads.get(str(said["session_id"])) if said.get("session_id") else _new_upload(world, dataset)
    if one is None:
        return Answer(404, {"error": f"session_id: {said['session_id']} was not found"})
    if one.status == "not complete":
        for name, data in asked.files:
            world.store(one, name, data)
        one.task, one.annotation_set = one.task or task, one.annotation_set or wanted
        if not form:
            one.local_files += said.get("local_files") or []
            one.urls += said.get("urls") or []
            folder = said.get("folder_id")
            one.folder = folder if isinstance(folder, int) and folder in dataset.folders else one.folder
    if said.get("complete") in (True, "true", "True"):
        _start(one)
    return Answer(200, {"session_id": one.id})


def _upload_old(
    world: World, asked: Asked, dataset: Dataset, said: dict[str, Any], task: int | None, wanted: int | None
) -> Answer:
    form = asked.content_type.startswith("multipart")
    folder = asked.query.get("folder_id") if form else said.get("folder_id")
    if form and folder and number(str(folder)) not in dataset.folders:
        return Answer(400, {"error": True, "detail": "wrong 'folder_id' query parameter", **_NO_PAGE})
    one = Upload(str(uuid.uuid4()), dataset.id, task=task, annotation_set=wanted)
    one.folder = number(str(folder)) if folder and number(str(folder)) in dataset.folders else None
    for name, data in asked.files:
        world.store(one, name, data)
    one.local_files, one.urls = said.get("local_files") or [], said.get("urls") or []
    if any(url not in world.web for url in one.urls):
        return Answer(400, {"error": "invalid URL"})
    world.work_off(one)
    duplicated = "Found duplicated image, it will be skipped. Filename "
    errors, added = [], one.images.successful
    for name, reasons in one.images.errors.items():
        if "Duplicated" in reasons[0]:
            added -= 1
            errors.append(duplicated + (name if form else ""))
        elif "content type" not in reasons[0]:  # what is no image is left out without a word
            errors.append(f"Failed to upload image {name}, error: unable to call VipsForeignLoad")
    return Answer(200, {"files uploaded": added, "annotations": one.annotations.successful, "errors": errors})


def _new_upload(world: World, dataset: Dataset) -> Upload:
    made = Upload(str(uuid.uuid4()), dataset.id)
    world.uploads[made.id] = made
    return made


def _start(one: Upload) -> bool:
    if one.status != "not complete":
        return False
    one.status = "pending"
    return True


def _look(world: World, one: Upload) -> None:
    """Time goes by while it is looked at."""
    if one.status in ("pending", "in progress"):
        one.looks += 1
        one.status = "in progress"
        if one.looks >= world.looks_until_done and one.dataset in world.datasets:
            world.work_off(one)


@route("POST", "/api/v1/ui/uploads/", "new")
def open_upload(world: World, asked: Asked) -> Answer:
    found = world.datasets.get(asked.json().get("dataset_id"))
    if found is None:
        return Answer(404, {"error": "Dataset not found"})
    return Answer(201, upload_shown(world, _new_upload(world, found)))


@route("GET", "/api/v1/ui/uploads/", "new")
def list_uploads(world: World, asked: Asked) -> Answer:
    over = asked.query.get("show_active") is None
    found = [one for one in world.uploads.values() if (one.status in ("done", "failed")) == over]
    shown = [upload_shown(world, one) for one in reversed(found)]
    for one in found:
        _look(world, one)
    return Answer(200, {"results": shown})


@route("GET", "/api/v1/ui/uploads/{}/status/", "new")
def read_upload(world: World, asked: Asked, upload_id: str) -> Answer:
    if upload_id not in world.uploads:
        return Answer(404, {"error": f"session_id: {upload_id} was not found"})
    _look(world, world.uploads[upload_id])
    return Answer(200, upload_shown(world, world.uploads[upload_id]))


@route("POST", "/api/v1/ui/uploads/{}/complete/", "new")
def complete_upload(world: World, asked: Asked, upload_id: str) -> Answer:
    done = upload_id in world.uploads and _start(world.uploads[upload_id])
    return Answer(200 if done else 404, {"session_id": upload_id})
