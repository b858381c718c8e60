"""Tasks for Remo's annotation sets and classes. `connection` is the name of a connection in the settings."""

from __future__ import annotations

from pathlib import Path

from labelwright.platforms import PlatformRefused
from labelwright.platforms.remo.calls import Coordinates, ExportFormat
from labelwright.platforms.remo.models import RemoAnnotationSet, RemoNamed, Task
from labelwright.tasks.chaining import task
from labelwright.tasks.reporting import log
from labelwright.tasks.retries import RETRY_POLICY

from .connection import remo_at


@task(task_run_name="list the annotation sets of dataset {dataset}", **RETRY_POLICY)
def list_annotation_sets(connection: str, dataset: str, limit: int | None = None) -> list[RemoAnnotationSet]:
    """Returns the annotation sets with statistics. Use `complete`, not Remo's own `is_completed`."""
    return list(remo_at(connection).list_annotation_sets(dataset, limit))


@task(task_run_name="create annotation set {name}", **RETRY_POLICY)
def create_annotation_set(
    connection: str, dataset: str, name: str, annotation_task: Task, classes: list[str]
) -> RemoAnnotationSet:
    """Returns the annotation set of that name, created if missing. Idempotent."""
    remo = remo_at(connection)
    log().info("create annotation set %s in dataset %s", name, dataset)
    try:
        return remo.create_annotation_set(dataset, name, annotation_task, classes)
    except PlatformRefused as refused:
        if refused.status != 400 or "exists" not in refused.message:
            raise
    return next(
        annotation_set for annotation_set in remo.list_annotation_sets(dataset) if annotation_set.name == name.strip()
    )


@task(task_run_name="create annotation set {name} the old way", **RETRY_POLICY)
def create_annotation_set_by_class_ids(
    connection: str, dataset: str, name: str, annotation_task: Task, classes: list[RemoNamed]
) -> RemoAnnotationSet:
    """Creates an annotation set by the deprecated call, with classes of the common list."""
    return remo_at(connection).create_annotation_set_by_class_ids(dataset, name, annotation_task, classes)


@task(task_run_name="rename annotation set {annotation_set}", **RETRY_POLICY)
def rename_annotation_set(connection: str, annotation_set: str, name: str) -> RemoNamed:
    """Renames an annotation set. Raises PlatformRefused when another set of the dataset has that name."""
    return remo_at(connection).rename_annotation_set(annotation_set, name)


@task(task_run_name="delete annotation set {annotation_set}", **RETRY_POLICY)
def delete_annotation_set(connection: str, annotation_set: str) -> None:
    """Deletes an annotation set with its labels. Does nothing if it does not exist."""
    log().info("delete annotation set %s", annotation_set)
    remo_at(connection).delete_annotation_set(annotation_set)


@task(task_run_name="create class {name}", **RETRY_POLICY)
def create_class(connection: str, name: str) -> RemoNamed:
    """Returns the class of that name in the common list, created if missing. Use the returned name: Remo changes
    capitals."""
    return remo_at(connection).create_class(name)


@task(task_run_name="add class {name} to annotation set {annotation_set}", **RETRY_POLICY)
def add_class(connection: str, annotation_set: str, name: str) -> RemoNamed:
    """Adds a class to the set, unless it is there. Returns the class."""
    return remo_at(connection).add_class(annotation_set, name)


@task(task_run_name="rename class {class_id} of annotation set {annotation_set}", **RETRY_POLICY)
def rename_class(connection: str, annotation_set: str, class_id: str, name: str) -> RemoNamed:
    """Renames a class. Returns the renamed class, which has a new id."""
    return remo_at(connection).rename_class(annotation_set, class_id, name)


@task(task_run_name="delete class {class_id} of annotation set {annotation_set}", **RETRY_POLICY)
def delete_class(connection: str, annotation_set: str, class_id: str) -> None:
    """Deletes a class, and the objects that have no other class. Does nothing if it is not in the set."""
    log().info("delete class %s of annotation set %s", class_id, annotation_set)
    remo_at(connection).delete_class(annotation_set, class_id)


@task(task_run_name="export annotation set {annotation_set}", **RETRY_POLICY)
def export_annotations(
    connection: str,
    annotation_set: str,
    target: str,
    annotation_format: ExportFormat = "json",
    full_path: bool = False,
    export_coordinates: Coordinates = "pixel",
) -> str:
    """Writes Remo's own export file to `target`. Returns its path. "percent" gives fractions from 0 to 1."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w+b") as file:
            remo_at(connection).export_annotations(
                annotation_set, file, annotation_format, full_path=full_path, coordinates=export_coordinates
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    log().info("wrote %s", path)
    return str(path)
