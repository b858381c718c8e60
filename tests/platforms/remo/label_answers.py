"""What Remo answers of classes, tags and annotations."""

from __future__ import annotations

from .routes import Answer, Asked, ServerError, annotation_set, number, open_dataset, paged, picture_of, route
from .shown import note_saved
from .world import STATUS, STATUS_NAMES, Set, World, class_name


@route("GET", "/api/common-class/")
def list_classes(world: World, asked: Asked) -> Answer:
    listed = sorted(world.classes.items(), key=lambda one: one[1])
    return Answer(200, paged(asked, listed, lambda one: {"id": one[0], "name": one[1]}))


@route("POST", "/api/common-class/")
def create_class(world: World, asked: Asked) -> Answer:
    said = asked.json()["name"]
    if said in world.classes.values():  # exactly: told before the spelling is changed
        return Answer(400, {"name": ["class with this name already exists."]})
    name = class_name(said)
    status = 200 if name in world.classes.values() else 201
    return Answer(status, {"id": world.class_id(name), "name": name})


@route("POST", "/api/v1/ui/annotation-sets/{}/classes/")
def add_class(world: World, asked: Asked, one: str) -> Answer:
    found, name = annotation_set(world, one), class_name(asked.json()["name"])
    identity = world.class_id(name)
    status = 200 if identity in found.classes else 201
    if status == 201:
        found.classes.append(identity)
        world.count(found)
    return Answer(status, {"id": identity, "name": name})


@route("PUT", "/api/v1/ui/annotation-sets/{}/classes/{}/")
def rename_class(world: World, asked: Asked, one: str, old: str) -> Answer:
    found, name = annotation_set(world, one), class_name(asked.json()["name"])
    if number(old) not in found.classes:
        return Answer(404, {"error": f"Class id: {old}, not found in annotation set: '{found.name}'"})
    identity = world.class_id(name)
    if identity != number(old):
        world.replace_class(found, number(old), identity)
    return Answer(200, {"id": identity, "name": name})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/classes/{}/")
def delete_class(world: World, asked: Asked, one: str, old: str) -> Answer:
    found = annotation_set(world, one)
    if number(old) not in found.classes:
        raise ServerError
    world.replace_class(found, number(old), None)
    return Answer(204)


@route("GET", "/api/v1/ui/annotation-sets/{}/tags/")
def list_tags(world: World, asked: Asked, one: str) -> Answer:
    used = {tag for note in annotation_set(world, one).notes.values() for tag in note.tags}
    return Answer(200, paged(asked, sorted(used), lambda tag: {"id": tag, "name": world.tags[tag]}))


@route("PUT", "/api/v1/ui/annotation-sets/{}/tags/{}/")
def rename_tag(world: World, asked: Asked, one: str, tag: str) -> Answer:
    found, name, old = annotation_set(world, one), asked.json()["name"], number(tag)
    if not any(old in note.tags for note in found.notes.values()):
        return _no_tag(tag, found)
    new = world.tag_id(name)
    for note in found.notes.values():
        note.tags = list(dict.fromkeys(new if known == old else known for known in note.tags))
    return Answer(200, {"id": new, "name": name})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/tags/{}/")
def delete_tag(world: World, asked: Asked, one: str, tag: str) -> Answer:
    found, old = annotation_set(world, one), number(tag)
    if not any(old in note.tags for note in found.notes.values()):
        return _no_tag(tag, found)
    for note in found.notes.values():
        note.tags = [known for known in note.tags if known != old]
    return Answer(204)


def _no_tag(tag: str, one: Set) -> Answer:
    return Answer(404, {"error": f"Tag id: {tag}, not found in annotation set: '{one.name}'"})


@route("POST", "/api/v1/ui/annotation-sets/{}/images/{}/tags/")
def tag_image(world: World, asked: Asked, one: str, image: str) -> Answer:
    found, said = annotation_set(world, one), asked.json()["name"]
    note = world.note(found, picture_of(world, found, image).id)
    tag = world.tag_id(said.lower().strip() if world.modern else said)
    status = 200 if tag in note.tags else 201
    note.tags = list(dict.fromkeys([*note.tags, tag]))
    return Answer(status, {"id": tag, "name": world.tags[tag], "annotation_set": found.id, "image": note.image})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/images/{}/tags/{}/")
def untag_image(world: World, asked: Asked, one: str, image: str, tag: str) -> Answer:
    found = annotation_set(world, one)
    note = found.notes.get(picture_of(world, found, image).id)
    if note:
        note.tags = [known for known in note.tags if known != number(tag)]
    return Answer(204)


@route("POST", "/api/v1/ui/annotation-sets/{}/images/{}/status/", "new")
def set_status(world: World, asked: Asked, one: str, image: str) -> Answer:
    found = annotation_set(world, one)
    note = world.note(found, picture_of(world, found, image).id)
    note.status = STATUS.get(asked.json().get("status", ""), -1)
    world.count(found)
    return Answer(200, {"status": STATUS_NAMES[note.status]})


@route("GET", "/api/dataset/{}/annotation-set/{}/image/{}/annotation/")
def read_annotation(world: World, asked: Asked, dataset: str, one: str, image: str) -> Answer:
    found = annotation_set(world, one)
    note = found.notes.get(picture_of(world, found, image).id)
    info = note_saved(world, found, note)["annotation_info"] if note else []
    return Answer(200, {"error": False, "annotation_info": info, "status": STATUS_NAMES[note.status if note else -1]})


@route("POST", "/api/dataset/{}/annotation-set/{}/image/{}/save-annotation/")
def save_annotation(world: World, asked: Asked, dataset: str, one: str, image: str) -> Answer:
    open_dataset(world, dataset)
    found, said = annotation_set(world, one), asked.json()
    picture, objects = picture_of(world, found, image), said.get("objects", [])
    faults = [{} if said_one.get("name") else {"name": ["This field is required."]} for said_one in objects]
    if found.task != 3 and any(faults):
        return Answer(400, faults)
    note = world.note(found, picture.id)

    def ids(classes: list[dict[str, str]]) -> list[int]:
        made = [world.class_id(one["name"]) for one in classes]  # as they are spelled: a new class it may be
        found.classes += [one for one in dict.fromkeys(made) if one not in found.classes]
        return made

    if found.task == 3:
        note.classes = ids(said.get("classes", []))
    else:
        note.objects = [
            {
                "id": world.next("object"),
                "name": one["name"],
                "classes": ids(one.get("classes", [])),
                "coordinates": [{"x": int(p["x"]), "y": int(p["y"])} for p in one["coordinates"]],
            }
            for one in objects
        ]
    if found.task == 3 or not world.modern:
        note.status = STATUS.get(said.get("status", ""), -1)
    world.count(found)
    return Answer(200, note_saved(world, found, note))
