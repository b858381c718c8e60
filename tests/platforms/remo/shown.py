"""What Remo's answers look like: one function a shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .world import STATUS_NAMES, TASKS, TOOLS, Dataset, Folder, Note, Picture, Set, Upload, World

Shown = dict[str, Any]


def dataset_made(world: World, one: Dataset) -> Shown:
    objects = sum(len(note.objects) for s in world.sets_of(one.id) for note in s.notes.values())
    return {
        "id": one.id,
        "name": one.name,
        "annotation_sets": [s.id for s in world.sets_of(one.id)],
        "created_at": one.created_at,
        "license": None,
        "is_public": one.public,
        "is_readonly": False,
        "users_shared": [],
        "top3_classes": [],
        "total_classes": 0,
        "total_annotation_objects": objects,
    }


def dataset_shown(world: World, one: Dataset, *, more: bool = False) -> Shown:
    pictures = list(one.pictures.values())
    shown = {
        "id": one.id,
        "name": one.name,
        "owner": "Unknown",
        "is_archived": one.archived,
        "image_thumbnails": [picture.url("previews") for picture in pictures[:4]],
        "quantity": len(pictures),
        "size_in_bytes": sum(picture.size for picture in pictures),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "license": None,
        "is_public": one.public,
        "is_readonly": False,
    }
    top, total = one.top_classes[:3], len(one.top_classes)
    return shown | ({"users_shared": [], "top3_classes": top, "total_classes": total} if more else {})


def folder_shown(world: World, dataset: Dataset, identity: int, name: str) -> Shown:
    made = dataset.folders[identity] = Folder(identity, name)
    shown = {"id": made.id, "name": made.name, "dataset_id": dataset.id, "updated_at": made.updated_at}
    return {**shown, "created_at": made.created_at, "contents": [], "thumbnail": None}


def contents(world: World, asked: Any, dataset: Dataset, folder: int | None, paged: Callable[..., Shown]) -> Shown:
    """Folders, then images, of the top or of a folder."""
    pictures = [one for one in dataset.pictures.values() if one.folder == folder]
    records: list[Folder | Picture] = [*(dataset.folders.values() if folder is None else ()), *pictures]

    def show(one: Folder | Picture) -> Shown:
        if isinstance(one, Picture):
            return {"record_type": "image", "image": _image_of_contents(world, dataset, one), "folder": None}
        inside = [picture for picture in dataset.pictures.values() if picture.folder == one.id]
        told = {
            "id": one.id,
            "name": one.name,
            "dataset_id": dataset.id,
            "updated_at": one.updated_at,
            "created_at": one.created_at,
            "preview": inside[0].url("previews") if inside else None,
            "total_images": len(inside),
            "top3_classes": [],
            "total_classes": 0,
        }
        return {"record_type": "folder", "image": None, "folder": told}

    return paged(asked, records, show)


def _image_of_contents(world: World, dataset: Dataset, one: Picture) -> Shown:
    said = []
    for s in world.sets_of(dataset.id):
        note = s.notes.get(one.id)
        objects = note.objects if note else []
        told = {
            "annotation_set_id": s.id,
            "coordinates": [o["coordinates"] for o in objects],
            "classes": [world.classes[c] for c in (note.classes if note else [])],
            "object_classes": [[world.classes[c] for c in o["classes"]] for o in objects],
        }
        said.append(told | ({"tags": [world.tags[t] for t in (note.tags if note else [])]} if world.modern else {}))
    return {
        "id": one.id,
        "view": one.url("views"),
        "preview": one.url("previews"),
        "name": one.name,
        "annotations": said,
        "dimensions": [one.width, one.height],
        "size_in_bytes": one.size,
        "created_at": one.created_at,
    }


def image_of_sdk(dataset: Dataset, one: Picture) -> Shown:
    return {
        "id": one.id,
        "name": one.name,
        "dataset_id": dataset.id,
        "url": one.url("images"),
        "path": one.local,
        "size": one.size,
        "width": one.width,
        "height": one.height,
        "upload_date": one.created_at,
    }


def gallery_image(one: Picture, note: Note | None) -> Shown:
    return {
        "id": one.id,
        "image": one.url("images"),
        "original": None,
        "thumbnail": one.url("thumbnails"),
        "name": one.name,
        "dimensions": [one.width, one.height],
        "preview_dimensions": None,
        "annotates_count": len(note.objects or note.classes) if note else 0,
        "status": STATUS_NAMES[note.status if note else -1],
    }


def image_of_set(world: World, dataset: Dataset, s: Set, one: Picture) -> Shown:
    note = s.notes.get(one.id)
    shown = gallery_image(one, note)
    del shown["preview_dimensions"]
    return {
        **shown,
        "dataset": {"id": dataset.id, "name": dataset.name, "created_at": dataset.created_at, "is_public": False},
        "dataset_id": dataset.id,
        "tags_count": len(note.tags) if note else 0,
        "annotations_count": 1 if note else 0,
        "classes": [world.classes[c] for c in (note.classes if note else [])],
        "coordinates": [o["coordinates"] for o in (note.objects if note else [])],
        "number_in_dataset": one.number,
    }


def image_in_full(world: World, dataset: Dataset, one: Picture) -> Shown:
    sets, notes = [], []
    for s in world.sets_of(dataset.id):
        note = s.notes.get(one.id)
        notes += [note] if note else []
        objects = note.objects if note else []
        used = [c for o in objects for c in o["classes"]] + (note.classes if note else [])
        told = {"id": s.id, "name": s.name, "task": TASKS[s.task]}
        shown = [
            {
                "id": o["id"],
                "name": o["name"],
                "coordinates": o["coordinates"],
                "classes": [world.classes[c] for c in o["classes"]],
            }
            for o in objects
        ]
        tags = [{"id": t, "name": world.tags[t]} for t in (note.tags if note else [])]
        counts = {world.classes[c]: used.count(c) for c in s.classes}
        sets.append({"annotation_set": told, "tags": tags, "classes": counts, "objects": shown})
    first = min(notes, key=lambda note: note.id, default=None)
    size = [one.width, one.height]
    return {
        "id": one.id,
        "original": None,
        "image": one.url("images"),
        "view": one.url("views"),
        "name": one.name,
        "dataset": {"id": dataset.id, "name": dataset.name, "created_at": dataset.created_at, "is_public": False},
        "dimensions": size,
        "view_dimensions": size,
        "image_dimensions": size,
        "status": STATUS_NAMES[first.status if first else -1],
        "annotations": sets,
    }


def annotation_set_in_full(world: World, s: Set) -> Shown:
    name = TASKS[s.task]
    tools = [{"id": s.task, "code_name": tool} for tool in TOOLS[s.task]]
    classes = sorted(({"id": c, "name": world.classes[c]} for c in s.classes), key=lambda one: str(one["name"]))
    return {
        "id": s.id,
        "name": s.name,
        "released_at": None,
        "updated_at": s.updated_at,
        "task": {"id": s.task, "available_tools": tools, "name": name, "type": name.lower().replace(" ", "_")},
        "dataset": dataset_shown(world, world.datasets[s.dataset], more=True),
        "last_annotated_date": s.last_annotated,
        "classes": classes,
        "is_last_modified": False,
        "type": "Image",
        "is_public": False,
    }


def annotation_set_listed(world: World, s: Set) -> Shown:
    dataset, name = world.datasets[s.dataset], TASKS[s.task]
    statistics = dict(s.counted or _nothing_counted(world.modern))
    if world.modern:
        statistics["tags"] = sorted({world.tags[t] for note in s.notes.values() for t in note.tags})
    return {
        "id": s.id,
        "name": s.name,
        "released_at": None,
        "updated_at": s.updated_at,
        "task": {"id": s.task, "name": name, "type": name.lower().replace(" ", "_")},
        "total_images": len(dataset.pictures),
        "last_annotated_date": s.last_annotated,
        "is_public": dataset.public,
        "is_completed": len(s.notes) >= len(dataset.pictures) > 0,
        "statistics": statistics,
    }


def _nothing_counted(modern: bool) -> Shown:
    counts = ["annotated_images_count", "skipped_count", "total_classes", "total_annotation_objects"]
    counts += ["done_count", "todo_count", "images_without_annotations"] if modern else []
    return {**dict.fromkeys(counts, 0), "top3_classes": [], "all_classes": []}


def note_saved(world: World, s: Set, note: Note) -> Shown:
    """The answer to a save. Its status is a text or a number, by version and task."""
    if s.task == 3:
        info = [_class_saved(world.classes[c]) for c in note.classes]
    else:
        info = [
            {
                "name": o["name"],
                "coordinates": o["coordinates"],
                "auto_created": False,
                "position_number": number,
                "classes": [_class_saved(world.classes[c]) for c in o["classes"]],
            }
            for number, o in enumerate(note.objects, 1)
        ]
    status: str | int = str(note.status) if world.modern else STATUS_NAMES[note.status]
    if s.task == 3:
        status = note.status
    shown = {"id": note.id, "image": note.image, "annotation_set": s.id, "created_at": note.created_at}
    return {**shown, "updated_at": note.updated_at, "status": status, "annotation_info": info}


def _class_saved(name: str) -> Shown:
    return {"name": name, "lower": name.lower(), "questionable": False}


def upload_shown(world: World, one: Upload) -> Shown:
    dataset = world.datasets.get(one.dataset)
    uploaded = {kind: _sizes(sizes) for kind, sizes in one.uploaded.items()}
    return {
        "session_id": one.id,
        "created_at": one.created_at,
        "finished_at": one.finished_at,
        "dataset": {"id": dataset.id, "name": dataset.name} if dataset else {},
        "status": one.status,
        "substatus": "",
        "images": one.images.told(),
        "annotations": one.annotations.told(),
        "errors": one.errors,
        "warnings": [],
        "uploaded": {"total": _sizes([size for sizes in one.uploaded.values() for size in sizes]), **uploaded},
    }


def _sizes(sizes: list[int]) -> Shown:
    total = sum(sizes)
    return {
        "items": len(sizes),
        "size": total,
        "human_size": f"{total} b" if total < 1024 else f"{total / 1024:.1f} Kb",
    }
