"""What Remo answers of classes, tags and annotations."""

from __future__ import annotations

from .rendering import note_saved
from .routes import Answer, Asked, ServerError, annotation_set, number, open_dataset, paged, picture_of, route
from .state import STATUS, STATUS_NAMES, Set, World, class_name


@route("GET", "/api/common-class/")
def list_classes(world: World, request: Asked) -> Answer:
    listed = sorted(world.classes.items(), key=lambda entry: entry[1])
    return Answer(200, paged(request, listed, lambda entry: {"id": entry[0], "name": entry[1]}))


@route("POST", "/api/common-class/")
def create_class(world: World, request: Asked) -> Answer:
    new_name = request.json()["name"]
    if new_name in world.classes.values():  # exactly: told before the spelling is changed
        return Answer(400, {"name": ["class with this name already exists."]})
    name = class_name(new_name)
    status = 200 if name in world.classes.values() else 201
    return Answer(status, {"id": world.class_id(name), "name": name})


@route("POST", "/api/v1/ui/annotation-sets/{}/classes/")
def add_class(world: World, request: Asked, set_id: str) -> Answer:
    record, name = annotation_set(world, set_id), class_name(request.json()["name"])
    identity = world.class_id(name)
    status = 200 if identity in record.classes else 201
    if status == 201:
        record.classes.append(identity)
        world.count(record)
    return Answer(status, {"id": identity, "name": name})


@route("PUT", "/api/v1/ui/annotation-sets/{}/classes/{}/")
def rename_class(world: World, request: Asked, set_id: str, old: str) -> Answer:
    record, name = annotation_set(world, set_id), class_name(request.json()["name"])
    if number(old) not in record.classes:
        return Answer(404, {"error": f"Class id: {old}, not found in annotation set: '{record.name}'"})
    identity = world.class_id(name)
    if identity != number(old):
        world.replace_class(record, number(old), identity)
    return Answer(200, {"id": identity, "name": name})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/classes/{}/")
def delete_class(world: World, request: Asked, set_id: str, old: str) -> Answer:
    record = annotation_set(world, set_id)
    if number(old) not in record.classes:
        raise ServerError
    world.replace_class(record, number(old), None)
    return Answer(204)


@route("GET", "/api/v1/ui/annotation-sets/{}/tags/")
def list_tags(world: World, request: Asked, set_id: str) -> Answer:
    used = {tag for note in annotation_set(world, set_id).notes.values() for tag in note.tags}
    return Answer(200, paged(request, sorted(used), lambda tag: {"id": tag, "name": world.tags[tag]}))


@route("PUT", "/api/v1/ui/annotation-sets/{}/tags/{}/")
def rename_tag(world: World, request: Asked, set_id: str, tag: str) -> Answer:
    record, name, old = annotation_set(world, set_id), request.json()["name"], number(tag)
    if not any(old in note.tags for note in record.notes.values()):
        return _no_tag(tag, record)
    new = world.tag_id(name)
    for note in record.notes.values():
        note.tags = list(dict.fromkeys(new if tag_number == old else tag_number for tag_number in note.tags))
    return Answer(200, {"id": new, "name": name})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/tags/{}/")
def delete_tag(world: World, request: Asked, set_id: str, tag: str) -> Answer:
    record, old = annotation_set(world, set_id), number(tag)
    if not any(old in note.tags for note in record.notes.values()):
        return _no_tag(tag, record)
    for note in record.notes.values():
        note.tags = [tag_number for tag_number in note.tags if tag_number != old]
    return Answer(204)


def _no_tag(tag: str, set_id: Set) -> Answer:
    return Answer(404, {"error": f"Tag id: {tag}, not found in annotation set: '{set_id.name}'"})


@route("POST", "/api/v1/ui/annotation-sets/{}/images/{}/tags/")
def tag_image(world: World, request: Asked, set_id: str, image: str) -> Answer:
    record, name = annotation_set(world, set_id), request.json()["name"]
    note = world.note(record, picture_of(world, record, image).id)
    tag = world.tag_id(name.lower().strip() if world.modern else name)
    status = 200 if tag in note.tags else 201
    note.tags = list(dict.fromkeys([*note.tags, tag]))
    return Answer(status, {"id": tag, "name": world.tags[tag], "annotation_set": record.id, "image": note.image})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/images/{}/tags/{}/")
def untag_image(world: World, request: Asked, set_id: str, image: str, tag: str) -> Answer:
    record = annotation_set(world, set_id)
    note = record.notes.get(picture_of(world, record, image).id)
    if note:
        note.tags = [tag_number for tag_number in note.tags if tag_number != number(tag)]
    return Answer(204)


@route("POST", "/api/v1/ui/annotation-sets/{}/images/{}/status/", "new")
def set_status(world: World, request: Asked, set_id: str, image: str) -> Answer:
    record = annotation_set(world, set_id)
    note = world.note(record, picture_of(world, record, image).id)
    note.status = STATUS.get(request.json().get("status", ""), -1)
    world.count(record)
    return Answer(200, {"status": STATUS_NAMES[note.status]})


@route("GET", "/api/dataset/{}/annotation-set/{}/image/{}/annotation/")
def read_annotation(world: World, request: Asked, dataset: str, set_id: str, image: str) -> Answer:
    record = annotation_set(world, set_id)
    note = record.notes.get(picture_of(world, record, image).id)
    info = note_saved(world, record, note)["annotation_info"] if note else []
    return Answer(200, {"error": False, "annotation_info": info, "status": STATUS_NAMES[note.status if note else -1]})


@route("POST", "/api/dataset/{}/annotation-set/{}/image/{}/save-annotation/")
def save_annotation(world: World, request: Asked, dataset: str, set_id: str, image: str) -> Answer:
    open_dataset(world, dataset)
    record, name = annotation_set(world, set_id), request.json()
    picture, objects = picture_of(world, record, image), name.get("objects", [])
    faults = [{} if said_one.get("name") else {"name": ["This field is required."]} for said_one in objects]
    if record.task != 3 and any(faults):
        return Answer(400, faults)
    note = world.note(record, picture.id)

    def ids(classes: list[dict[str, str]]) -> list[int]:
        ids = [world.class_id(set_id["name"]) for set_id in classes]  # as they are spelled: a new class it may be
        record.classes += [set_id for set_id in dict.fromkeys(ids) if set_id not in record.classes]
        return ids

    if record.task == 3:
        note.classes = ids(name.get("classes", []))
    else:
        note.objects = [
            {
                "id": world.next("object"),
                "name": set_id["name"],
                "classes": ids(set_id.get("classes", [])),
                "coordinates": [{"x": int(p["x"]), "y": int(p["y"])} for p in set_id["coordinates"]],
            }
            for set_id in objects
        ]
    if record.task == 3 or not world.modern:
        note.status = STATUS.get(name.get("status", ""), -1)
    world.count(record)
    return Answer(200, note_saved(world, record, note))
