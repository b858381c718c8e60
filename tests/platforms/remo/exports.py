"""The files that Remo exports, with all that is odd about them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from .state import TASKS, Note, Picture, Set, World

COCO = {"dog": 18, "cat": 17, "horse": 19, "sheep": 20, "cow": 21, "zebra": 24}


def export(
    world: World, annotation_set: Set, kind: str, *, percent: bool, full_path: bool, everything: bool
) -> tuple[str, str] | None:
    """The text and its media type; None for a format that the task does not have."""
    pictures = world.datasets[annotation_set.dataset].pictures
    rows = []
    for note in sorted(annotation_set.notes.values(), key=lambda note: note.id):
        # 0.3 exports whatever was touched, 0.6 what has objects or classes.
        if note.objects or note.classes or not world.modern:
            rows.append((pictures[note.image], note))
    if everything and world.modern:
        exported_ids = {picture.id for picture, _ in rows}
        rows += [(picture, Note(0, picture.id)) for picture in pictures.values() if picture.id not in exported_ids]
    items = [_item(world, annotation_set, picture, note, percent, full_path) for picture, note in rows]
    if kind == "json":
        return json.dumps(items, **({"indent": 2, "sort_keys": True} if world.modern else {})), "application/json"
    if kind == "csv":
        return _csv(world, annotation_set, items), "text/csv"
    return None if annotation_set.task == 3 else (json.dumps(_coco(rows, items)), "application/json")


def _item(
    world: World, annotation_set: Set, picture: Picture, note: Note, percent: bool, full_path: bool
) -> dict[str, Any]:
    item: dict[str, Any] = {
        "file_name": picture.local if full_path and picture.local else picture.name,
        "height": picture.height,
        "width": picture.width,
        "tags": [world.tags[tag] for tag in note.tags],
        "task": TASKS[annotation_set.task],
    }
    if annotation_set.task == 3:
        item["classes"] = [world.classes[number] for number in note.classes]
        return item
    item["annotations"] = [
        _object(world, annotation_set, picture, label_object, percent) for label_object in note.objects
    ]
    return item


def _object(
    world: World, annotation_set: Set, picture: Picture, label_object: dict[str, Any], percent: bool
) -> dict[str, Any]:
    across, down = (picture.width, picture.height) if percent else (1, 1)
    points = [
        {"x": point["x"] / across, "y": point["y"] / down} if percent else {"x": int(point["x"]), "y": int(point["y"])}
        for point in label_object["coordinates"]
    ]
    classes = [world.classes[number] for number in label_object["classes"]]
    if annotation_set.task == 2:
        return {"classes": classes, "segments": points}
    low, high = points
    return {"classes": classes, "bbox": {"xmin": low["x"], "ymin": low["y"], "xmax": high["x"], "ymax": high["y"]}}


def _csv(world: World, annotation_set: Set, items: list[dict[str, Any]]) -> str:
    columns = {1: ["xmin", "ymin", "xmax", "ymax"], 2: ["coordinates"], 3: []}[annotation_set.task]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["file_name", "classes", *columns])
    for item in items:
        if annotation_set.task == 3:
            writer.writerow([item["file_name"], "; ".join(item["classes"])])
            continue
        for label_object in item["annotations"]:
            if annotation_set.task == 1:
                place = [label_object["bbox"][edge] for edge in columns]
            else:
                place = [
                    "; ".join(str(value) for point in label_object["segments"] for value in (point["x"], point["y"]))
                ]
            writer.writerow([item["file_name"], "; ".join(label_object["classes"]), *place])
        if not item["annotations"] and world.modern:
            writer.writerow([item["file_name"], "", *[""] * len(columns)])
    return text.getvalue()


def _coco(rows: list[tuple[Picture, Note]], items: list[dict[str, Any]]) -> dict[str, Any]:
    categories: dict[str, int] = {}
    annotations: list[dict[str, Any]] = []
    for (picture, note), item in zip(rows, items, strict=True):
        for label_object, kept in zip(item["annotations"], note.objects, strict=True):
            name = label_object["classes"][0].lower() if label_object["classes"] else ""
            identity = categories.setdefault(name, COCO.get(name, 91 + len(categories)))
            ids = {"image_id": picture.id, "id": kept["id"], "category_id": identity}
            annotations.append({**_place(label_object), "iscrowd": 0, **ids})
        if not item["annotations"]:
            empty = {"segmentation": [], "area": 0, "iscrowd": 0, "image_id": picture.id, "bbox": [], "id": 0}
            annotations.append({**empty, "category_id": 0})
    images = [
        {
            "license": 0,
            "file_name": item["file_name"],
            "height": picture.height,
            "width": picture.width,
            "date_captured": "",
            "url": "",
            "id": picture.id,
        }
        for (picture, _), item in zip(rows, items, strict=True)
    ]
    info = dict.fromkeys(("description", "url", "version", "year", "contributor", "date_created"), "")
    listed = [
        {"supercategory": "animal" if name in COCO else name, "id": identity, "name": name}
        for name, identity in categories.items()
    ]
    return {
        "info": info,
        "licences": [{"url": "", "id": "", "name": ""}],
        "images": images,
        "annotations": annotations,
        "categories": listed,
    }


def _place(label_object: dict[str, Any]) -> dict[str, Any]:
    if "bbox" in label_object:
        low_x, low_y, high_x, high_y = (label_object["bbox"][edge] for edge in ("xmin", "ymin", "xmax", "ymax"))
        width, height = high_x - low_x, high_y - low_y
        ring = [low_x, low_y, low_x, high_y, high_x, high_y, high_x, low_y]
        return {"segmentation": [ring], "area": width * height, "bbox": [low_x, low_y, width, height]}
    xs, ys = ([point[axis] for point in label_object["segments"]] for axis in "xy")
    ring = [value for point in label_object["segments"] for value in (point["x"], point["y"])]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    return {"segmentation": [ring], "area": 0, "bbox": box}  # sic: the area of a polygon is 0
