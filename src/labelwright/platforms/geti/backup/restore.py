"""From a folder onto a server, as a new project: created, auto-train off, media up, annotations, then configuration.

A journal beside the work says what is there already: which project was made, and which medium of the backup became
which of the server. An upload is written down before it is sent, and its response may be lost: geti_lost_uploads finds
what arrived all the same. Saying annotations again does no harm.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.configuration import keyed
from labelwright.platforms.geti.lost_uploads import PageUploads, by_name
from labelwright.platforms.geti.models import GetiAnnotation, GetiMedium, GetiProject, Unit
from labelwright.platforms.geti.parameters import archived_parameters, read_or_note
from labelwright.platforms.geti.projects import NewTask
from labelwright.platforms.geti.session import NAME

from .archive import ArchivedMedium, ArchivedProject, ArchivedTask, Backup, SaidScene, archived_tasks, label_ids
from .compare import Report, compare_files, compare_projects, compare_scenes
from .folder import is_inside
from .journal import Journal
from .save import annotations_not_saved, has_videos, page_size, scenes_of

_VIDEO_SECONDS = 100.0
"""How long a server may take to make a video's frames (its own client waits as long)."""


def begin(client: GetiClient, backup: Backup, name: str, journal: Journal) -> str:
    """The project that everything goes into; made once. Answers its id; auto-train is off.

    Raises PlatformRefused when there is a project of that name which this restore did not make.
    """
    archived, known = backup.project(), journal.project()
    if known is None:
        known = _create(client, archived, name, journal)
        journal.write("project", id=known)
    client.wait_until_ready(known)
    project = client.project(known)
    if read_or_note({}, "auto-train", lambda: client.auto_train(project)):
        client.set_auto_train(project, False)
    _make_datasets(client, project, archived)
    return known


def _create(client: GetiClient, archived: ArchivedProject, name: str, journal: Journal) -> str:
    found = client.find_project(name)
    if found is not None:
        # Ours, when we were about to make it and the answer was lost: then nothing is in it yet.
        whole = client.project(found.id)
        if any(journal.lines("project")) and not any(True for _ in client.media(whole)):
            return found.id
        told = f"there is a project '{name}' ({found.id}) already"
        raise PlatformRefused(NAME, f"restore '{name}'", message=told, advice="Give the restored one another name.")
    journal.write("project", intent=name)
    return client.create_project(name, [_task(client, task) for task in archived.tasks]).id


def _task(client: GetiClient, task: ArchivedTask) -> NewTask:
    """Anomaly tasks had three kinds once, and have one since 2.5."""
    new = task.new()
    kind = new.type
    if client.unit is Unit.PIXELS and kind.startswith("anomaly"):
        kind = "anomaly"
    elif client.unit is Unit.FRACTIONS and kind == "anomaly":
        kind = "anomaly_classification"
    return NewTask(kind, new.labels, new.title if kind == new.type else "", new.extra)


def _make_datasets(client: GetiClient, project: GetiProject, archived: ArchivedProject) -> None:
    """The first dataset comes with the project, under the server's own name. Sonoma Creek has no others."""
    there = {name for _, name in project.datasets}
    for name in archived.datasets[1:]:
        if client.unit is Unit.PIXELS and name not in there:
            client.create_dataset(project, name)


def dataset_for(project: GetiProject, archived: ArchivedProject, name: str) -> str:
    """The id of the dataset that media of this one go into."""
    if name in archived.datasets[:1]:
        return project.dataset
    return next((identity for identity, other in project.datasets[1:] if other == name), project.dataset)


def restore_page(
    client: GetiClient, backup: Backup, page: str, project: str, journal: Journal, threads: int = 8
) -> int:
    """Send the media of a page that are not there, and their annotations. Returns how many media it has.

    Transport errors cost one medium: the others are sent, then those that failed are looked for and sent again. Media
    of one name go one after the other, so that it is known which of them a lost response belongs to.
    """
    archived, media = backup.project(), backup.page(page)
    made = client.project(project)
    uploads = PageUploads(client, made, backup, page, journal)
    if journal.begun(page):
        uploads.find_lost(media)
    annotated = {line["annotated"] for line in journal.lines(f"page-{page}") if "annotated" in line}
    journal.write(f"page-{page}", begin=page)
    labels = {label: None for one in media for scene in one.scenes for a in scene.annotations for label, _ in a.labels}
    ids = label_ids(made, labels)

    def restore(group: list[ArchivedMedium]) -> None:
        for one in group:
            if one.id in annotated:
                continue
            dataset = dataset_for(made, archived, one.dataset)
            target = uploads.targets.get(one.id)
            if target is None:
                uploads.intend(one)
                sent = _upload(client, made, backup, one, dataset)
                target = sent.id
                uploads.settle(one, sent)
            if one.type == "video":
                _wait_for_video(client, made, one, target, dataset)
            sized = with_size(client, made, one, target, dataset)
            refused = _annotate(client, made, sized, target, dataset, archived.unit, ids)
            outcome = {"refused": one.id, "words": refused} if refused else {"annotated": one.id}
            journal.write(f"page-{page}", **outcome)
            annotated.add(one.id)

    def look(failed: list[list[ArchivedMedium]]) -> list[list[ArchivedMedium]]:
        uploads.find_lost([one for group in failed for one in group])
        return failed

    for_each(restore, by_name(media), threads, before_retry=look)
    uploads.remove_late_arrivals(media)
    journal.write(f"page-{page}", end=page)
    return len(media)


def with_size(
    client: GetiClient, project: GetiProject, one: ArchivedMedium, target: str, dataset: str
) -> ArchivedMedium:
    """A medium with its width and height: those of videos in folders of geti-sdk are known by the server alone."""
    if one.width or not one.scenes:
        return one
    for there in client.media(project, one.type, dataset, page_size(client)):
        if there.id == target:
            return replace(one, width=there.width, height=there.height)
    return one


def _upload(client: GetiClient, project: GetiProject, backup: Backup, one: ArchivedMedium, dataset: str) -> GetiMedium:
    if not is_inside(backup.folder, one.file):
        raise PlatformRefused(NAME, f"restore {one.type} '{one.name}'", message=f"{one.file} is not in the backup")
    path = backup.folder / one.file
    if not path.is_file():
        told = f"{one.file} is not there"
        raise PlatformRefused(NAME, f"restore {one.type} '{one.name}'", message=told, advice="Complete the backup.")
    return client.upload(project, f"{one.name}{path.suffix}", lambda: path.open("rb"), kind=one.type, dataset=dataset)


def _wait_for_video(client: GetiClient, project: GetiProject, one: ArchivedMedium, target: str, dataset: str) -> None:
    """Until the server lists a video that it took in: before that its frames cannot be annotated."""
    ends = time.monotonic() + _VIDEO_SECONDS
    while not any(there.id == target for there in client.media(project, "video", dataset)):
        if time.monotonic() >= ends:
            told = f"video '{one.name}' was sent and is not there after {_VIDEO_SECONDS:.0f} seconds"
            raise PlatformUnavailable(NAME, "take in a video", message=told, advice="Run again to wait on.")
        time.sleep(1.0)


def _annotate(
    client: GetiClient,
    project: GetiProject,
    one: ArchivedMedium,
    target: str,
    dataset: str,
    unit: Unit,
    ids: dict[Any, str],
) -> str:
    """Answers why, where the server refuses what was said of it: told at the end, instead of ending everything."""
    medium = GetiMedium(target, one.name, one.type, one.width, one.height, "", {})
    for scene in one.scenes:
        annotations = [
            GetiAnnotation(
                said.shape.to(client.unit, unit, one.width, one.height),
                tuple((ids[label], probability) for label, probability in said.labels),
            )
            for said in scene.annotations
        ]
        try:
            client.annotate(project, medium, annotations, frame=scene.frame, dataset=dataset)
        except PlatformRefused as refused:
            if refused.status != 400:
                raise
            return refused.message or "it says nothing more"
    return ""


def end(client: GetiClient, backup: Backup, project: str, auto_train: bool | None = None) -> None:
    """Put the configuration back; auto-train last: as told, else as it was in the backup, else off."""
    archived = backup.project()
    made = client.project(project)
    now = archived_parameters(client, made)
    wanted = {key: value for key, value in archived.parameters.items() if now.others.get(key, value) != value}
    if wanted:
        _set_parameters(client, made, wanted)
    if dict(now.iterations) != dict(archived.iterations):
        for number in set(archived.iterations.values()):
            places = [int(place) for place, value in archived.iterations.items() if value == number]
            _set_iterations(client, made, places, number)
    on = archived.auto_train if auto_train is None else auto_train
    if on:
        client.set_auto_train(made, True)


def _set_iterations(client: GetiClient, project: GetiProject, places: list[int], number: int) -> None:
    """Of the tasks at these places. What the server does not take is found by the verification."""
    try:
        client.set_iterations(project, number, [project.trained[place].title for place in places])
    except PlatformRefused as refused:
        if refused.status is not None and refused.status >= 500:
            raise


def _set_parameters(client: GetiClient, project: GetiProject, wanted: dict[str, Any]) -> None:
    """What the server does not take is found by the verification."""
    ids = {str(place): task.id for place, task in enumerate(project.trained)} | {"": ""}
    if not client.dialect.patches_configuration:
        values = {}
        for key, value in wanted.items():
            place, _, parameter = key.partition("/")
            values[ids.get(place, ""), parameter] = value
        client.set_configuration(project, values)
        return
    found = client.configuration(project)
    places = {task.id: str(place) for place, task in enumerate(project.trained)}
    for task in found.get("task_configs") or ():
        place_of_it = places.get(str(task.get("task_id")), "")
        for group in ("training", "auto_training"):
            for one in keyed(task, group):
                one["value"] = wanted.get(f"{place_of_it}/{group}/{one['key']}", one["value"])
    client.patch_configuration(project, found)


def compare_page(
    client: GetiClient, backup: Backup, page: str, project: str, journal: Journal, threads: int = 8
) -> Report:
    """Every file and every annotation of a page beside what the server has now."""
    archived, made = backup.project(), client.project(project)
    targets, refused = journal.targets(page), journal.refused(page)

    def compare(one: ArchivedMedium) -> Report:
        target = targets.get(one.id)
        if target is None:
            return Report([f"{one.type} '{one.name}' ({one.id}) is not there"])
        dataset = dataset_for(made, archived, one.dataset)
        one = with_size(client, made, one, target, dataset)
        medium = GetiMedium(target, one.name, one.type, one.width, one.height, "", {})
        try:
            report = compare_files(client, made, medium, dataset, one, backup.folder / one.file)
        except NotFound:
            return Report([f"{one.type} '{one.name}' ({one.id}) is gone from the server since it was sent"])
        scenes: tuple[SaidScene, ...] = scenes_of(client, made, medium, dataset)
        if one.id in refused:
            report.differences.append(
                f"{one.type} '{one.name}' ({one.id}): its annotations were refused: {refused[one.id]}"
            )
        if one.not_read:
            report.differences.append(annotations_not_saved(one))
        report.merge(compare_scenes(one, archived.unit, scenes, client.unit))
        return report

    report = Report()
    for one in for_each(compare, backup.page(page), threads):
        report.merge(one)
    return report


def compare_project(
    client: GetiClient, backup: Backup, project: str, journal: Journal, auto_train: bool | None
) -> Report:
    """Kind, labels, configuration, and that just these media are there under their names."""
    archived, made = backup.project(), client.project(project)
    if auto_train is not None:
        archived = replace(archived, auto_train=auto_train)
    report = compare_projects(archived, made, archived_parameters(client, made), archived_tasks(made))
    expected = {
        target: (one.type, one.name, one.width, one.height, one.dataset)
        for page in backup.pages()
        for targets in [journal.targets(page)]
        for one in backup.page(page)
        if (target := targets.get(one.id)) is not None
    }
    unknown: dict[str, str] = {}
    for dataset, dataset_name in made.datasets:
        kinds = ("image", "video") if has_videos(client, made, dataset, dataset_name, unknown) else ("image",)
        for kind in kinds:
            for medium in client.media(made, kind, dataset, page_size(client)):
                wanted = expected.pop(medium.id, None)
                size = (medium.width, medium.height) if wanted is None or wanted[2] else (0, 0)
                found = (kind, medium.name, *size)
                if wanted is None:
                    report.differences.append(f"{kind} '{medium.name}' ({medium.id}) is not in the backup")
                    continue
                if found != wanted[:4]:
                    report.differences.append(f"{medium.id} is {found}, not {wanted[:4]}")
                home = dataset_for(made, archived, wanted[4])
                if len(archived.datasets) > 1 and home == dataset != made.dataset and dataset_name != wanted[4]:
                    report.differences.append(f"{kind} '{medium.name}' is in '{dataset_name}', not '{wanted[4]}'")
    report.differences += [f"{kind} '{name}' is gone from the server" for kind, name, *_ in expected.values()]
    report.not_compared += [f"{what} {why}" for what, why in unknown.items()]
    if len(archived.datasets) > len(made.datasets):
        lost = ", ".join(archived.datasets[len(made.datasets) :])
        report.differences.append(f"this server has one dataset a project: media of {lost} are in the first")
    return report
