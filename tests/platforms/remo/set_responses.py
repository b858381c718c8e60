"""What Remo answers of annotation sets."""

from __future__ import annotations

from urllib.parse import urlencode

from .exports import export
from .rendering import annotation_set_in_full, annotation_set_listed, gallery_image, image_of_set
from .routes import Answer, Asked, ServerError, annotation_set, number, open_dataset, paged, route
from .state import TASKS, World, class_name, task_number


@route("POST", "/api/v1/ui/annotation-sets/")
def create_set(world: World, request: Asked) -> Answer:
    payload = request.json()
    task = task_number(payload.get("annotation_task"))
    if task is None:
        message = f"Annotation task '{payload.get('annotation_task')}' not recognized. Try one of this: "
        return Answer(400, {"error": message + ", ".join(TASKS.values()) + "."})
    dataset_id = payload.get("dataset_id")
    dataset = world.datasets.get(number(str(dataset_id)))
    if dataset is None:
        return Answer(404, {"error": f"Dataset with id: {dataset_id}, was not found."})
    classes, name = payload.get("classes", []), str(payload.get("name", "")).strip()
    if not isinstance(classes, list) or not all(isinstance(set_id, str) for set_id in classes):
        return Answer(400, {"error": "Classes should be a list of strings"})
    if _name_is_taken(world, dataset.id, name):
        return Answer(400, {"error": f"Annotation set with giving name '{name}', exists in current dataset."})
    ids = [world.class_id(class_name(set_id)) for set_id in classes if set_id.strip()]
    created = world.new_set(dataset.id, name, task, ids)
    shown = {"id": created.id, "name": name, "task": TASKS[task], "dataset_id": dataset.id}
    return Answer(
        201, {**shown, "classes": [{"id": set_id, "name": world.classes[set_id]} for set_id in created.classes]}
    )


@route("POST", "/api/annotation-set/")
def create_set_by_ids(world: World, request: Asked) -> Answer:
    payload = request.json()
    dataset = world.datasets[number(str(payload["dataset"]))]
    if _name_is_taken(world, dataset.id, payload["name"]):
        return Answer(400, {"non_field_errors": ["The fields dataset, name must make a unique set."]})
    existing = [set_id for set_id in payload["classes"] if set_id["name"] in world.classes.values()]
    created = world.new_set(
        dataset.id, payload["name"], payload["task"], [world.class_id(set_id["name"]) for set_id in existing]
    )
    shown = {
        "id": created.id,
        "name": created.name,
        "released_at": None,
        "updated_at": created.updated_at,
        "task": created.task,
        "dataset": dataset.id,
        "last_annotated_date": None,
        "classes": [{"id": set_id, "name": world.classes[set_id]} for set_id in created.classes],
        "is_last_modified": False,
        "type": payload["type"],
        "is_public": False,
    }
    return Answer(201, shown)


@route("GET", "/api/v1/ui/annotation-sets/{}/")
def read_set(world: World, request: Asked, set_id: str) -> Answer:
    return Answer(200, annotation_set_in_full(world, annotation_set(world, set_id)))


@route("DELETE", "/api/v1/ui/annotation-sets/{}/")
def delete_set(world: World, request: Asked, set_id: str) -> Answer:
    del world.sets[annotation_set(world, set_id).id]
    return Answer(204)


@route("PUT", "/api/v1/ui/annotation-sets/{}/")
def rename_set(world: World, request: Asked, set_id: str) -> Answer:
    record = world.sets.get(number(set_id))
    if record is None:
        return Answer(404, {"error": f"Annotation set with id: {set_id}, was not found."})
    name = str(request.json()["name"]).strip()
    if name != record.name and _name_is_taken(world, record.dataset, name):
        return Answer(400, {"error": f"Annotation set with giving name '{name}', exists in current dataset."})
    record.name = name
    return Answer(200, {"id": record.id, "name": name})


def _name_is_taken(world: World, dataset: int, name: str) -> bool:
    return any(set_id.name == name for set_id in world.sets_of(dataset))


@route("GET", "/api/v1/ui/datasets/{}/annotation-sets/")
def list_sets(world: World, request: Asked, dataset: str) -> Answer:
    record = world.sets_of(open_dataset(world, dataset).id)
    return Answer(200, paged(request, record, lambda set_id: annotation_set_listed(world, set_id)))


@route("GET", "/api/v1/ui/annotation-sets/{}/images/")
def list_images_of_set(world: World, request: Asked, set_id: str) -> Answer:
    if not world.modern:
        raise ServerError  # SQLite knows no DISTINCT ON
    record = annotation_set(world, set_id)
    dataset = world.datasets[record.dataset]
    return Answer(200, paged(request, dataset.pictures.values(), lambda p: image_of_set(world, dataset, record, p)))


@route("GET", "/api/dataset/{}/annotation-set/{}/image/")
def gallery(world: World, request: Asked, dataset: str, set_id: str) -> Answer:
    """Done images first, then skipped ones, then the rest; each page leaves out what the tracker remembers."""
    record, limit = annotation_set(world, set_id), number(request.query.get("limit", "32"))
    pictures = open_dataset(world, dataset).pictures
    status = {p: record.notes[p].status if p in record.notes else -1 for p in pictures}
    order = [p for status_order in (1, 0, -1) for p in pictures if status[p] == status_order]
    tracker = number(request.query.get("tracker_id", "")) if request.query.get("tracker_id") else world.next("tracker")
    delivered = world.trackers.setdefault(tracker, set())
    left = [p for p in order if p not in delivered]
    delivered.update(left[:limit])
    query = urlencode({"direction": "next", "limit": limit, "order": "annotated", "tracker_id": tracker})
    return Answer(
        200,
        {
            "count": len(pictures),
            "not_annotated_count": list(status.values()).count(-1),
            "skipped_count": list(status.values()).count(0),
            "annotated_count": list(status.values()).count(1),
            "next": f"{request.path}?{query}" if len(left) > limit else None,
            "previous": None,
            "results": [gallery_image(pictures[p], record.notes.get(p)) for p in left[:limit]],
        },
    )


@route("GET", "/api/v1/ui/annotation-sets/{}/export-count/", "new")
def export_count(world: World, request: Asked, set_id: str) -> Answer:
    tags = set(request.query.get("filter_by_tags", "").lower().split(","))
    notes = [note for note in annotation_set(world, set_id).notes.values() if note.objects or note.classes]
    return Answer(200, {"count": sum(bool(tags & {world.tags[tag] for tag in note.tags}) for note in notes)})


@route("GET", "/api/v1/ui/annotation-sets/{}/export/")
def export_set(world: World, request: Asked, set_id: str) -> Answer:
    flags = {"full_path": ["true", "false"], "export_coordinates": ["pixel", "percent"]}
    existing = {"annotation_format": ["coco", "json", "csv"], **flags}
    if world.modern:
        existing["export_without_annotations"] = ["true", "false"]
    for name, values in existing.items():
        if request.query.get(name, values[0]) not in values:
            return Answer(400, {"error": f"Exporter parameter {name} can be: {', '.join(values)}"})
    record = world.sets.get(number(set_id))
    if record is None:
        return Answer(404, {"error": f"Annotation set with id: {set_id}, was not found."})
    kind = request.query.get("annotation_format", "json")
    created = export(
        world,
        record,
        kind,
        percent=request.query.get("export_coordinates") == "percent",
        full_path=request.query.get("full_path") == "true",
        everything=request.query.get("export_without_annotations") == "true",
    )
    if created is None:
        return Answer(404, {"error": f"Exporter for {TASKS[record.task]} task in format {kind} not implemented"})
    text, media = created
    ending = "json" if kind == "coco" else kind
    return Answer(200, text=text, kind=media, headers={"Content-Disposition": f'filename="{record.name}.{ending}"'})
