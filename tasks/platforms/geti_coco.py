"""Tasks that put the images and annotations of a COCO file into a Geti project, a range of images per task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

from labelwright.datasets.readers.coco_source import (
    CocoImage,
    CocoObject,
    CocoRefused,
    CocoSource,
    image_files,
    upload_names,
)
from labelwright.domain import Box
from labelwright.platforms import PlatformRefused
from labelwright.platforms.batches import for_each
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.labels import geti_shape
from labelwright.platforms.geti.models import CoordinateUnit, GetiAnnotation, GetiMedium, GetiProject, GetiShape
from labelwright.tasks.chaining import task
from labelwright.tasks.reporting import log, publish_progress, publish_table
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .geti import connect_client

IMAGES_A_TASK = 200
SHAPE = " shape"
"""Suffix of the second task's labels in a chain, because the labels of both tasks need different names."""


@dataclass(frozen=True, slots=True)
class CocoJob:
    """A COCO file, its images, and the project to create. Plain values, because it is a parameter of tasks."""

    annotations: str
    images: str
    categories: tuple[str, ...]
    kind: str


def coco_labels(categories: list[str], kind: str) -> list[list[str]]:
    """Returns the names of each task's labels."""
    names = [list(categories)]
    return [*names, [f"{name}{SHAPE}" for name in categories]] if " -> " in kind else names


@task(task_run_name="check {job.annotations}", **UNCACHED)
def check_coco(job: CocoJob) -> list[tuple[int, int]]:
    """Reads the annotation file and checks that every image exists. Returns ranges of images: first and last, from 1.

    Raises CocoRefused before anything is sent.
    """
    images = _images(job)
    if not images:
        raise CocoRefused(f"{job.annotations} has no image of {', '.join(job.categories)}")
    image_files(images, Path(job.images))
    log().info("%d images of %s in %s", len(images), ", ".join(job.categories), job.annotations)
    return [(first, min(first + IMAGES_A_TASK - 1, len(images))) for first in range(1, len(images) + 1, IMAGES_A_TASK)]


@task(task_run_name="send images {first}-{last} to {project}", **RETRY_POLICY)
def send_coco_images(connection: str, project: str, job: CocoJob, first: int, last: int) -> tuple[int, list[str]]:
    """Uploads the images of a range that the project lacks, and annotates those that are not annotated.

    Returns the number of objects, and sentences about what was left out or changed.
    """
    client, images = connect_client(connection), _images(job)
    details, source = client.project(project), _source(job)
    names, files = upload_names(images), image_files(images, Path(job.images))
    media_by_name = {medium.name: medium for medium in client.media(details)}

    def list_media_again(failed: list[CocoImage]) -> list[CocoImage]:
        media_by_name.update((medium.name, medium) for medium in client.media(details))
        return failed

    def send(image: CocoImage) -> tuple[int, list[str]]:
        name = names[image.id]
        medium = media_by_name.get(Path(name).stem)
        if medium is None:
            medium = client.upload(details, name, lambda: files[image.id].open("rb"))
        if (medium.width, medium.height) != (image.size.width, image.size.height):
            message = f"{image.file}: the file says {image.size.width} x {image.size.height} pixels, the server "
            return 0, [f"{message}{medium.width} x {medium.height}: its annotations would be beside the objects"]
        objects, left_out = source.objects(image)
        annotations = [annotation for item in objects for annotation in _annotations(client, details, medium, item)]
        left_out += describe_changes(image, objects, job.kind)
        unshaped = [item for item in objects if job.kind != "detection" and not item.outlines]
        left_out += [f"annotation {item.id} of {image.file} has no outline" for item in unshaped]
        if annotations and not medium.done(details.trained):
            try:
                client.annotate(details, medium, annotations)
            except PlatformRefused as refused:
                if refused.status != 400:
                    raise
                return 0, [*left_out, f"{image.file}: the server refuses its annotations: {refused.message}"]
        return len(objects), left_out

    results = for_each(send, images[first - 1 : last], 8, before_retry=list_media_again)
    publish_progress(details.name, "sending images", last, len(images))
    return sum(number for number, _ in results), [reason for _, reasons in results for reason in reasons]


@task(task_run_name="compare {project} with {job.annotations}", **RETRY_POLICY)
def check_coco_project(connection: str, project: str, job: CocoJob, left_out: list[str]) -> dict[str, int]:
    """Counts the project's images and annotated images. Raises PlatformRefused when images are missing."""
    client = connect_client(connection)
    details = client.project(project)
    missing = {Path(name).stem for name in upload_names(_images(job)).values()}
    done, numbers = 0, count()
    for medium in client.media(details):
        missing.discard(medium.name)
        done += medium.done(details.trained)
        next(numbers)
    if missing:
        raise PlatformRefused(
            "geti", "take in every image", message=f"{len(missing)} are missing: {', '.join(sorted(missing)[:5])}"
        )
    if left_out:
        publish_table(
            details.name, "left-out", [{"what": reason} for reason in left_out[:500]], "Left out of the project"
        )
        log().warning("%d annotations were left out; the first: %s", len(left_out), left_out[0])
    return {"images": next(numbers), "annotated": done}


def describe_changes(image: CocoImage, objects: list[CocoObject], kind: str) -> list[str]:
    """Describes objects that had to be changed: Geti has one outline per object, and none beyond the image."""
    if kind == "detection":
        cut = [item.id for item in objects if item.box_cut]
        return [f"annotation {number} of {image.file} reaches beyond its image and was cut to it" for number in cut]
    changes = []
    for item in objects:
        name, parts = f"annotation {item.id} of {image.file}", len(item.outlines)
        if parts > 1:
            changes.append(f"{name} has {parts} parts, which are {parts} objects in Geti: it has one outline an object")
        if item.cut:
            changes.append(f"{name} reaches beyond its image and was cut to it")
    return changes


def _annotations(
    client: GetiClient, project: GetiProject, medium: GetiMedium, item: CocoObject
) -> list[GetiAnnotation]:
    """Returns an object's annotations: a box for detection tasks, a polygon per part for segmentation tasks."""
    annotations = []
    for task_ in project.trained:
        label = next(
            (candidate for candidate in task_.labels if candidate.name in (item.category, f"{item.category}{SHAPE}")),
            None,
        )
        if label is None:
            continue
        shapes = [_box(client.unit, item.box, medium)]
        if "segmentation" in task_.type:
            shapes = [
                GetiShape("POLYGON", points=part).to(client.unit, CoordinateUnit.PIXELS, medium.width, medium.height)
                for part in item.outlines
            ]
        annotations += [GetiAnnotation(shape, ((label.id, 1.0),)) for shape in shapes]
    return annotations


def _box(unit: CoordinateUnit, box: Box, medium: GetiMedium) -> GetiShape:
    from labelwright.domain import Size

    return geti_shape(box, unit, Size(medium.width, medium.height))


def _source(job: CocoJob) -> CocoSource:
    path = Path(job.annotations)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _read(path, job.categories, changed)[0]


def _images(job: CocoJob) -> list[CocoImage]:
    path = Path(job.annotations)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _read(path, job.categories, changed)[1]


@lru_cache(maxsize=1)
def _read(path: Path, categories: tuple[str, ...], changed: int) -> tuple[CocoSource, list[CocoImage]]:
    """Reads a COCO file. Cached until the file changes, because such files are large."""
    source = CocoSource(path, categories)
    return source, source.images()
