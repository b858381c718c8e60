"""Annotations and exports of the stand-in for CVAT: checked as little as CVAT does it."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from .standin_state import Frame, Job, Label, Refusal, State, Task

FORMATS = ("COCO 1.0", "CVAT for images 1.1", "YOLO 1.1", "Datumaro 1.0", "CVAT for video 1.1")


def put(state: State, job: Job, said: dict[str, Any], action: str) -> dict[str, Any]:
    """`action` is create, update, delete or replace. Answers what the server answers."""
    task = state.tasks[job.task]
    labels = {label.id: label for label in state.labels_of(task)}
    for kind in ("shapes", "tags", "tracks"):
        for one in said.get(kind) or []:
            if one.get("label_id") not in labels:
                raise Refusal(400, [f"label_id `{one.get('label_id')}` is invalid"])
            if "frame" not in one:
                raise Refusal(400, {kind: [{"frame": ["This field is required."]}]})
    if action == "replace":
        job.shapes, job.tags, job.tracks = {}, {}, {}
    told: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for kind, kept in (("tags", job.tags), ("shapes", job.shapes), ("tracks", job.tracks)):
        for one in said.get(kind) or []:
            if action in ("create", "replace"):
                id = state.next_id(kind)
                kept[id] = one | {"id": id}
            elif action == "update":
                kept[one["id"]] = dict(one)
            else:
                kept.pop(one.get("id"), None)
            told[kind].append(_answered(kind, one, kept.get(one.get("id", -1), one).get("id", one.get("id"))))
            if action in ("create", "replace"):
                told[kind][-1]["id"] = id
    return told


def _answered(kind: str, one: dict[str, Any], id: int | None) -> dict[str, Any]:
    common = {
        "id": id,
        "frame": one["frame"],
        "label_id": one["label_id"],
        "group": one.get("group"),
        "source": one.get("source", "manual"),
        "attributes": one.get("attributes", []),
    }
    if kind == "tags":
        return common
    if kind == "tracks":
        return common | {"shapes": one.get("shapes", []), "elements": []}
    return {
        "type": one["type"],
        "occluded": one.get("occluded", False),
        "outside": one.get("outside", False),
        "z_order": one.get("z_order", 0),
        "rotation": float(one.get("rotation", 0)),
        "points": one["points"],
        **common,
        "elements": [],
    } | ({"score": one["score"]} if "score" in one else {})


def read(state: State, jobs: list[Job]) -> dict[str, Any]:
    """As the server gives them: sorted by frame, numbers as floats, defaults of attributes filled in."""
    task = state.tasks[jobs[0].task] if jobs else None
    labels = {label.id: label for label in state.labels_of(task)} if task else {}
    told: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
    for job in jobs:
        told["tags"] += _unlike(told["tags"], [_stored(labels, "tags", one) for one in job.tags.values()])
        told["shapes"] += _unlike(told["shapes"], [_stored(labels, "shapes", one) for one in job.shapes.values()])
        told["tracks"] += [_stored(labels, "tracks", one) for one in job.tracks.values()]
    for kind in ("tags", "shapes", "tracks"):
        told[kind].sort(key=lambda one: (one["frame"], -one["id"]))
    return told


def _unlike(others: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a job says of images that it shares with another one, and that other one does not: the rest is united."""
    known = [{key: value for key, value in one.items() if key != "id"} for one in others]
    return [one for one in own if {key: value for key, value in one.items() if key != "id"} not in known]


def _stored(labels: dict[int, Label], kind: str, one: dict[str, Any]) -> dict[str, Any]:
    told = _answered(kind, one, one["id"])
    said = {attribute["spec_id"]: attribute["value"] for attribute in told["attributes"]}
    known = labels[one["label_id"]].attributes if one["label_id"] in labels else []
    told["attributes"] = [
        {"spec_id": spec["id"], "value": said.get(spec["id"], spec["default_value"])} for spec in known
    ]
    if kind == "shapes":
        told["points"] = [float(value) for value in told["points"]]
    return told


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
