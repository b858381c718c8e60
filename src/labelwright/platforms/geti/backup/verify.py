"""Compares a whole backup with its source, and a restored project with its backup."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import NotFound
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import CoordinateUnit, GetiMedium, GetiProject

from .archive import ArchivedMedium, Backup, archived_tasks
from .compare import Report, compare_files, compare_projects, compare_scenes, not_saved
from .folder import NativeBackup
from .journal import Journal
from .parameters import archived_parameters
from .restore import dataset_for, with_size
from .save import has_videos, page_size, scenes_of, videos_of

_SC_JPEGS = "Sonoma Creek gives JPEGs re-encoded by the server: the files are those, not the bytes that were uploaded"


class _Expected(NamedTuple):
    """What the listing of a project should show of a medium. A width of 0: the size is unknown."""

    type: str
    name: str
    width: int
    height: int
    dataset: str


# A backup and its source


def compare_saved_page(client: GetiClient, project: str, folder: Path, page: str, threads: int = 8) -> Report:
    """Compares every file and annotation of a page with the source."""
    backup, source = NativeBackup(folder), client.project(project)
    unit = backup.project().unit
    datasets = {name: identity for identity, name in source.datasets}

    def compare(archived: ArchivedMedium) -> Report:
        dataset = datasets.get(archived.dataset, "")
        medium = _medium(archived, archived.id)
        try:
            report = compare_files(client, source, medium, dataset, archived, folder / archived.file)
            if archived.not_read:
                report.differences.append(describe_unsaved_annotations(archived))
            else:
                scenes = scenes_of(client, source, medium, dataset)
                report.merge(compare_scenes(archived, unit, scenes, client.unit))
        except NotFound:
            return Report([f"{_describe(archived)} is gone from the server since it was saved"])
        return report

    report = Report()
    for page_report in for_each(compare, backup.page(page), threads):
        report.merge(page_report)
    return report


def compare_saved_project(client: GetiClient, project: str, folder: Path) -> Report:
    """Compares kind, labels and configuration, and checks that the source lists exactly the backup's media."""
    backup, source = NativeBackup(folder), client.project(project)
    archived = backup.project()
    report = compare_projects(archived, source, archived_parameters(client, source), archived_tasks(source))
    expected: dict[str, _Expected] = {}
    has_jpegs = False
    for medium in backup.media():
        expected[medium.id] = _Expected(medium.type, medium.name, medium.width, medium.height, medium.dataset)
        has_jpegs = has_jpegs or medium.file.endswith(".jpg")
    if client.unit is CoordinateUnit.FRACTIONS and has_jpegs:
        report.notes.append(_SC_JPEGS)
    for _, _, listed in _listed_media(client, source, report, skip=archived.not_read):
        entry = expected.pop(listed.id, None)
        if entry is None:
            report.differences.append(f"{listed.type} '{listed.name}' ({listed.id}) came since the backup began")
        else:
            _compare_listed(report, listed, entry)
    report.differences += [f"{entry.type} '{entry.name}' is gone from the server" for entry in expected.values()]
    return report


# A restored project and its backup


def compare_restored_page(
    client: GetiClient, backup: Backup, page: str, project: str, journal: Journal, threads: int = 8
) -> Report:
    """Compares every file and annotation of a page with the restored project."""
    archived_project, restored = backup.project(), client.project(project)
    targets, refused = journal.targets(page), journal.refused(page)

    def compare(archived: ArchivedMedium) -> Report:
        target = targets.get(archived.id)
        if target is None:
            return Report([f"{_describe(archived)} is not on the server"])
        dataset = dataset_for(restored, archived_project, archived.dataset)
        archived = with_size(client, restored, archived, target, dataset)
        medium = _medium(archived, target)
        try:
            report = compare_files(client, restored, medium, dataset, archived, backup.folder / archived.file)
        except NotFound:
            return Report([f"{_describe(archived)} is gone from the server since it was sent"])
        scenes = scenes_of(client, restored, medium, dataset)
        if archived.id in refused:
            report.differences.append(f"{_describe(archived)}: its annotations were refused: {refused[archived.id]}")
        if archived.not_read:
            report.differences.append(describe_unsaved_annotations(archived))
        report.merge(compare_scenes(archived, archived_project.unit, scenes, client.unit))
        return report

    report = Report()
    for page_report in for_each(compare, backup.page(page), threads):
        report.merge(page_report)
    return report


def compare_restored_project(
    client: GetiClient, backup: Backup, project: str, journal: Journal, auto_train: bool | None
) -> Report:
    """Compares kind, labels and configuration, and checks that the project lists exactly the backup's media."""
    archived, restored = backup.project(), client.project(project)
    if auto_train is not None:
        archived = replace(archived, auto_train=auto_train)
    report = compare_projects(archived, restored, archived_parameters(client, restored), archived_tasks(restored))
    expected = _expected_targets(backup, journal)
    for dataset, dataset_name, listed in _listed_media(client, restored, report):
        entry = expected.pop(listed.id, None)
        if entry is None:
            report.differences.append(f"{listed.type} '{listed.name}' ({listed.id}) is not in the backup")
            continue
        _compare_listed(report, listed, entry)
        in_own_dataset = dataset_for(restored, archived, entry.dataset) == dataset != restored.dataset
        if len(archived.datasets) > 1 and in_own_dataset and dataset_name != entry.dataset:
            difference = f"{listed.type} '{listed.name}' is in '{dataset_name}', not '{entry.dataset}'"
            report.differences.append(difference)
    report.differences += [f"{entry.type} '{entry.name}' is gone from the server" for entry in expected.values()]
    if len(archived.datasets) > len(restored.datasets):
        lost = ", ".join(archived.datasets[len(restored.datasets) :])
        report.differences.append(f"this server has one dataset a project: media of {lost} are in the first")
    return report


def _expected_targets(backup: Backup, journal: Journal) -> dict[str, _Expected]:
    """The backup's media that were sent, by their ids on the server."""
    expected: dict[str, _Expected] = {}
    for page in backup.pages():
        targets = journal.targets(page)
        for medium in backup.page(page):
            if medium.id in targets:
                entry = _Expected(medium.type, medium.name, medium.width, medium.height, medium.dataset)
                expected[targets[medium.id]] = entry
    return expected


# Both


def _listed_media(
    client: GetiClient, project: GetiProject, report: Report, *, skip: Container[str] = ()
) -> Iterator[tuple[str, str, GetiMedium]]:
    """Every medium of a project with its dataset's id and name.

    Videos whose `videos_of` is in `skip` are left out; videos that the server cannot list are reported as not compared.
    """
    unreadable: dict[str, str] = {}
    for dataset, name in project.datasets:
        yield from ((dataset, name, medium) for medium in client.media(project, "image", dataset, page_size(client)))
        if videos_of(name) not in skip and has_videos(client, project, dataset, name, unreadable):
            videos = client.media(project, "video", dataset, page_size(client))
            yield from ((dataset, name, medium) for medium in videos)
    report.not_compared += [f"{name} {reason}" for name, reason in unreadable.items()]


def _compare_listed(report: Report, listed: GetiMedium, expected: _Expected) -> None:
    size = (listed.width, listed.height) if expected.width else (0, 0)
    if (listed.type, listed.name, *size) != expected[:4]:
        listed_as = f"{listed.type} '{listed.name}' of {listed.width} x {listed.height} pixels"
        saved_as = f"{expected.type} '{expected.name}' of {expected.width} x {expected.height}"
        report.differences.append(f"{listed.id} is {listed_as}, not {saved_as}")


def _medium(archived: ArchivedMedium, identity: str) -> GetiMedium:
    return GetiMedium(identity, archived.name, archived.type, archived.width, archived.height, "", {})


def _describe(archived: ArchivedMedium) -> str:
    return f"{archived.type} '{archived.name}' ({archived.id})"


def describe_unsaved_annotations(medium: ArchivedMedium) -> str:
    """Sentence that reports a medium whose annotations are not in the backup."""
    return f"the annotations of {_describe(medium)} are not in the backup: {medium.not_read}"


def list_not_saved(backup: Backup, most: int = 50) -> list[str]:
    """Sentences about what could not be read and is not in the backup, with at most `most` media."""
    archived = backup.media() if isinstance(backup, NativeBackup) else ()
    media = [describe_unsaved_annotations(medium) for medium in archived if medium.not_read]
    more = [f"the annotations of {len(media) - most} more"] if len(media) > most else []
    return [*not_saved(backup.project()), *media[:most], *more]
