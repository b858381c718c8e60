"""Single images of Remo's: tags, status, annotations, parts of large ones; a call a task. `connection` is the name of a
connection in the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import task

from labelwright.platforms.remo.models import ImageStatus, RemoNamed
from labelwright.tasks.retries import RETRY_POLICY

from .connection import remo_at


@task(task_run_name="tag image {image} with {name}", **RETRY_POLICY)
def tag_image(connection: str, annotation_set: str, image: str, name: str) -> RemoNamed:
    """Put a tag on an image of an annotation set. Remo 0.6 writes it in lower case."""
    return remo_at(connection).tag_image(annotation_set, image, name)


@task(task_run_name="take tag {tag} off image {image}", **RETRY_POLICY)
def untag_image(connection: str, annotation_set: str, image: str, tag: str) -> None:
    """Take a tag off an image."""
    remo_at(connection).untag_image(annotation_set, image, tag)


@task(task_run_name="list the tags of annotation set {annotation_set}", **RETRY_POLICY)
def list_tags(connection: str, annotation_set: str) -> list[RemoNamed]:
    """Every tag that an image of the set bears."""
    return list(remo_at(connection).list_tags(annotation_set))


@task(task_run_name="rename tag {tag} of annotation set {annotation_set}", **RETRY_POLICY)
def rename_tag(connection: str, annotation_set: str, tag: str, name: str) -> RemoNamed:
    """Returns the tag that stands in its place now: its id is another one."""
    return remo_at(connection).rename_tag(annotation_set, tag, name)


@task(task_run_name="delete tag {tag} of annotation set {annotation_set}", **RETRY_POLICY)
def delete_tag(connection: str, annotation_set: str, tag: str) -> None:
    """Take it off every image of the set. Does nothing if it does not exist."""
    remo_at(connection).delete_tag(annotation_set, tag)


@task(task_run_name="call image {image} {status}", **RETRY_POLICY)
def set_image_status(connection: str, dataset: str, annotation_set: str, image: str, status: ImageStatus) -> None:
    """Done, skipped or not annotated."""
    remo_at(connection).set_image_status(dataset, annotation_set, image, status)


@task(task_run_name="save the annotations of image {image}", **RETRY_POLICY)
def save_annotation(connection: str, dataset: str, annotation_set: str, image: str, payload: dict[str, Any]) -> None:
    """In Remo's own form, in place of what was there."""
    remo_at(connection).save_annotation(dataset, annotation_set, image, payload)


@task(task_run_name="cache image {image}", **RETRY_POLICY)
def cache_image(connection: str, image: str) -> None:
    """Keep an image of high resolution in the server's memory, for deep zooming."""
    remo_at(connection).cache_image(image)


@task(task_run_name="cut from image {image}", **RETRY_POLICY)
def downsample_image(
    connection: str, image: str, target: str, x: int, y: int, width: int, height: int, downscale: float = 1.0
) -> str:
    """The part of an image of high resolution from (x, y), in pixels, made smaller, as a JPEG at `target`. Returns its
    path."""
    data = remo_at(connection).downsample_image(image, x, y, width, height, downscale)
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)
