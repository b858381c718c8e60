"""What Remo answers of annotation sets."""

from __future__ import annotations

from urllib.parse import urlencode

from .exports import export
from .routes import Answer, Asked, ServerError, annotation_set, number, open_dataset, paged, route
from .shown import annotation_set_in_full, annotation_set_listed, gallery_image, image_of_set
from .world import TASKS, World, class_name, task_number


@route("POST", "/api/v1/ui/annotation-sets/")
def create_set(world: World, asked: Asked) -> Answer:
    said = asked.json()
    task = task_number(said.get("annotation_task"))
    if task is None:
        told = f"Annotation task '{said.get('annotation_task')}' not recognized. Try one of this: "
        return Answer(400, {"error": told + ", ".join(TASKS.values()) + "."})
    wanted = said.get("dataset_id")
    dataset = world.datasets.get(number(str(wanted)))
    if dataset is None:
        return Answer(404, {"error": f"Dataset with id: {wanted}, was not found."})
    classes, name = said.get("classes", []), str(said.get("name", "")).strip()
    if not isinstance(classes, list) or not all(isinstance(one, str) for one in classes):
        return Answer(400, {"error": "Classes should be a list of strings"})
    if _name_is_taken(world, dataset.id, name):
        return Answer(400, {"error": f"Annotation set with giving name '{name}', exists in current dataset."})
    ids = [world.class_id(class_name(one)) for one in classes if one.strip()]
    made = world.new_set(dataset.id, name, task, ids)
    shown = {"id": made.id, "name": name, "task": TASKS[task], "dataset_id": dataset.id}
    return Answer(201, {**shown, "classes": [{"id": one, "name": world.classes[one]} for one in made.classes]})


@route("POST", "/api/annotation-set/")
def create_set_by_ids(world: World, asked: Asked) -> Answer:
    said = asked.json()
    dataset = world.datasets[number(str(said["dataset"]))]
    if _name_is_taken(world, dataset.id, said["name"]):
        return Answer(400, {"non_field_errors": ["The fields dataset, name must make a unique set."]})
    known = [one for one in said["classes"] if one["name"] in world.classes.values()]
    made = world.new_set(dataset.id, said["name"], said["task"], [world.class_id(one["name"]) for one in known])
    shown = {
        "id": made.id,
        "name": made.name,
        "released_at": None,
        "updated_at": made.updated_at,
        "task": made.task,
        "dataset": dataset.id,
        "last_annotated_date": None,
        "classes": [{"id": one, "name": world.classes[one]} for one in made.classes],
        "is_last_modified": False,
        "type": said["type"],
        "is_public": False,
    }
    return Answer(201, shown)


@route("GET", "/api/v1/ui/annotation-sets/{}/")
def read_set(world: World, asked: Asked, one: str) -> Answer:
    return Answer(200, annotation_set_in_full(world, annotation_set(world, one)))


@route("DELETE", "/api/v1/ui/annotation-sets/{}/")
def delete_set(world: World, asked: Asked, one: str) -> Answer:
    del world.sets[annotation_set(world, one).id]
    return Answer(204)


@route("PUT", "/api/v1/ui/annotation-sets/{}/")
def rename_set(world: World, asked: Asked, one: str) -> Answer:
    found = world.sets.get(number(one))
    if found is None:
        return Answer(404, {"error": f"Annotation set with id: {one}, was not found."})
    name = str(asked.json()["name"]).strip()
    if name != found.name and _name_is_taken(world, found.dataset, name):
        return Answer(400, {"error": f"Annotation set with giving name '{name}', exists in current dataset."})
    found.name = name
    return Answer(200, {"id": found.id, "name": name})


def _name_is_taken(world: World, dataset: int, name: str) -> bool:
    return any(one.name == name for one in world.sets_of(dataset))


@route("GET", "/api/v1/ui/datasets/{}/annotation-sets/")
def list_sets(world: World, asked: Asked, dataset: str) -> Answer:
    found = world.sets_of(open_dataset(world, dataset).id)
    return Answer(200, paged(asked, found, lambda one: annotation_set_listed(world, one)))


@route("GET", "/api/v1/ui/annotation-sets/{}/images/")
def list_images_of_set(world: World, asked: Asked, one: str) -> Answer:
    if not world.modern:
        raise ServerError  # SQLite knows no DISTINCT ON
    found = annotation_set(world, one)
    dataset = world.datasets[found.dataset]
    return Answer(200, paged(asked, dataset.pictures.values(), lambda p: image_of_set(world, dataset, found, p)))


@route("GET", "/api/dataset/{}/annotation-set/{}/image/")
def gallery(world: World, asked: Asked, dataset: str, one: str) -> Answer:
    """Done images first, then skipped ones, then the rest; each page leaves out what the tracker remembers."""
    found, limit = annotation_set(world, one), number(asked.query.get("limit", "32"))
    pictures = open_dataset(world, dataset).pictures
    status = {p: found.notes[p].status if p in found.notes else -1 for p in pictures}
    order = [p for wanted in (1, 0, -1) for p in pictures if status[p] == wanted]
    tracker = number(asked.query.get("tracker_id", "")) if asked.query.get("tracker_id") else world.next("tracker")
    given = world.trackers.setdefault(tracker, set())
    left = [p for p in order if p not in given]
    given.update(left[:limit])
    query = urlencode({"direction": "next", "limit": limit, "order": "annotated", "tracker_id": tracker})
    return Answer(
        200,
        {
            "count": len(pictures),
            "not_annotated_count": list(status.values()).count(-1),
            "skipped_count": list(status.values()).count(0),
            "annotated_count": list(status.values()).count(1),
            "next": f"{asked.path}?{query}" if len(left) > limit else None,
            "previous": None,
            "results": [gallery_image(pictures[p], found.notes.get(p)) for p in left[:limit]],
        },
    )


@route("GET", "/api/v1/ui/annotation-sets/{}/export-count/", "new")
def export_count(world: World, asked: Asked, one: str) -> Answer:
    wanted = set(asked.query.get("filter_by_tags", "").lower().split(","))
    notes = [note for note in annotation_set(world, one).notes.values() if note.objects or note.classes]
    return Answer(200, {"count": sum(bool(wanted & {world.tags[tag] for tag in note.tags}) for note in notes)})


@route("GET", "/api/v1/ui/annotation-sets/{}/export/")
def export_set(world: World, asked: Asked, one: str) -> Answer:
    flags = {"full_path": ["true", "false"], "export_coordinates": ["pixel", "percent"]}
    known = {"annotation_format": ["coco", "json", "csv"], **flags}
    if world.modern:
        known["export_without_annotations"] = ["true", "false"]
    for name, values in known.items():
        if asked.query.get(name, values[0]) not in values:
            return Answer(400, {"error": f"Exporter parameter {name} can be: {', '.join(values)}"})
    found = world.sets.get(number(one))
    if found is None:
        return Answer(404, {"error": f"Annotation set with id: {one}, was not found."})
    kind = asked.query.get("annotation_format", "json")
    made = export(
        world,
        found,
        kind,
        percent=asked.query.get("export_coordinates") == "percent",
        full_path=asked.query.get("full_path") == "true",
        everything=asked.query.get("export_without_annotations") == "true",
    )
    if made is None:
        return Answer(404, {"error": f"Exporter for {TASKS[found.task]} task in format {kind} not implemented"})
    text, media = made
    ending = "json" if kind == "coco" else kind
    return Answer(200, text=text, kind=media, headers={"Content-Disposition": f'filename="{found.name}.{ending}"'})
