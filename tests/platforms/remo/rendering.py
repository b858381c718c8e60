"""What Remo's answers look like: one function a shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .state import STATUS_NAMES, TASKS, TOOLS, Dataset, Folder, Note, Picture, Set, Upload, World

Shown = dict[str, Any]


def dataset_made(world: World, entry: Dataset) -> Shown:
    objects = sum(len(note.objects) for s in world.sets_of(entry.id) for note in s.notes.values())
    return {
        "id": entry.id,
        "name": entry.name,
        "annotation_sets": [s.id for s in world.sets_of(entry.id)],
        "created_at": entry.created_at,
        "license": None,
        "is_public": entry.public,
        "is_readonly": False,
        "users_shared": [],
        "top3_classes": [],
        "total_classes": 0,
        "total_annotation_objects": objects,
    }


def dataset_shown(world: World, entry: Dataset, *, more: bool = False) -> Shown:
    pictures = list(entry.pictures.values())
    shown = {
        "id": entry.id,
        "name": entry.name,
        "owner": "Unknown",
        "is_archived": entry.archived,
        "image_thumbnails": [picture.url("previews") for picture in pictures[:4]],
        "quantity": len(pictures),
        "size_in_bytes": sum(picture.size for picture in pictures),
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "license": None,
        "is_public": entry.public,
        "is_readonly": False,
    }
    top, total = entry.top_classes[:3], len(entry.top_classes)
    return shown | ({"users_shared": [], "top3_classes": top, "total_classes": total} if more else {})


def folder_shown(world: World, dataset: Dataset, identity: int, name: str) -> Shown:
    created = dataset.folders[identity] = Folder(identity, name)
    shown = {"id": created.id, "name": created.name, "dataset_id": dataset.id, "updated_at": created.updated_at}
    return {**shown, "created_at": created.created_at, "contents": [], "thumbnail": None}


def contents(world: World, request: Any, dataset: Dataset, folder: int | None, paged: Callable[..., Shown]) -> Shown:
    """Folders, then images, of the top or of a folder."""
    pictures = [entry for entry in dataset.pictures.values() if entry.folder == folder]
    records: list[Folder | Picture] = [*(dataset.folders.values() if folder is None else ()), *pictures]

    def show(entry: Folder | Picture) -> Shown:
        if isinstance(entry, Picture):
            return {"record_type": "image", "image": _image_of_contents(world, dataset, entry), "folder": None}
        inside = [picture for picture in dataset.pictures.values() if picture.folder == entry.id]
        message = {
            "id": entry.id,
            "name": entry.name,
            "dataset_id": dataset.id,
            "updated_at": entry.updated_at,
            "created_at": entry.created_at,
            "preview": inside[0].url("previews") if inside else None,
            "total_images": len(inside),
            "top3_classes": [],
            "total_classes": 0,
        }
        return {"record_type": "folder", "image": None, "folder": message}

    return paged(request, records, show)


def _image_of_contents(world: World, dataset: Dataset, entry: Picture) -> Shown:
    payload = []
    for s in world.sets_of(dataset.id):
        note = s.notes.get(entry.id)
        objects = note.objects if note else []
        message = {
            "annotation_set_id": s.id,
            "coordinates": [o["coordinates"] for o in objects],
            "classes": [world.classes[c] for c in (note.classes if note else [])],
            "object_classes": [[world.classes[c] for c in o["classes"]] for o in objects],
        }
        payload.append(
            message | ({"tags": [world.tags[t] for t in (note.tags if note else [])]} if world.modern else {})
        )
    return {
        "id": entry.id,
        "view": entry.url("views"),
        "preview": entry.url("previews"),
        "name": entry.name,
        "annotations": payload,
        "dimensions": [entry.width, entry.height],
        "size_in_bytes": entry.size,
        "created_at": entry.created_at,
    }


def image_of_sdk(dataset: Dataset, entry: Picture) -> Shown:
    return {
        "id": entry.id,
        "name": entry.name,
        "dataset_id": dataset.id,
        "url": entry.url("images"),
        "path": entry.local,
        "size": entry.size,
        "width": entry.width,
        "height": entry.height,
        "upload_date": entry.created_at,
    }


def gallery_image(entry: Picture, note: Note | None) -> Shown:
    return {
        "id": entry.id,
        "image": entry.url("images"),
        "original": None,
        "thumbnail": entry.url("thumbnails"),
        "name": entry.name,
        "dimensions": [entry.width, entry.height],
        "preview_dimensions": None,
        "annotates_count": len(note.objects or note.classes) if note else 0,
        "status": STATUS_NAMES[note.status if note else -1],
    }


def image_of_set(world: World, dataset: Dataset, s: Set, entry: Picture) -> Shown:
    note = s.notes.get(entry.id)
    shown = gallery_image(entry, note)
    del shown["preview_dimensions"]
    return {
        **shown,
        "dataset": {"id": dataset.id, "name": dataset.name, "created_at": dataset.created_at, "is_public": False},
        "dataset_id": dataset.id,
        "tags_count": len(note.tags) if note else 0,
        "annotations_count": 1 if note else 0,
        "classes": [world.classes[c] for c in (note.classes if note else [])],
        "coordinates": [o["coordinates"] for o in (note.objects if note else [])],
        "number_in_dataset": entry.number,
    }


def image_in_full(world: World, dataset: Dataset, entry: Picture) -> Shown:
    sets, notes = [], []
    for s in world.sets_of(dataset.id):
        note = s.notes.get(entry.id)
        notes += [note] if note else []
        objects = note.objects if note else []
        used = [c for o in objects for c in o["classes"]] + (note.classes if note else [])
        message = {"id": s.id, "name": s.name, "task": TASKS[s.task]}
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
        sets.append({"annotation_set": message, "tags": tags, "classes": counts, "objects": shown})
    first = min(notes, key=lambda note: note.id, default=None)
    size = [entry.width, entry.height]
    return {
        "id": entry.id,
        "original": None,
        "image": entry.url("images"),
        "view": entry.url("views"),
        "name": entry.name,
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
    classes = sorted(({"id": c, "name": world.classes[c]} for c in s.classes), key=lambda entry: str(entry["name"]))
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


def upload_shown(world: World, entry: Upload) -> Shown:
    dataset = world.datasets.get(entry.dataset)
    uploaded = {kind: _sizes(sizes) for kind, sizes in entry.uploaded.items()}
    return {
        "session_id": entry.id,
        "created_at": entry.created_at,
        "finished_at": entry.finished_at,
        "dataset": {"id": dataset.id, "name": dataset.name} if dataset else {},
        "status": entry.status,
        "substatus": "",
        "images": entry.images.told(),
        "annotations": entry.annotations.told(),
        "errors": entry.errors,
        "warnings": [],
        "uploaded": {"total": _sizes([size for sizes in entry.uploaded.values() for size in sizes]), **uploaded},
    }


def _sizes(sizes: list[int]) -> Shown:
    total = sum(sizes)
    return {
        "items": len(sizes),
        "size": total,
        "human_size": f"{total} b" if total < 1024 else f"{total / 1024:.1f} Kb",
    }
