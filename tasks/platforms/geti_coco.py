"""COCO annotation files on their way into Geti projects: images with their annotations, a stretch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

from prefect import task

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
from labelwright.platforms.geti.models import GetiAnnotation, GetiMedium, GetiProject, GetiShape, Unit
from labelwright.tasks.reporting import log, publish_progress, publish_table
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .geti import client_at

IMAGES_A_TASK = 200
SHAPE = " shape"
"""What the labels of the second task of a chain have behind them: names of both tasks must differ."""


@dataclass(frozen=True, slots=True)
class CocoJob:
    """What is to be made of which file. Plain values: a task's parameters."""

    annotations: str
    images: str
    categories: tuple[str, ...]
    kind: str


def coco_labels(categories: list[str], kind: str) -> list[list[str]]:
    """Names of the labels of each task."""
    names = [list(categories)]
    return [*names, [f"{name}{SHAPE}" for name in categories]] if " -> " in kind else names


@task(task_run_name="check {job.annotations}", **UNCACHED)
def check_coco(job: CocoJob) -> list[tuple[int, int]]:
    """Read the annotation file and look for every image. Answers stretches of images: first and last, from 1.

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
    """Send the images of a stretch that are not there yet, and annotate those that are not annotated.

    Answers how many objects they have, and what was left out, and why.
    """
    client, images = client_at(connection), _images(job)
    made, source = client.project(project), _source(job)
    names, files = upload_names(images), image_files(images, Path(job.images))
    there = {medium.name: medium for medium in client.media(made)}

    def look_again(failed: list[CocoImage]) -> list[CocoImage]:
        there.update((medium.name, medium) for medium in client.media(made))
        return failed

    def send(one: CocoImage) -> tuple[int, list[str]]:
        name = names[one.id]
        medium = there.get(Path(name).stem)
        if medium is None:
            medium = client.upload(made, name, lambda: files[one.id].open("rb"))
        if (medium.width, medium.height) != (one.size.width, one.size.height):
            told = f"{one.file}: the file says {one.size.width} x {one.size.height} pixels, the server "
            return 0, [f"{told}{medium.width} x {medium.height}: its annotations would be beside the objects"]
        objects, left_out = source.objects(one)
        annotations = [said for item in objects for said in _annotations(client, made, medium, item)]
        left_out += _changes(one, objects, job.kind)
        unshaped = [item for item in objects if job.kind != "detection" and not item.outlines]
        left_out += [f"annotation {item.id} of {one.file} has no outline" for item in unshaped]
        if annotations and not medium.done(made.trained):
            try:
                client.annotate(made, medium, annotations)
            except PlatformRefused as refused:
                if refused.status != 400:
                    raise
                return 0, [*left_out, f"{one.file}: the server refuses its annotations: {refused.message}"]
        return len(objects), left_out

    answers = for_each(send, images[first - 1 : last], 8, before_retry=look_again)
    publish_progress(made.name, "sending images", last, len(images))
    return sum(number for number, _ in answers), [fault for _, faults in answers for fault in faults]


@task(task_run_name="compare {project} with {job.annotations}", **RETRY_POLICY)
def check_coco_project(connection: str, project: str, job: CocoJob, left_out: list[str]) -> dict[str, int]:
    """Count what is there. Raises PlatformRefused when images are missing."""
    client = client_at(connection)
    made = client.project(project)
    wanted = {Path(name).stem for name in upload_names(_images(job)).values()}
    done, numbers = 0, count()
    for medium in client.media(made):
        wanted.discard(medium.name)
        done += medium.done(made.trained)
        next(numbers)
    if wanted:
        raise PlatformRefused(
            "geti", "take in every image", message=f"{len(wanted)} are missing: {', '.join(sorted(wanted)[:5])}"
        )
    if left_out:
        publish_table(made.name, "left-out", [{"what": one} for one in left_out[:500]], "Left out of the project")
        log().warning("%d annotations were left out; the first: %s", len(left_out), left_out[0])
    return {"images": next(numbers), "annotated": done}


def _changes(image: CocoImage, objects: list[CocoObject], kind: str) -> list[str]:
    """What is not in the project as the file has it: Geti has one outline an object, and nothing beyond an image."""
    if kind == "detection":
        cut = [item.id for item in objects if item.box_cut]
        return [f"annotation {number} of {image.file} reaches beyond its image and was cut to it" for number in cut]
    told = []
    for item in objects:
        name, parts = f"annotation {item.id} of {image.file}", len(item.outlines)
        if parts > 1:
            told.append(f"{name} has {parts} parts, which are {parts} objects in Geti: it has one outline an object")
        if item.cut:
            told.append(f"{name} reaches beyond its image and was cut to it")
    return told


def _annotations(
    client: GetiClient, project: GetiProject, medium: GetiMedium, item: CocoObject
) -> list[GetiAnnotation]:
    """A box for tasks that find boxes, polygons for those that find shapes. An object of several parts has several."""
    said = []
    for task_ in project.trained:
        label = next((one for one in task_.labels if one.name in (item.category, f"{item.category}{SHAPE}")), None)
        if label is None:
            continue
        shapes = [_box(client.unit, item.box, medium)]
        if "segmentation" in task_.type:
            shapes = [
                GetiShape("POLYGON", points=part).to(client.unit, Unit.PIXELS, medium.width, medium.height)
                for part in item.outlines
            ]
        said += [GetiAnnotation(shape, ((label.id, 1.0),)) for shape in shapes]
    return said


def _box(unit: Unit, box: Box, medium: GetiMedium) -> GetiShape:
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
    """Such files are large: read once a process, as long as they do not change."""
    source = CocoSource(path, categories)
    return source, source.images()
