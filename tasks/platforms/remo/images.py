"""Tasks for single images in Remo: tags, status, annotations, parts of large ones. One task per call.

`connection` is the name of a connection in the settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labelwright.platforms.remo.models import ImageStatus, RemoNamed
from labelwright.tasks.chaining import task
from labelwright.tasks.retries import RETRY_POLICY

from .connection import remo_at


@task(task_run_name="tag image {image} with {name}", **RETRY_POLICY)
def tag_image(connection: str, annotation_set: str, image: str, name: str) -> RemoNamed:
    """Adds a tag to an image of an annotation set. Remo 0.6 stores it in lower case."""
    return remo_at(connection).tag_image(annotation_set, image, name)


@task(task_run_name="take tag {tag} off image {image}", **RETRY_POLICY)
def untag_image(connection: str, annotation_set: str, image: str, tag: str) -> None:
    """Removes a tag from an image."""
    remo_at(connection).untag_image(annotation_set, image, tag)


@task(task_run_name="list the tags of annotation set {annotation_set}", **RETRY_POLICY)
def list_tags(connection: str, annotation_set: str) -> list[RemoNamed]:
    """Returns every tag of the set's images."""
    return list(remo_at(connection).list_tags(annotation_set))


@task(task_run_name="rename tag {tag} of annotation set {annotation_set}", **RETRY_POLICY)
def rename_tag(connection: str, annotation_set: str, tag: str, name: str) -> RemoNamed:
    """Renames a tag. Returns the renamed tag, which has a new id."""
    return remo_at(connection).rename_tag(annotation_set, tag, name)


@task(task_run_name="delete tag {tag} of annotation set {annotation_set}", **RETRY_POLICY)
def delete_tag(connection: str, annotation_set: str, tag: str) -> None:
    """Removes a tag from every image of the set. Does nothing if it does not exist."""
    remo_at(connection).delete_tag(annotation_set, tag)


@task(task_run_name="call image {image} {status}", **RETRY_POLICY)
def set_image_status(connection: str, dataset: str, annotation_set: str, image: str, status: ImageStatus) -> None:
    """Sets an image to done, skipped or not annotated."""
    remo_at(connection).set_image_status(dataset, annotation_set, image, status)


@task(task_run_name="save the annotations of image {image}", **RETRY_POLICY)
def save_annotation(connection: str, dataset: str, annotation_set: str, image: str, payload: dict[str, Any]) -> None:
    """Replaces the annotations of an image. `payload` is in Remo's own format."""
    remo_at(connection).save_annotation(dataset, annotation_set, image, payload)


@task(task_run_name="cache image {image}", **RETRY_POLICY)
def cache_image(connection: str, image: str) -> None:
    """Keeps a high-resolution image in the server's memory, for deep zooming."""
    remo_at(connection).cache_image(image)


@task(task_run_name="cut from image {image}", **RETRY_POLICY)
def downsample_image(
    connection: str, image: str, target: str, x: int, y: int, width: int, height: int, downscale: float = 1.0
) -> str:
    """Writes a downscaled part of a high-resolution image from (x, y), in pixels, to `target` as a JPEG.

    Returns its path.
    """
    data = remo_at(connection).downsample_image(image, x, y, width, height, downscale)
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)
