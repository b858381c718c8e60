"""Tasks, annotations, drafts, predictions."""

from __future__ import annotations

import json
import uuid
from typing import Any

from .server import Call, Reply, route
from .state import Annotation, Draft, Prediction, Refused, Task, data_keys, invalid, not_found, now
from .views import (
    annotation_json,
    basic_task,
    draft_json,
    fits,
    only,
    prediction_json,
    task_json,
)

# Tasks


@route("GET", r"/api/tasks")
def list_tasks(call: Call) -> Reply:
    world, query = call.world, call.query
    if "project" not in query:
        return Reply(404, {"detail": "Neither project nor view id specified"})
    project = world.project(int(query["project"]))
    tasks = [task for task in world.tasks_of(project.id) if _fits(call, task)]
    size, page = int(query.get("page_size", 100)), int(query.get("page", 1))
    if page > 1 and (page - 1) * size >= len(tasks):
        raise Refused(404, "Invalid page.")
    everything = query.get("fields") == "all"
    include = query.get("include")
    items = [
        only(task_json(world, task, everything=everything), include) for task in tasks[(page - 1) * size : page * size]
    ]
    for item in items:
        if include and "annotations" in item:  # only their ids
            item["annotations"] = [entry["id"] for entry in item["annotations"]]
    kept = [entry for task in tasks for entry in world.annotations_of(task.id) if not entry.was_cancelled]
    predictions = sum(len(world.predictions_of(task.id)) for task in tasks)
    totals = {"total_annotations": len(kept), "total_predictions": predictions, "total": len(tasks)}
    return Reply(200, {**totals, "tasks": items})


def _fits(call: Call, task: Task) -> bool:
    text = call.query.get("query")
    if not text:
        return True
    try:
        filters = json.loads(text).get("filters", {})
    except ValueError:
        raise Refused(500, "Unexpected character found when decoding 'null'") from None
    results = [fits(call.world, task, item) for item in filters.get("items", ())]
    return all(results) if filters.get("conjunction") == "and" else any(results)


@route("GET", r"/api/projects/(\d+)/tasks")
def list_tasks_by_change(call: Call, number: int) -> Reply:
    """In the order of the last change: not for paging."""
    tasks = sorted(call.world.tasks_of(call.world.project(number).id), key=lambda task: task.updated_at, reverse=True)
    size = int(call.query.get("page_size", 100))
    items = [basic_task(call.world, task) | {"annotations": [], "predictions": []} for task in tasks[:size]]
    return Reply(200, items)


@route("DELETE", r"/api/projects/(\d+)/tasks")
def delete_all_tasks(call: Call, number: int) -> Reply:
    for task in call.world.tasks_of(call.world.project(number).id):
        call.world.delete_task(task.id)
    return Reply(204)


@route("POST", r"/api/tasks")
def make_task(call: Call) -> Reply:
    """An id in the body is ignored; an inner_id is taken as it is."""
    payload = call.json()
    project = call.world.project(payload["project"])
    for key in data_keys(project.label_config):
        if key not in payload["data"]:
            text = f'"{key}" key is expected in task data [assume: item["data"] = task root with values]'
            raise invalid(non_field_errors=[text])
    inner = payload.get("inner_id", 1 + max((task.inner_id for task in call.world.tasks_of(project.id)), default=0))
    task = Task(call.world.next_id("task"), project.id, payload["data"], payload.get("meta", {}), inner)
    call.world.tasks[task.id] = task
    return Reply(201, basic_task(call.world, task))


@route("GET", r"/api/tasks/(\d+)")
def read_task(call: Call, number: int) -> Reply:
    return Reply(200, task_json(call.world, call.world.task(number), everything=True, person=True))


@route("PATCH", r"/api/tasks/(\d+)")
def change_task(call: Call, number: int) -> Reply:
    task, payload = call.world.task(number), call.json()
    task.data, task.meta = payload.get("data", task.data), payload.get("meta", task.meta)
    task.updated_at = now()
    return Reply(200, basic_task(call.world, task))


@route("DELETE", r"/api/tasks/(\d+)")
def delete_task(call: Call, number: int) -> Reply:
    call.world.delete_task(call.world.task(number).id)
    return Reply(204)


@route("GET", r"/api/projects/(\d+)/next")
def next_task(call: Call, number: int) -> Reply:
    for task in call.world.tasks_of(number):
        if not call.world.is_labeled(task) and not call.world.annotations_of(task.id):
            whole = basic_task(call.world, task)
            lists = {"predictions": [], "annotations": [], "updated_by": [], "unique_lock_id": str(uuid.uuid4())}
            drafts = [draft_json(call.world, draft) for draft in call.world.drafts_of(task.id)]
            return Reply(200, {**whole, **lists, "drafts": drafts, "queue": "Sequence queue"})
    raise not_found("Task")


# Annotations


@route("GET", r"/api/tasks/(\d+)/annotations")
def list_annotations(call: Call, number: int) -> Reply:
    entries = call.world.annotations_of(call.world.task(number).id)
    return Reply(200, [annotation_json(call.world, entry) for entry in entries])


@route("POST", r"/api/tasks/(\d+)/annotations")
def make_annotation(call: Call, number: int) -> Reply:
    """Labels, places and people are believed as they come."""
    world, payload = call.world, call.json()
    world.task(number)
    _refuse_text(payload)
    unique = payload.get("unique_id") or str(uuid.uuid4())
    if any(entry.unique_id == unique for entry in world.annotations.values()):
        raise Refused(409, "Annotation with this unique id already exists")
    entry = Annotation(
        world.next_id("annotation"),
        number,
        payload.get("result", []),
        payload.get("completed_by", call.user.id),
        call.user.id,
        payload.get("was_cancelled", False),
        payload.get("ground_truth", False),
        payload.get("lead_time"),
        unique,
        payload.get("parent_prediction"),
    )
    world.annotations[entry.id] = entry
    for draft in world.drafts_of(number):
        if draft.user == call.user.id:
            del world.drafts[draft.id]
    return Reply(201, annotation_json(world, entry))


def _refuse_text(payload: dict[str, Any]) -> None:
    if not isinstance(payload.get("result", []), list):
        raise Refused(500, 'annotation "result" can\'t be parse from str to JSON')


def _annotation(call: Call, number: int) -> Annotation:
    if number not in call.world.annotations:
        raise not_found("Annotation")
    return call.world.annotations[number]


@route("GET", r"/api/annotations/(\d+)")
def read_annotation(call: Call, number: int) -> Reply:
    return Reply(200, annotation_json(call.world, _annotation(call, number)))


@route("PATCH", r"/api/annotations/(\d+)")
def change_annotation(call: Call, number: int) -> Reply:
    """Anybody may."""
    entry, payload = _annotation(call, number), call.json()
    _refuse_text(payload)
    for name in ("result", "lead_time", "was_cancelled", "ground_truth"):
        if name in payload:
            setattr(entry, name, payload[name])
    entry.updated_at, entry.updated_by = now(), call.user.id
    return Reply(200, annotation_json(call.world, entry))


@route("DELETE", r"/api/annotations/(\d+)")
def delete_annotation(call: Call, number: int) -> Reply:
    del call.world.annotations[_annotation(call, number).id]
    return Reply(204)


@route("POST", r"/api/annotations/(\d+)/convert-to-draft")
def convert_to_draft(call: Call, number: int) -> Reply:
    entry = _annotation(call, number)
    del call.world.annotations[number]
    draft = Draft(call.world.next_id("draft"), entry.task, entry.completed_by, entry.result, entry.lead_time)
    call.world.drafts[draft.id] = draft
    return Reply(201, draft_json(call.world, draft))


@route("POST", r"/api/tasks/(\d+)/drafts")
def make_draft(call: Call, number: int) -> Reply:
    call.world.task(number)
    payload = call.json()
    draft = Draft(call.world.next_id("draft"), number, call.user.id, payload["result"], payload.get("lead_time"))
    call.world.drafts[draft.id] = draft
    return Reply(201, draft_json(call.world, draft))


# Predictions


@route("GET", r"/api/predictions")
def list_predictions(call: Call) -> Reply:
    predictions = call.world.predictions_of(int(call.query["task"]))
    return Reply(200, [prediction_json(call.world, item) for item in predictions])


@route("POST", r"/api/predictions")
def make_prediction(call: Call) -> Reply:
    """There is no key: the same again is a second one. Labels are believed."""
    payload = call.json()
    call.world.task(payload["task"])
    made = Prediction(
        call.world.next_id("prediction"),
        payload["task"],
        payload["result"],
        payload.get("model_version", ""),
        payload.get("score"),
    )
    call.world.predictions[made.id] = made
    return Reply(201, prediction_json(call.world, made))


@route("DELETE", r"/api/predictions/(\d+)")
def delete_prediction(call: Call, number: int) -> Reply:
    if number not in call.world.predictions:
        raise not_found("Prediction")
    del call.world.predictions[number]
    return Reply(204)


@route("GET", r"/api/projects/(\d+)/model-versions")
def model_versions(call: Call, number: int) -> Reply:
    counts: dict[str, int] = {}
    for task in call.world.tasks_of(number):
        for prediction in call.world.predictions_of(task.id):
            counts[prediction.model_version] = counts.get(prediction.model_version, 0) + 1
    return Reply(200, counts)


@route("DELETE", r"/api/projects/(\d+)/model-versions")
def delete_model_version(call: Call, number: int) -> Reply:
    version = call.json()["model_version"]
    mine = [item for task in call.world.tasks_of(number) for item in call.world.predictions_of(task.id)]
    old = [item for item in mine if item.model_version == version]
    for prediction in old:
        del call.world.predictions[prediction.id]
    return Reply(200, {"deleted_predictions": len(old)})
