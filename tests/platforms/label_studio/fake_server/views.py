"""Objects of the stand-in as JSON."""

from __future__ import annotations

import re
from typing import Any

from .state import Annotation, Draft, Export, Prediction, Project, Refused, Task, World, parsed


def project_json(world: World, project: Project, *, fresh: bool = False) -> dict[str, Any]:
    """`fresh`: as in the answer that creates it, whose counters are null."""
    config = parsed(project.label_config)
    weights = {
        name: {"overall": 1.0, "type": control["type"], "labels": dict.fromkeys(control["labels"], 1.0)}
        for name, control in config.items()
    }
    counters: dict[str, Any] = world.counters(project.id)
    if fresh:
        counters = {name: 0 if name.startswith("queue") else None for name in counters}
    owner = world.users.get(project.created_by or 0)
    return {
        "id": project.id,
        "title": project.title,
        "label_config": project.label_config,
        **project.settings,
        "organization": 1,
        "created_by": owner.short() if owner else None,
        "created_at": project.created_at,
        "control_weights": weights,
        "parsed_label_config": config,
        "config_has_control_tags": bool(config),
        "config_suitable_for_bulk_annotation": False,
        "state": None,
        **counters,
    }


def only(item: dict[str, Any], include: str | None) -> dict[str, Any]:
    if not include:
        return item
    names = include.split(",")
    return {name: value for name, value in item.items() if name in names}


def annotation_json(world: World, entry: Annotation, *, person: bool = False) -> dict[str, Any]:
    """`person`: with the labeler as an object, as in a task. The `unique_id` is not told."""
    user = world.users[entry.completed_by]
    labeler: Any = {**user.short(), "initials": "ow"} if person else entry.completed_by
    return {
        "id": entry.id,
        "result": entry.result,
        "created_username": f" {user.email}, {user.id}",
        "created_ago": "0 minutes",
        "completed_by": labeler,
        "was_cancelled": entry.was_cancelled,
        "ground_truth": entry.ground_truth,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "draft_created_at": None,
        "lead_time": entry.lead_time,
        "import_id": None,
        "last_action": None,
        "bulk_created": False,
        "task": entry.task,
        "project": world.tasks[entry.task].project,
        "updated_by": entry.updated_by,
        "parent_prediction": entry.parent_prediction,
        "parent_annotation": None,
        "last_created_by": None,
    }


def draft_json(world: World, draft: Draft) -> dict[str, Any]:
    user = world.users[draft.user]
    return {
        "id": draft.id,
        "user": user.email,
        "created_username": f"{user.email}, {user.id}",
        "created_ago": "0 minutes",
        "result": draft.result,
        "lead_time": draft.lead_time,
        "was_postponed": False,
        "import_id": None,
        "created_at": draft.created_at,
        "updated_at": draft.created_at,
        "task": draft.task,
        "annotation": None,
    }


def prediction_json(world: World, prediction: Prediction) -> dict[str, Any]:
    return {
        "id": prediction.id,
        "result": prediction.result,
        "model_version": prediction.model_version,
        "created_ago": "0 minutes",
        "score": prediction.score,
        "cluster": None,
        "neighbors": None,
        "mislabeling": 0.0,
        "created_at": prediction.created_at,
        "updated_at": prediction.created_at,
        "model": None,
        "model_run": None,
        "task": prediction.task,
        "project": world.tasks[prediction.task].project,
    }


def basic_task(world: World, task: Task) -> dict[str, Any]:
    """A task as the calls beside the data manager tell it."""
    entries = world.annotations_of(task.id)
    return {
        "id": task.id,
        "data": task.data,
        "meta": task.meta,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "is_labeled": world.is_labeled(task),
        "overlap": world.projects[task.project].settings["maximum_annotations"],
        "inner_id": task.inner_id,
        "total_annotations": sum(not entry.was_cancelled for entry in entries),
        "cancelled_annotations": sum(entry.was_cancelled for entry in entries),
        "total_predictions": len(world.predictions_of(task.id)),
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": task.project,
        "updated_by": None,
        "file_upload": task.file,
        "comment_authors": [],
    }


def task_json(world: World, task: Task, *, everything: bool, person: bool = False) -> dict[str, Any]:
    """A task as the data manager tells it. Without `everything` labelers and annotations are always empty."""
    entries = world.annotations_of(task.id) if everything else []
    kept = [entry for entry in world.annotations_of(task.id) if not entry.was_cancelled]
    drafts = world.drafts_of(task.id) if everything else []
    predictions = world.predictions_of(task.id) if everything else []
    times = [entry.lead_time for entry in entries if entry.lead_time is not None]
    file = world.files.get(task.file or 0)
    return {
        **basic_task(world, task),
        "predictions": [prediction_json(world, item) for item in predictions],
        "annotations": [annotation_json(world, entry, person=person) for entry in entries],
        "drafts": [draft_json(world, draft) for draft in drafts],
        "annotators": sorted({entry.completed_by for entry in entries}),
        "completed_at": max((entry.created_at for entry in kept), default=None) if world.is_labeled(task) else None,
        "annotations_results": "",
        "predictions_results": "",
        "predictions_score": None,
        "file_upload": file.path.rpartition("/")[2] if file else None,
        "storage_filename": task.storage_filename,
        "annotations_ids": ", ".join(str(entry.id) for entry in entries),
        "predictions_model_versions": "",
        "avg_lead_time": sum(times) / len(times) if times else None,
        "draft_exists": bool(drafts),
        "updated_by": [{"user_id": 1}] if entries else [],
    }


def exported_task(world: World, task: Task) -> dict[str, Any]:
    entries = [annotation_json(world, entry) for entry in world.annotations_of(task.id)]
    for entry in entries:
        for name in ("created_username", "created_ago"):
            del entry[name]
        number = entry["id"]
        entry |= {
            "prediction": {},
            "result_count": len(entry["result"]),
            "unique_id": world.annotations[number].unique_id,
        }
    whole = basic_task(world, task)
    for name in ("is_labeled", "overlap"):
        del whole[name]
    file = world.files.get(task.file or 0)
    del whole["file_upload"]
    return {
        **whole,
        **({"file_upload": file.path.rpartition("/")[2]} if file else {}),
        "annotations": entries,
        "drafts": [draft_json(world, draft) for draft in world.drafts_of(task.id)],
        "predictions": [prediction.id for prediction in world.predictions_of(task.id)],
        "allow_skip": True,
    }


def export_json(world: World, export: Export) -> dict[str, Any]:
    return {
        "title": export.title,
        "id": export.id,
        "created_by": world.users[1].short(),
        "created_at": export.created_at,
        "finished_at": export.created_at,
        "status": "completed",
        "md5": export.md5,
        "counters": {"task_number": export.tasks},
        "converted_formats": [
            {"id": number, "status": "completed", "export_type": kind, "traceback": None}
            for number, kind in enumerate(export.conversions, 1)
        ],
    }


# Filters of the data manager

_COLUMNS = frozenset(
    {
        "id",
        "total_annotations",
        "cancelled_annotations",
        "total_predictions",
        "file_upload",
        "storage_filename",
        "updated_at",
        "created_at",
        "completed_at",
        "inner_id",
    }
)


def fits(world: World, task: Task, item: dict[str, Any]) -> bool:
    """Whether a task fits a filter. An unknown column is an error of the server, not of the client."""
    column = str(item.get("filter", "")).removeprefix("filter:tasks:")
    if column.startswith("data."):
        value: Any = task.data.get(column.removeprefix("data."))
    elif column in _COLUMNS:
        value = task_json(world, task, everything=True)[column]
    else:
        raise Refused(500, f"Cannot resolve keyword '{column}' into field. Choices are: allow_skip, annotations, ...")
    sought, operator = item.get("value"), item.get("operator")
    if operator == "in_list":
        return value in sought or str(value) in sought
    if operator == "equal":
        return str(value) == str(sought)
    if operator == "greater":
        return value is not None and value > sought
    if operator == "contains":
        return str(sought) in str(value)
    if operator == "regex":
        return value is not None and re.search(str(sought), str(value)) is not None
    raise Refused(500, f"unknown operator {operator}")
