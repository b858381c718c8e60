"""Annotations and exports of the fake CVAT server, validated as little as in CVAT."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from .state import Frame, Job, Label, Refusal, State, Task

FORMATS = ("COCO 1.0", "CVAT for images 1.1", "YOLO 1.1", "Datumaro 1.0", "CVAT for video 1.1")


def put(state: State, job: Job, payload: dict[str, Any], action: str) -> dict[str, Any]:
    """`action` is create, update, delete or replace. Answers what the server answers."""
    task = state.tasks[job.task]
    labels = {label.id: label for label in state.labels_of(task)}
    for kind in ("shapes", "tags", "tracks"):
        for item in payload.get(kind) or []:
            if item.get("label_id") not in labels:
                raise Refusal(400, [f"label_id `{item.get('label_id')}` is invalid"])
            if "frame" not in item:
                raise Refusal(400, {kind: [{"frame": ["This field is required."]}]})
    if action == "replace":
        job.shapes, job.tags, job.tracks = {}, {}, {}
    result: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for kind, kept in (("tags", job.tags), ("shapes", job.shapes), ("tracks", job.tracks)):
        for item in payload.get(kind) or []:
            if action in ("create", "replace"):
                id = state.next_id(kind)
                kept[id] = item | {"id": id}
            elif action == "update":
                kept[item["id"]] = dict(item)
            else:
                kept.pop(item.get("id"), None)
            result[kind].append(
                _response_json(kind, item, kept.get(item.get("id", -1), item).get("id", item.get("id")))
            )
            if action in ("create", "replace"):
                result[kind][-1]["id"] = id
    return result


def _response_json(kind: str, item: dict[str, Any], id: int | None) -> dict[str, Any]:
    common = {
        "id": id,
        "frame": item["frame"],
        "label_id": item["label_id"],
        "group": item.get("group"),
        "source": item.get("source", "manual"),
        "attributes": item.get("attributes", []),
    }
    if kind == "tags":
        return common
    if kind == "tracks":
        return common | {"shapes": item.get("shapes", []), "elements": []}
    return {
        "type": item["type"],
        "occluded": item.get("occluded", False),
        "outside": item.get("outside", False),
        "z_order": item.get("z_order", 0),
        "rotation": float(item.get("rotation", 0)),
        "points": item["points"],
        **common,
        "elements": [],
    } | ({"score": item["score"]} if "score" in item else {})


def read(state: State, jobs: list[Job]) -> dict[str, Any]:
    """As the server gives them: sorted by frame, numbers as floats, defaults of attributes filled in."""
    task = state.tasks[jobs[0].task] if jobs else None
    labels = {label.id: label for label in state.labels_of(task)} if task else {}
    result: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for job in jobs:
        result["tags"] += _not_in(result["tags"], [_stored(labels, "tags", item) for item in job.tags.values()])
        result["shapes"] += _not_in(result["shapes"], [_stored(labels, "shapes", item) for item in job.shapes.values()])
        result["tracks"] += [_stored(labels, "tracks", item) for item in job.tracks.values()]
    for kind in ("tags", "shapes", "tracks"):
        result[kind].sort(key=lambda item: (item["frame"], -item["id"]))
    return result


def _not_in(others: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a job says of images that it shares with another one, and that other one does not: the rest is united."""
    known_items = [{key: value for key, value in item.items() if key != "id"} for item in others]
    return [item for item in own if {key: value for key, value in item.items() if key != "id"} not in known_items]


def _stored(labels: dict[int, Label], kind: str, item: dict[str, Any]) -> dict[str, Any]:
    result = _response_json(kind, item, item["id"])
    values = {attribute["spec_id"]: attribute["value"] for attribute in result["attributes"]}
    specs = labels[item["label_id"]].attributes if item["label_id"] in labels else []
    result["attributes"] = [
        {"spec_id": spec["id"], "value": values.get(spec["id"], spec["default_value"])} for spec in specs
    ]
    if kind == "shapes":
        result["points"] = [float(value) for value in result["points"]]
    return result


def export(state: State, tasks: list[Task], jobs: list[Job], form: str, subset: str, *, images: bool) -> bytes:
    """A zip as the server writes it. Raises Refusal with 500 and the exception's words for a malformed shape, whatever
    job it is in."""
    frames = [frame for task in tasks for frame in task.frames]
    for job in jobs:
        for shape in job.shapes.values():
            _refuse_malformed(shape, form)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        if form.startswith("COCO"):
            file.writestr(f"annotations/instances_{subset}.json", json.dumps(_coco(state, tasks, jobs)))
        else:
            file.writestr("annotations.xml", _xml(frames))
        if images:
            for frame in frames:
                file.writestr(f"images/{frame.name}", frame.content)
    return buffer.getvalue()


def _refuse_malformed(shape: dict[str, Any], form: str) -> None:
    if shape["type"] == "rectangle" and len(shape["points"]) != 4:
        coco = form.startswith("COCO")
        message = f"not enough values to unpack (expected 4, got {len(shape['points'])})"
        raise Refusal(500, f"ValueError: {message}\n" if coco else "IndexError: list index out of range\n")


def _coco(state: State, tasks: list[Task], jobs: list[Job]) -> dict[str, Any]:
    """Tags are dropped, as CVAT does."""
    numbers: dict[tuple[int, int], int] = {}
    images = []
    for task in tasks:
        for number, frame in enumerate(task.frames):
            numbers[task.id, number] = len(images) + 1
            images.append(
                {"id": len(images) + 1, "file_name": frame.name, "width": frame.width, "height": frame.height}
            )
    labels = state.labels_of(tasks[0]) if tasks else []
    categories = {label.id: number for number, label in enumerate(labels, 1)}
    annotations = [
        {
            "id": shape["id"],
            "image_id": numbers[job.task, shape["frame"]],
            "category_id": categories[shape["label_id"]],
            "bbox": _bbox(shape["points"]),
            "iscrowd": 0,
        }
        for job in jobs
        for shape in job.shapes.values()
    ]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": categories[label.id], "name": label.name} for label in labels],
    }


def _bbox(points: list[float]) -> list[float]:
    xs, ys = points[::2], points[1::2]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def _xml(frames: list[Frame]) -> str:
    rows = "".join(f'<image id="{number}" name="{frame.name}"/>' for number, frame in enumerate(frames))
    return f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{rows}</annotations>'
