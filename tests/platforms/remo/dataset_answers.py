"""What Remo answers of datasets and their images."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from .routes import Answer, Asked, ServerError, number, open_dataset, paged, route
from .shown import contents, dataset_made, dataset_shown, folder_shown, image_in_full, image_of_sdk
from .world import TASKS, TOOLS, Picture, World


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


@route("GET", "/api/v1/ui/images/{}/cache/")
def cache_image(world: World, asked: Asked, image: str) -> Answer:
    if _large(world, image) is None:
        return Answer(404, {"error": f"Image #{image} - not found"})
    return Answer(200, {"status": f"Image #{image} - cached"})


@route("GET", "/api/v1/ui/images/{}/downsample/")
def downsample_image(world: World, asked: Asked, image: str) -> Answer:
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
