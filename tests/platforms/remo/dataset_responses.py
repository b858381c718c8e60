"""What Remo answers of datasets and their images."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from .rendering import contents, dataset_made, dataset_shown, folder_shown, image_in_full, image_of_sdk
from .routes import Answer, Asked, ServerError, number, open_dataset, paged, route
from .state import TASKS, TOOLS, Picture, World


@route("POST", "/api/dataset/")
def create_dataset(world: World, request: Asked) -> Answer:
    payload = request.json()
    created = world.new_dataset(payload.get("name", "Dataset"), bool(payload.get("is_public")))
    return Answer(200, dataset_made(world, created))


@route("GET", "/api/dataset/")
def list_datasets_wrongly(world: World, request: Asked) -> Answer:
    raise ServerError


@route("PATCH", "/api/dataset/{}/")
def rename_dataset(world: World, request: Asked, dataset: str) -> Answer:
    record = open_dataset(world, dataset)
    record.name = request.json().get("name", record.name)
    return Answer(200, dataset_made(world, record))


@route("PATCH", "/api/user-dataset/{}/")
def archive_dataset(world: World, request: Asked, dataset: str) -> Answer:
    record = world.datasets[number(dataset)]
    record.archived = bool(request.json().get("is_archived", record.archived))
    return Answer(200, dataset_shown(world, record, more=True))


@route("DELETE", "/api/user-dataset/{}/")
def delete_dataset(world: World, request: Asked, dataset: str) -> Answer:
    world.delete_dataset(world.datasets[number(dataset)].id)
    return Answer(204)


@route("GET", "/api/user-dataset/{}/contents/{}/", "new")
def contents_wrongly(world: World, request: Asked, dataset: str, folder: str) -> Answer:
    raise ServerError


@route("GET", "/api/v1/ui/search/", "new")
def search_wrongly(world: World, request: Asked) -> Answer:
    raise ServerError


@route("POST", "/api/user-dataset/{}/folders/")
def create_folder(world: World, request: Asked, dataset: str) -> Answer:
    record, folder_number = open_dataset(world, dataset), world.next("folder")
    created = folder_shown(world, record, folder_number, request.json()["name"])
    return Answer(201, created)


@route("GET", "/api/v1/ui/datasets/")
def list_datasets(world: World, request: Asked) -> Answer:
    record = list(world.datasets.values())
    for flag, name in (("is_archived", "archived"), ("is_public", "public")):
        if request.query.get(flag) in ("true", "false"):
            record = [dataset for dataset in record if getattr(dataset, name) == (request.query[flag] == "true")]
    return Answer(200, paged(request, record, lambda dataset: dataset_shown(world, dataset)))


@route("GET", "/api/v1/ui/datasets/{}/")
def read_dataset(world: World, request: Asked, dataset: str) -> Answer:
    return Answer(200, dataset_shown(world, world.datasets[number(dataset)]))


@route("GET", "/api/v1/ui/datasets/{}/details/")
def read_details(world: World, request: Asked, dataset: str) -> Answer:
    more = {"settings": {"keep_classes_order_constant": False}} if world.modern else {}
    return Answer(200, dataset_shown(world, world.datasets[number(dataset)], more=True) | more)


@route("GET", "/api/v1/ui/datasets/{}/contents/")
def list_contents(world: World, request: Asked, dataset: str) -> Answer:
    return Answer(200, contents(world, request, open_dataset(world, dataset), None, paged))


@route("GET", "/api/v1/ui/datasets/{}/contents/{}/")
def list_folder(world: World, request: Asked, dataset: str, folder: str) -> Answer:
    record = open_dataset(world, dataset)
    return Answer(200, contents(world, request, record, record.folders[number(folder)].id, paged))


@route("GET", "/api/v1/ui/datasets/{}/images/")
def list_images_of_page(world: World, request: Asked, dataset: str) -> Answer:
    def show(picture_entry: Picture) -> dict[str, Any]:
        notes = [note for s in world.sets_of(record.id) for note in [s.notes.get(picture_entry.id)] if note]
        count = sum(len(note.objects) + len(note.classes) for note in notes)
        return {
            "id": picture_entry.id,
            "name": picture_entry.name,
            "thumbnail": picture_entry.url("thumbnails"),
            "annotates_count": count,
        }

    record = open_dataset(world, dataset)
    return Answer(200, paged(request, record.pictures.values(), show))


@route("GET", "/api/v1/ui/datasets/{}/images/{}/annotations/")
def read_image(world: World, request: Asked, dataset: str, image: str) -> Answer:
    record = open_dataset(world, dataset)
    return Answer(200, image_in_full(world, record, record.pictures[number(image)]))


@route("GET", "/api/v1/sdk/datasets/{}/images/")
def list_images(world: World, request: Asked, dataset: str) -> Answer:
    record = world.datasets.get(number(dataset))
    if record is None:
        return Answer(404, {"error": f"Dataset with id: {dataset}, was not found."})
    show = lambda picture_entry: image_of_sdk(record, picture_entry)  # noqa: E731
    if request.query.get("limit") and record.pictures:
        return Answer(200, paged(request, record.pictures.values(), show))
    return Answer(
        200,
        {"count": len(record.pictures), "results": [show(picture_entry) for picture_entry in record.pictures.values()]},
    )


@route("GET", "/api/v1/ui/images/{}/cache/")
def cache_image(world: World, request: Asked, image: str) -> Answer:
    if _large(world, image) is None:
        return Answer(404, {"error": f"Image #{image} - not found"})
    return Answer(200, {"status": f"Image #{image} - cached"})


@route("GET", "/api/v1/ui/images/{}/downsample/")
def downsample_image(world: World, request: Asked, image: str) -> Answer:
    record = _large(world, image)
    if record is None:
        return Answer(404, {"error": f"Image #{image} - not found"})
    x, y, w, h = (int(request.query.get(f"source_{name}", 0)) for name in ("x", "y", "width", "height"))
    scale, buffer = float(request.query.get("downscale", 1)), io.BytesIO()
    with Image.open(io.BytesIO(record.data)) as picture:
        part = picture.convert("RGB").crop((x, y, x + w, y + h)).resize((round(w * scale), round(h * scale)))
    part.save(buffer, "JPEG")
    return Answer(200, text=buffer.getvalue(), kind="image/jpeg")


def _large(world: World, image: str) -> Picture | None:
    record = next(
        (
            picture_entry.pictures[number(image)]
            for picture_entry in world.datasets.values()
            if number(image) in picture_entry.pictures
        ),
        None,
    )
    return record if record and record.high_resolution else None


@route("GET", "/api/task/")
def list_tasks(world: World, request: Asked) -> Answer:
    def show(task: int) -> dict[str, Any]:
        tools = [{"id": task, "code_name": tool} for tool in TOOLS[task]]
        name = TASKS[task]
        return {"id": task, "available_tools": tools, "name": name, "type": name.lower().replace(" ", "_")}

    return Answer(200, paged(request, (3, 2, 1), show))
