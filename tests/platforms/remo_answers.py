"""How Remo answers each call: a table of routes, and one function a route."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from PIL import Image

from .remo_exports import export
from .remo_shown import (
    annotation_set_in_full,
    annotation_set_listed,
    contents,
    dataset_made,
    dataset_shown,
    folder_shown,
    gallery_image,
    image_in_full,
    image_of_sdk,
    image_of_set,
    note_saved,
    upload_shown,
)
from .remo_world import (
    STATUS,
    STATUS_NAMES,
    TASKS,
    TOOLS,
    Dataset,
    Picture,
    Set,
    Upload,
    World,
    class_name,
    task_number,
)

NOT_FOUND = {"detail": "Not found."}


class ServerError(Exception):
    """Remo would answer 500 with a page."""


@dataclass
class Asked:
    """A request, read."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str = ""
    body: bytes = b""
    form: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)
    host: str = ""

    def json(self) -> Any:
        try:
            said = json.loads(self.body or b"{}")
        except ValueError:
            raise ServerError from None
        if not isinstance(said, dict):
            raise ServerError
        return said


@dataclass
class Answer:
    """What is answered; `text` of any other type than JSON."""

    status: int
    json: Any = None
    text: str | bytes | None = None
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = []


def route(methods: str, path: str, versions: str = "both") -> Callable[[Handler], Handler]:
    """`{}` stands for an id. Versions: both, old or new."""

    def add(handler: Handler) -> Handler:
        pattern = re.compile(path.replace("{}", r"([^/]+)") + "$")
        ROUTES.extend((method, pattern, versions, handler) for method in methods.split("|"))
        return handler

    return add


def _routes(world: World, path: str) -> Iterator[tuple[str, Handler, tuple[str, ...]]]:
    """What this version has at an address."""
    for method, pattern, versions, handler in ROUTES:
        found = pattern.match(path) if versions in ("both", "new" if world.modern else "old") else None
        if found:
            yield method, handler, found.groups()


def knows(world: World, path: str) -> bool:
    return any(True for _ in _routes(world, path))


def answer(world: World, asked: Asked) -> Answer:
    """To a request at an address that this version knows."""
    for method, handler, ids in _routes(world, asked.path):
        if method == asked.method:
            try:
                return handler(world, asked, *ids)
            except KeyError as missing:
                if missing.args and isinstance(missing.args[0], str):
                    raise
                return Answer(404, NOT_FOUND)
    return Answer(405, {"detail": f'Method "{asked.method}" not allowed.'})


def number(text: str) -> int:
    return int(text) if text.isdecimal() else -1


def paged(asked: Asked, items: Iterable[Any], show: Callable[[Any], Any]) -> dict[str, Any]:
    listed = list(items)
    limit = number(asked.query.get("limit", "")) if asked.query.get("limit", "").isdecimal() else 32
    offset = max(number(asked.query.get("offset", "0")), 0)

    def link(to: int) -> str:
        query = {**asked.query, "limit": limit} | ({"offset": to} if to > 0 else {})
        if to <= 0:
            query.pop("offset", None)
        return f"http://{asked.host}{asked.path}?{urlencode(query)}"

    return {
        "count": len(listed),
        "next": link(offset + limit) if offset + limit < len(listed) else None,
        "previous": link(offset - limit) if offset > 0 else None,
        "results": [show(one) for one in listed[offset : offset + limit]],
    }


def open_dataset(world: World, identity: str) -> Dataset:
    found = world.datasets[number(identity)]
    if found.archived:
        raise KeyError(found.id)
    return found


def _set(world: World, identity: str) -> Set:
    return world.sets[number(identity)]


def _picture(world: World, one: Set, identity: str) -> Picture:
    return world.datasets[one.dataset].pictures[number(identity)]


# Datasets


@route("POST", "/api/dataset/")
def create_dataset(world: World, asked: Asked) -> Answer:
    said = asked.json()
    made = world.new_dataset(said.get("name", "Dataset"), bool(said.get("is_public")))
    return Answer(200, dataset_made(world, made))


@route("GET", "/api/dataset/")
def list_datasets_wrongly(world: World, asked: Asked) -> Answer:
    raise ServerError


@route("PATCH", "/api/dataset/{}/")
def rename_dataset(world: World, asked: Asked, dataset: str) -> Answer:
    found = open_dataset(world, dataset)
    found.name = asked.json().get("name", found.name)
    return Answer(200, dataset_made(world, found))


@route("PATCH", "/api/user-dataset/{}/")
def archive_dataset(world: World, asked: Asked, dataset: str) -> Answer:
    found = world.datasets[number(dataset)]
    found.archived = bool(asked.json().get("is_archived", found.archived))
    return Answer(200, dataset_shown(world, found, more=True))


@route("DELETE", "/api/user-dataset/{}/")
def delete_dataset(world: World, asked: Asked, dataset: str) -> Answer:
    world.delete_dataset(world.datasets[number(dataset)].id)
    return Answer(204)


@route("GET", "/api/user-dataset/{}/contents/{}/", "new")
def contents_wrongly(world: World, asked: Asked, dataset: str, folder: str) -> Answer:
    raise ServerError


@route("GET", "/api/v1/ui/search/", "new")
def search_wrongly(world: World, asked: Asked) -> Answer:
    raise ServerError


@route("POST", "/api/user-dataset/{}/folders/")
def create_folder(world: World, asked: Asked, dataset: str) -> Answer:
    found, folder_number = open_dataset(world, dataset), world.next("folder")
    made = folder_shown(world, found, folder_number, asked.json()["name"])
    return Answer(201, made)


@route("GET", "/api/v1/ui/datasets/")
def list_datasets(world: World, asked: Asked) -> Answer:
    found = list(world.datasets.values())
    for flag, name in (("is_archived", "archived"), ("is_public", "public")):
        if asked.query.get(flag) in ("true", "false"):
            found = [one for one in found if getattr(one, name) == (asked.query[flag] == "true")]
    return Answer(200, paged(asked, found, lambda one: dataset_shown(world, one)))


@route("GET", "/api/v1/ui/datasets/{}/")
def read_dataset(world: World, asked: Asked, dataset: str) -> Answer:
    return Answer(200, dataset_shown(world, world.datasets[number(dataset)]))


@route("GET", "/api/v1/ui/datasets/{}/details/")
def read_details(world: World, asked: Asked, dataset: str) -> Answer:
    more = {"settings": {"keep_classes_order_constant": False}} if world.modern else {}
    return Answer(200, dataset_shown(world, world.datasets[number(dataset)], more=True) | more)


@route("GET", "/api/v1/ui/datasets/{}/contents/")
def list_contents(world: World, asked: Asked, dataset: str) -> Answer:
    return Answer(200, contents(world, asked, open_dataset(world, dataset), None, paged))


@route("GET", "/api/v1/ui/datasets/{}/contents/{}/")
def list_folder(world: World, asked: Asked, dataset: str, folder: str) -> Answer:
    found = open_dataset(world, dataset)
    return Answer(200, contents(world, asked, found, found.folders[number(folder)].id, paged))


@route("GET", "/api/v1/ui/datasets/{}/images/")
def list_images_of_page(world: World, asked: Asked, dataset: str) -> Answer:
    def show(one: Picture) -> dict[str, Any]:
        notes = [note for s in world.sets_of(found.id) for note in [s.notes.get(one.id)] if note]
        count = sum(len(note.objects) + len(note.classes) for note in notes)
        return {"id": one.id, "name": one.name, "thumbnail": one.url("thumbnails"), "annotates_count": count}

    found = open_dataset(world, dataset)
    return Answer(200, paged(asked, found.pictures.values(), show))


@route("GET", "/api/v1/ui/datasets/{}/images/{}/annotations/")
def read_image(world: World, asked: Asked, dataset: str, image: str) -> Answer:
    found = open_dataset(world, dataset)
    return Answer(200, image_in_full(world, found, found.pictures[number(image)]))


@route("GET", "/api/v1/sdk/datasets/{}/images/")
def list_images(world: World, asked: Asked, dataset: str) -> Answer:
    found = world.datasets.get(number(dataset))
    if found is None:
        return Answer(404, {"error": f"Dataset with id: {dataset}, was not found."})
    show = lambda one: image_of_sdk(found, one)  # noqa: E731
    if asked.query.get("limit") and found.pictures:
        return Answer(200, paged(asked, found.pictures.values(), show))
    return Answer(200, {"count": len(found.pictures), "results": [show(one) for one in found.pictures.values()]})


# Uploads


@route("POST", "/api/dataset/{}/upload/")
def upload(world: World, asked: Asked, dataset: str) -> Answer:
    found, wanted = world.datasets.get(number(dataset)), asked.query.get("annotation_set_id")
    if wanted and not wanted.isdecimal():
        return Answer(400, {"error": "Annotation_set_id should be integer value."})
    if wanted and (int(wanted) not in world.sets or world.sets[int(wanted)].dataset != number(dataset)):
        return Answer(404, {"error": f"Annotation set #{wanted} was not found."})
    if found is None:
        return Answer(403, {"error": "Only admin can edit public datasets."})
    if asked.content_type.startswith("multipart/form-data"):
        said: dict[str, Any] = dict(asked.form)
    elif asked.content_type.startswith("application/json"):
        said = asked.json()
    else:
        told = f"Not supported payload format: {asked.content_type}"
        return Answer(400, {"error": told} if world.modern else {"error": True, "detail": told})
    task = task_number(said.get("annotation_task")) if said.get("annotation_task") else None
    if wanted and task and world.sets[int(wanted)].task != task:
        told = f"Annotation set #{wanted} task ({TASKS[world.sets[int(wanted)].task]}) does not match with giving task"
        return Answer(400, {"error": f"{told} - {TASKS[task]}"})
    handler = _upload_new if world.modern else _upload_old
    return handler(world, asked, found, said, task, int(wanted) if wanted else None)


def _upload_new(
    world: World, asked: Asked, dataset: Dataset, said: dict[str, Any], task: int | None, wanted: int | None
) -> Answer:
    form = asked.content_type.startswith("multipart")
    if form and "folder_id" in said:
        raise ServerError  # it compares a text with a number
    one = world.uploads.get(str(said["session_id"])) if said.get("session_id") else _new_upload(world, dataset)
    if one is None:
        return Answer(404, {"error": f"session_id: {said['session_id']} was not found"})
    if one.status == "not complete":
        for name, data in asked.files:
            world.store(one, name, data)
        one.task, one.annotation_set = one.task or task, one.annotation_set or wanted
        if not form:
            one.local_files += said.get("local_files") or []
            one.urls += said.get("urls") or []
            folder = said.get("folder_id")
            one.folder = folder if isinstance(folder, int) and folder in dataset.folders else one.folder
    if said.get("complete") in (True, "true", "True"):
        _start(one)
    return Answer(200, {"session_id": one.id})


def _upload_old(
    world: World, asked: Asked, dataset: Dataset, said: dict[str, Any], task: int | None, wanted: int | None
) -> Answer:
    form = asked.content_type.startswith("multipart")
    folder = asked.query.get("folder_id") if form else said.get("folder_id")
    if form and folder and number(str(folder)) not in dataset.folders:
        return Answer(400, {"error": True, "detail": "wrong 'folder_id' query parameter", "count": 0, "results": []})
    one = Upload(str(uuid.uuid4()), dataset.id, task=task, annotation_set=wanted)
    one.folder = number(str(folder)) if folder and number(str(folder)) in dataset.folders else None
    for name, data in asked.files:
        world.store(one, name, data)
    one.local_files, one.urls = said.get("local_files") or [], said.get("urls") or []
    if any(url not in world.web for url in one.urls):
        return Answer(400, {"error": "invalid URL"})
    world.work_off(one)
    duplicated = "Found duplicated image, it will be skipped. Filename "
    errors, added = [], one.images.successful
    for name, reasons in one.images.errors.items():
        if "Duplicated" in reasons[0]:
            added -= 1
            errors.append(duplicated + (name if form else ""))
        elif "content type" not in reasons[0]:  # what is no image is left out without a word
            errors.append(f"Failed to upload image {name}, error: unable to call VipsForeignLoad")
    return Answer(200, {"files uploaded": added, "annotations": one.annotations.successful, "errors": errors})


def _new_upload(world: World, dataset: Dataset) -> Upload:
    made = Upload(str(uuid.uuid4()), dataset.id)
    world.uploads[made.id] = made
    return made


def _start(one: Upload) -> bool:
    if one.status != "not complete":
        return False
    one.status = "pending"
    return True


def _look(world: World, one: Upload) -> None:
    """Time goes by while it is looked at."""
    if one.status in ("pending", "in progress"):
        one.looks += 1
        one.status = "in progress"
        if one.looks >= world.looks_until_done and one.dataset in world.datasets:
            world.work_off(one)


@route("POST", "/api/v1/ui/uploads/", "new")
def open_upload(world: World, asked: Asked) -> Answer:
    found = world.datasets.get(asked.json().get("dataset_id"))
    if found is None:
        return Answer(404, {"error": "Dataset not found"})
    return Answer(201, upload_shown(world, _new_upload(world, found)))


@route("GET", "/api/v1/ui/uploads/", "new")
def list_uploads(world: World, asked: Asked) -> Answer:
    over = asked.query.get("show_active") is None
    found = [one for one in world.uploads.values() if (one.status in ("done", "failed")) == over]
    shown = [upload_shown(world, one) for one in reversed(found)]
    for one in found:
        _look(world, one)
    return Answer(200, {"results": shown})


@route("GET", "/api/v1/ui/uploads/{}/status/", "new")
def read_upload(world: World, asked: Asked, upload_id: str) -> Answer:
    if upload_id not in world.uploads:
        return Answer(404, {"error": f"session_id: {upload_id} was not found"})
    _look(world, world.uploads[upload_id])
    return Answer(200, upload_shown(world, world.uploads[upload_id]))


@route("POST", "/api/v1/ui/uploads/{}/complete/", "new")
def complete_upload(world: World, asked: Asked, upload_id: str) -> Answer:
    done = upload_id in world.uploads and _start(world.uploads[upload_id])
    return Answer(200 if done else 404, {"session_id": upload_id})


# Annotation sets


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
    return Answer(200, annotation_set_in_full(world, _set(world, one)))


@route("DELETE", "/api/v1/ui/annotation-sets/{}/")
def delete_set(world: World, asked: Asked, one: str) -> Answer:
    del world.sets[_set(world, one).id]
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
    found = _set(world, one)
    dataset = world.datasets[found.dataset]
    return Answer(200, paged(asked, dataset.pictures.values(), lambda p: image_of_set(world, dataset, found, p)))


@route("GET", "/api/dataset/{}/annotation-set/{}/image/")
def gallery(world: World, asked: Asked, dataset: str, one: str) -> Answer:
    """Done images first, then skipped ones, then the rest; each page leaves out what the tracker remembers."""
    found, limit = _set(world, one), number(asked.query.get("limit", "32"))
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
    notes = [note for note in _set(world, one).notes.values() if note.objects or note.classes]
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


# Classes and tags


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
    found, name = _set(world, one), class_name(asked.json()["name"])
    identity = world.class_id(name)
    status = 200 if identity in found.classes else 201
    if status == 201:
        found.classes.append(identity)
        world.count(found)
    return Answer(status, {"id": identity, "name": name})


@route("PUT", "/api/v1/ui/annotation-sets/{}/classes/{}/")
def rename_class(world: World, asked: Asked, one: str, old: str) -> Answer:
    found, name = _set(world, one), class_name(asked.json()["name"])
    if number(old) not in found.classes:
        return Answer(404, {"error": f"Class id: {old}, not found in annotation set: '{found.name}'"})
    identity = world.class_id(name)
    if identity != number(old):
        world.replace_class(found, number(old), identity)
    return Answer(200, {"id": identity, "name": name})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/classes/{}/")
def delete_class(world: World, asked: Asked, one: str, old: str) -> Answer:
    found = _set(world, one)
    if number(old) not in found.classes:
        raise ServerError
    world.replace_class(found, number(old), None)
    return Answer(204)


@route("GET", "/api/v1/ui/annotation-sets/{}/tags/")
def list_tags(world: World, asked: Asked, one: str) -> Answer:
    used = {tag for note in _set(world, one).notes.values() for tag in note.tags}
    return Answer(200, paged(asked, sorted(used), lambda tag: {"id": tag, "name": world.tags[tag]}))


@route("PUT", "/api/v1/ui/annotation-sets/{}/tags/{}/")
def rename_tag(world: World, asked: Asked, one: str, tag: str) -> Answer:
    found, name, old = _set(world, one), asked.json()["name"], number(tag)
    if not any(old in note.tags for note in found.notes.values()):
        return _no_tag(tag, found)
    new = world.tag_id(name)
    for note in found.notes.values():
        note.tags = list(dict.fromkeys(new if known == old else known for known in note.tags))
    return Answer(200, {"id": new, "name": name})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/tags/{}/")
def delete_tag(world: World, asked: Asked, one: str, tag: str) -> Answer:
    found, old = _set(world, one), number(tag)
    if not any(old in note.tags for note in found.notes.values()):
        return _no_tag(tag, found)
    for note in found.notes.values():
        note.tags = [known for known in note.tags if known != old]
    return Answer(204)


def _no_tag(tag: str, one: Set) -> Answer:
    return Answer(404, {"error": f"Tag id: {tag}, not found in annotation set: '{one.name}'"})


@route("POST", "/api/v1/ui/annotation-sets/{}/images/{}/tags/")
def tag_image(world: World, asked: Asked, one: str, image: str) -> Answer:
    found, said = _set(world, one), asked.json()["name"]
    note = world.note(found, _picture(world, found, image).id)
    tag = world.tag_id(said.lower().strip() if world.modern else said)
    status = 200 if tag in note.tags else 201
    note.tags = list(dict.fromkeys([*note.tags, tag]))
    return Answer(status, {"id": tag, "name": world.tags[tag], "annotation_set": found.id, "image": note.image})


@route("DELETE", "/api/v1/ui/annotation-sets/{}/images/{}/tags/{}/")
def untag_image(world: World, asked: Asked, one: str, image: str, tag: str) -> Answer:
    found = _set(world, one)
    note = found.notes.get(_picture(world, found, image).id)
    if note:
        note.tags = [known for known in note.tags if known != number(tag)]
    return Answer(204)


# Annotations


@route("POST", "/api/v1/ui/annotation-sets/{}/images/{}/status/", "new")
def set_status(world: World, asked: Asked, one: str, image: str) -> Answer:
    found = _set(world, one)
    note = world.note(found, _picture(world, found, image).id)
    note.status = STATUS.get(asked.json().get("status", ""), -1)
    world.count(found)
    return Answer(200, {"status": STATUS_NAMES[note.status]})


@route("GET", "/api/dataset/{}/annotation-set/{}/image/{}/annotation/")
def read_annotation(world: World, asked: Asked, dataset: str, one: str, image: str) -> Answer:
    found = _set(world, one)
    note = found.notes.get(_picture(world, found, image).id)
    info = note_saved(world, found, note)["annotation_info"] if note else []
    return Answer(200, {"error": False, "annotation_info": info, "status": STATUS_NAMES[note.status if note else -1]})


@route("POST", "/api/dataset/{}/annotation-set/{}/image/{}/save-annotation/")
def save_annotation(world: World, asked: Asked, dataset: str, one: str, image: str) -> Answer:
    open_dataset(world, dataset)
    found, said = _set(world, one), asked.json()
    picture, objects = _picture(world, found, image), said.get("objects", [])
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


# Images


@route("GET", "/api/v1/ui/images/{}/cache/")
def cache_image(world: World, asked: Asked, image: str) -> Answer:
    if _large(world, image) is None:
        return Answer(404, {"error": f"Image #{image} - not found"})
    return Answer(200, {"status": f"Image #{image} - cached"})


@route("GET", "/api/v1/ui/images/{}/downsample/")
def downsample_image(world: World, asked: Asked, image: str) -> Answer:
    import io

    found = _large(world, image)
    if found is None:
        return Answer(404, {"error": f"Image #{image} - not found"})
    x, y, w, h = (int(asked.query.get(f"source_{name}", 0)) for name in ("x", "y", "width", "height"))
    scale, buffer = float(asked.query.get("downscale", 1)), io.BytesIO()
    with Image.open(io.BytesIO(found.data)) as picture:
        part = picture.convert("RGB").crop((x, y, x + w, y + h)).resize((round(w * scale), round(h * scale)))
    part.save(buffer, "JPEG")
    return Answer(200, text=buffer.getvalue(), kind="image/jpeg")


def _large(world: World, image: str) -> Picture | None:
    found = next(
        (one.pictures[number(image)] for one in world.datasets.values() if number(image) in one.pictures), None
    )
    return found if found and found.high_resolution else None


@route("GET", "/api/task/")
def list_tasks(world: World, asked: Asked) -> Answer:
    def show(task: int) -> dict[str, Any]:
        tools = [{"id": task, "code_name": tool} for tool in TOOLS[task]]
        name = TASKS[task]
        return {"id": task, "available_tools": tools, "name": name, "type": name.lower().replace(" ", "_")}

    return Answer(200, paged(asked, (3, 2, 1), show))
