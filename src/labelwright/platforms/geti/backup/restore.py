"""Restores a backup as a new project: creates it, turns auto-train off, uploads media, annotates, then configures.

A journal records the created project and the id that each medium of the backup got on the server, so that an
interrupted restore continues. An upload is recorded before it is sent; `lost_uploads` finds those whose response was
lost. Annotating is idempotent.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.configuration import key_value_entries
from labelwright.platforms.geti.models import CoordinateUnit, GetiAnnotation, GetiMedium, GetiProject
from labelwright.platforms.geti.projects import NewTask
from labelwright.platforms.geti.session import NAME

from .archive import ArchivedLabel, ArchivedMedium, ArchivedProject, ArchivedTask, Backup, label_ids
from .folder import is_inside
from .journal import Journal
from .lost_uploads import PageUploads, by_name
from .parameters import archived_parameters, read_or_note
from .save import page_size

_VIDEO_SECONDS = 100.0
"""Time for a server to process a video (the vendor's own client waits as long)."""


def begin(client: GetiClient, backup: Backup, name: str, journal: Journal) -> str:
    """Creates the project to restore into, with auto-train off. Returns its id. Idempotent.

    Raises PlatformRefused when a project of that name exists that this restore did not create.
    """
    archived, identity = backup.project(), journal.project()
    if identity is None:
        identity = _create(client, archived, name, journal)
        journal.write("project", id=identity)
    client.wait_until_ready(identity)
    project = client.project(identity)
    if read_or_note({}, "auto-train", lambda: client.auto_train(project)):
        client.set_auto_train(project, False)
    _create_datasets(client, project, archived)
    return identity


def _create(client: GetiClient, archived: ArchivedProject, name: str, journal: Journal) -> str:
    existing = client.find_project(name)
    if existing is not None:
        # This restore created it when the journal has the intent and the project is still empty.
        project = client.project(existing.id)
        if any(journal.lines("project")) and not any(True for _ in client.media(project)):
            return existing.id
        message = f"there is a project '{name}' ({existing.id}) already"
        advice = "Give the restored one another name."
        raise PlatformRefused(NAME, f"restore '{name}'", message=message, advice=advice)
    journal.write("project", intent=name)
    return client.create_project(name, [_new_task(client, task) for task in archived.tasks]).id


def _new_task(client: GetiClient, task: ArchivedTask) -> NewTask:
    """The task in a kind that the server has: three anomaly kinds in early versions, one since 2.5."""
    new = task.new()
    kind = new.type
    if client.unit is CoordinateUnit.PIXELS and kind.startswith("anomaly"):
        kind = "anomaly"
    elif client.unit is CoordinateUnit.FRACTIONS and kind == "anomaly":
        kind = "anomaly_classification"
    return NewTask(kind, new.labels, new.title if kind == new.type else "", new.extra)


def _create_datasets(client: GetiClient, project: GetiProject, archived: ArchivedProject) -> None:
    """Creates all datasets but the first, which the server creates with the project. Sonoma Creek has one only."""
    existing = {name for _, name in project.datasets}
    for name in archived.datasets[1:]:
        if client.unit is CoordinateUnit.PIXELS and name not in existing:
            client.create_dataset(project, name)


def dataset_for(project: GetiProject, archived: ArchivedProject, name: str) -> str:
    """Id of the dataset for media of the backup's dataset `name`; the first where the project lacks it."""
    if name in archived.datasets[:1]:
        return project.dataset
    return next((identity for identity, dataset in project.datasets[1:] if dataset == name), project.dataset)


def restore_page(
    client: GetiClient, backup: Backup, page: str, project: str, journal: Journal, threads: int = 8
) -> int:
    """Uploads the media of a page that the project lacks, with their annotations. Returns the page's number of media.

    A transport error costs one medium: the others are sent, then the failed ones are looked for and sent again. Media
    of one name are sent one after the other, so that a lost response can be assigned.
    """
    archived, media = backup.project(), backup.page(page)
    restored = client.project(project)
    uploads = PageUploads(client, restored, backup, page, journal)
    if journal.is_interrupted(page):
        uploads.find_lost(media)
    annotated = {line["annotated"] for line in journal.lines(f"page-{page}") if "annotated" in line}
    journal.write(f"page-{page}", begin=page)
    ids = label_ids(restored, _labels_of(media))

    def restore(group: list[ArchivedMedium]) -> None:
        for medium in group:
            if medium.id in annotated:
                continue
            dataset = dataset_for(restored, archived, medium.dataset)
            target = uploads.targets.get(medium.id)
            if target is None:
                uploads.intend(medium)
                uploaded = _upload(client, restored, backup, medium, dataset)
                target = uploaded.id
                uploads.settle(medium, uploaded)
            if medium.type == "video":
                _wait_for_video(client, restored, medium, target, dataset)
            sized = with_size(client, restored, medium, target, dataset)
            refusal = _annotate(client, restored, sized, target, dataset, archived.unit, ids)
            outcome = {"refused": medium.id, "words": refusal} if refusal else {"annotated": medium.id}
            journal.write(f"page-{page}", **outcome)
            annotated.add(medium.id)

    def find_lost(failed: list[list[ArchivedMedium]]) -> list[list[ArchivedMedium]]:
        uploads.find_lost([medium for group in failed for medium in group])
        return failed

    for_each(restore, by_name(media), threads, before_retry=find_lost)
    uploads.remove_late_arrivals(media)
    journal.write(f"page-{page}", end=page)
    return len(media)


def _labels_of(media: list[ArchivedMedium]) -> list[ArchivedLabel]:
    """Every label that annotations of these media have, once."""
    labels = {
        label: None
        for medium in media
        for scene in medium.scenes
        for annotation in scene.annotations
        for label, _ in annotation.labels
    }
    return list(labels)


def with_size(
    client: GetiClient, project: GetiProject, medium: ArchivedMedium, target: str, dataset: str
) -> ArchivedMedium:
    """The medium with width and height, read from the server for videos of geti-sdk folders, which lack them."""
    if medium.width or not medium.scenes:
        return medium
    for listed in client.media(project, medium.type, dataset, page_size(client)):
        if listed.id == target:
            return replace(medium, width=listed.width, height=listed.height)
    return medium


def _upload(
    client: GetiClient, project: GetiProject, backup: Backup, medium: ArchivedMedium, dataset: str
) -> GetiMedium:
    operation = f"restore {medium.type} '{medium.name}'"
    if not is_inside(backup.folder, medium.file):
        raise PlatformRefused(NAME, operation, message=f"{medium.file} is not in the backup")
    path = backup.folder / medium.file
    if not path.is_file():
        raise PlatformRefused(NAME, operation, message=f"{medium.file} is missing", advice="Complete the backup.")
    file_name = f"{medium.name}{path.suffix}"
    return client.upload(project, file_name, lambda: path.open("rb"), kind=medium.type, dataset=dataset)


def _wait_for_video(
    client: GetiClient, project: GetiProject, medium: ArchivedMedium, target: str, dataset: str
) -> None:
    """Waits until the server lists an uploaded video; before that its frames cannot be annotated."""
    deadline = time.monotonic() + _VIDEO_SECONDS
    while not any(listed.id == target for listed in client.media(project, "video", dataset)):
        if time.monotonic() >= deadline:
            message = f"video '{medium.name}' was sent, but is not listed after {_VIDEO_SECONDS:.0f} seconds"
            advice = "Run the restore again to keep waiting."
            raise PlatformUnavailable(NAME, "take in a video", message=message, advice=advice)
        time.sleep(1.0)


def _annotate(
    client: GetiClient,
    project: GetiProject,
    archived: ArchivedMedium,
    target: str,
    dataset: str,
    unit: CoordinateUnit,
    ids: dict[ArchivedLabel, str],
) -> str:
    """Annotates a medium. Returns the server's reason when it refuses, so that one medium does not stop the restore."""
    medium = GetiMedium(target, archived.name, archived.type, archived.width, archived.height, "", {})
    for scene in archived.scenes:
        annotations = [
            GetiAnnotation(
                annotation.shape.to(client.unit, unit, archived.width, archived.height),
                tuple((ids[label], probability) for label, probability in annotation.labels),
            )
            for annotation in scene.annotations
        ]
        try:
            client.annotate(project, medium, annotations, frame=scene.frame, dataset=dataset)
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            return refused.message or "the server gives no reason"
    return ""


def end(client: GetiClient, backup: Backup, project: str, auto_train: bool | None = None) -> None:
    """Restores the configuration, and auto-train last: `auto_train`, by default as in the backup, else off."""
    archived = backup.project()
    restored = client.project(project)
    current = archived_parameters(client, restored)
    changed = {key: value for key, value in archived.parameters.items() if current.others.get(key, value) != value}
    if changed:
        set_parameters(client, restored, changed)
    if dict(current.iterations) != dict(archived.iterations):
        for number in set(archived.iterations.values()):
            indexes = [int(index) for index, value in archived.iterations.items() if value == number]
            _set_iterations(client, restored, indexes, number)
    on = archived.auto_train if auto_train is None else auto_train
    if on:
        client.set_auto_train(restored, True)


def _set_iterations(client: GetiClient, project: GetiProject, indexes: list[int], number: int) -> None:
    """Sets the iterations of the tasks at these indexes. A refusal is left for the verification to report."""
    try:
        client.set_iterations(project, number, [project.trained[index].title for index in indexes])
    except PlatformRefused as refused:
        if refused.status is not None and refused.status >= 500:
            raise


def set_parameters(client: GetiClient, project: GetiProject, changed: dict[str, Any]) -> None:
    """Sets values by `<task's index>/<component>/<name>`. The verification reports ignored values."""
    if not client.api_version.patches_configuration:
        ids = {str(index): task.id for index, task in enumerate(project.trained)}
        values = {}
        for key, value in changed.items():
            index, _, parameter = key.partition("/")
            values[ids.get(index, ""), parameter] = value
        client.set_configuration(project, values)
        return
    configuration = client.configuration(project)
    indexes = {task.id: str(index) for index, task in enumerate(project.trained)}
    for task in configuration.get("task_configs") or ():
        index = indexes.get(str(task.get("task_id")), "")
        for group in ("training", "auto_training"):
            for entry in key_value_entries(task, group):
                entry["value"] = changed.get(f"{index}/{group}/{entry['key']}", entry["value"])
    client.patch_configuration(project, configuration)
