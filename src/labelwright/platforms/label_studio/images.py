"""Images of a campaign: files are uploaded first, then all tasks of a batch are created by one request.

A task's data has the image's address and what finds it again: its name, a key made from the name, its SHA-256 and its
size. The server has no key of its own against doubles, so what is there is listed before anything is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.http.multipart import Form, FormFile
from labelwright.platforms.protocol import ImageToSend, RemoteImage

from .client import NAME, where
from .label_config import IMAGE, NOTE
from .server import Server

NAME_FIELD, KEY_FIELD, SHA_FIELD = "lw_name", "lw_key", "lw_sha256"
WIDTH_FIELD, HEIGHT_FIELD = "lw_width", "lw_height"
FILES = 100
"""Most files of one request; the server answers 500 to more."""
_EXTENSIONS = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp"}


def key_of(name: str) -> str:
    """Returns a short key for an image's name, by which its task is found again."""
    return hashlib.sha256(name.encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Files on the server, by the beginning of the SHA-256 that their names hold."""

    paths: dict[str, str]

    def path(self, sha256: str) -> str | None:
        return self.paths.get(_mark(sha256))


def _mark(sha256: str) -> str:
    return sha256[:24]


def remote_image(task: Fields) -> RemoteImage:
    """Returns the image of a task, under the name that was sent."""
    data = task.json.get("data")
    fields = data if isinstance(data, dict) else {}
    name = fields.get(NAME_FIELD)
    if not isinstance(name, str) or not name:
        name = unquote(str(fields.get(IMAGE, "")).rpartition("/")[2]) or f"task {task.id('id')}"
    width, height = (fields.get(side) for side in (WIDTH_FIELD, HEIGHT_FIELD))
    sizes = (width, height) if isinstance(width, int) and isinstance(height, int) else (0, 0)
    return RemoteImage(task.id("id"), name, *sizes)


def list_images(server: Server, project: int, operation: str) -> Iterator[RemoteImage]:
    tasks = server.client.tasks(operation, project, include="id,data", page_size=server.options.page_size)
    return map(remote_image, tasks)


def send(server: Server, project: int, operation: str, images: Sequence[ImageToSend]) -> None:
    """Creates the tasks of those images that the project lacks. Removes doubles that an earlier try left."""
    present = remove_doubles(server, project, operation, _tasks_of(server, project, operation, images))
    missing = [image for image in images if image.image.name not in present]
    if not missing:
        return
    if server.options.images == "address":
        addresses = {image.image.name: _address(image, operation) for image in missing}
    else:
        addresses = _upload(server, project, operation, missing)
    payload = [{"data": _data(image, addresses[image.image.name])} for image in missing]
    path, params = f"/api/projects/{project}/import", {"return_task_ids": "true"}
    created = Fields(NAME, operation, server.client.call(operation, "POST", path, json=payload, params=params))
    if created.has("task_count") and created.whole("task_count") != len(missing):
        message = f"it created {created.whole('task_count')} tasks for {len(missing)} images"
        raise PlatformUnavailable(NAME, operation, status=201, message=message, advice="Try again.")


def _tasks_of(server: Server, project: int, operation: str, images: Sequence[ImageToSend]) -> Iterator[Fields]:
    for first in range(0, len(images), FILES):
        keys = [key_of(image.image.name) for image in images[first : first + FILES]]
        filters = (where(f"data.{KEY_FIELD}", "in_list", keys),)
        yield from server.client.tasks(
            operation,
            project,
            include="id,data,total_annotations,cancelled_annotations",
            filters=filters,
            page_size=server.options.page_size,
        )


def remove_doubles(server: Server, project: int, operation: str, tasks: Iterable[Fields]) -> set[str]:
    """Deletes second tasks of an image on which nobody worked. Returns the names of the images that have a task."""
    by_name: dict[str, list[Fields]] = {}
    for task in tasks:
        by_name.setdefault(remote_image(task).name, []).append(task)
    for same in by_name.values():
        worked_on = [task for task in same if _has_annotations(task)]
        kept = worked_on or same[:1]
        for task in same:
            if task not in kept:
                server.delete_task(task.id("id"), operation)
    return set(by_name)


def _has_annotations(task: Fields) -> bool:
    return any(task.json.get(name) for name in ("total_annotations", "cancelled_annotations"))


def _address(image: ImageToSend, operation: str) -> str:
    if image.url is None:
        message = f"'{image.image.name}' has no address that browsers can reach"
        advice = "Use images of a container or of addresses, or remove the option 'images: address'."
        raise PlatformRefused(NAME, operation, message=message, advice=advice)
    return image.url.value


def _data(image: ImageToSend, address: str) -> dict[str, Any]:
    size = image.image.size
    return {
        IMAGE: address,
        NAME_FIELD: image.image.name,
        KEY_FIELD: key_of(image.image.name),
        SHA_FIELD: image.image.sha256,
        WIDTH_FIELD: size.width,
        HEIGHT_FIELD: size.height,
        NOTE: "",
    }


# Files


def _upload(server: Server, project: int, operation: str, images: Sequence[ImageToSend]) -> dict[str, str]:
    """Uploads the files that the server lacks. Returns the address of each image by its name."""
    uploaded = _uploaded(server, project, operation)
    by_sha = {image.image.sha256: image for image in images if uploaded.path(image.image.sha256) is None}
    if by_sha:
        for part in _requests(list(by_sha.values()), server.options.request_megabytes << 20):
            _upload_part(server, project, operation, part)
        uploaded = _uploaded(server, project, operation)
    addresses: dict[str, str] = {}
    for image in images:
        path = uploaded.path(image.image.sha256)
        if path is None:
            message = f"the file of '{image.image.name}' was sent and is not among the project's files"
            raise PlatformUnavailable(NAME, operation, status=200, message=message, advice="Try again.")
        addresses[image.image.name] = f"/data/{path}"
    return addresses


def _uploaded(server: Server, project: int, operation: str) -> Uploaded:
    path = f"/api/projects/{project}/file-uploads"
    listed = server.client.call(operation, "GET", path, params={"all": "true"})
    paths: dict[str, str] = {}
    for item in listed if isinstance(listed, list) else ():
        file = Fields(NAME, operation, item).text("file")
        mark = file.rpartition("/")[2].partition("-")[2].partition(".")[0]
        paths.setdefault(mark, file)
    return Uploaded(paths)


def _requests(images: Sequence[ImageToSend], most_bytes: int) -> Iterator[list[ImageToSend]]:
    part: list[ImageToSend] = []
    size = 0
    for image in images:
        if part and (len(part) >= FILES or size + image.image.bytes > most_bytes):
            yield part
            part, size = [], 0
        part.append(image)
        size += image.image.bytes
    if part:
        yield part


def _upload_part(server: Server, project: int, operation: str, images: Sequence[ImageToSend]) -> None:
    """Stores files without creating tasks. Every file needs a form field of its own: of two under one name, one is lost
    without a word."""
    files = [
        FormFile(
            f"{_mark(image.image.sha256)}{_extension(image, operation)}",
            image.open,
            image.image.bytes,
            field=f"file{number}",
        )
        for number, image in enumerate(images)
    ]
    path, params = f"/api/projects/{project}/import", {"commit_to_project": "false"}
    stored = Fields(NAME, operation, server.client.call(operation, "POST", path, body=Form({}, files), params=params))
    count = len(stored.list("file_upload_ids"))
    if count != len(files):
        message = f"it stored {count} of {len(files)} files"
        raise PlatformUnavailable(NAME, operation, status=201, message=message, advice="Try again.")


def _extension(image: ImageToSend, operation: str) -> str:
    extension = _EXTENSIONS.get(image.image.format)
    if extension is None:
        message = f"'{image.image.name}' is {image.image.format}; accepted are {', '.join(sorted(_EXTENSIONS))}"
        raise PlatformRefused(NAME, operation, message=message, advice="Convert it, or leave it out.")
    return extension
