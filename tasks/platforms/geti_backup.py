"""Projects of Sonoma Creek and Geti into folders and back: a page of media a task, a comparison at the end."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from prefect import task

from labelwright.platforms import PlatformRefused
from labelwright.platforms.geti.backup import restore as geti_restore
from labelwright.platforms.geti.backup import save as geti_backup
from labelwright.platforms.geti.backup.compare import Report
from labelwright.platforms.geti.backup.folder import OwnBackup
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.backup.legacy_layout import open_backup
from labelwright.security.private_files import private_folder
from labelwright.settings import settings
from labelwright.tasks.reporting import log, publish_progress, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .geti import client_at, geti_at

SHOWN = 50
"""Differences in a message; the log has all."""


class NotTheSame(PlatformRefused):
    """The comparison at the end found differences."""


# Backup


@task(task_run_name="write down project {project}", **RETRY_POLICY)
def begin_backup(connection: str, project: str, folder: str) -> list[tuple[str, str]]:
    """Answers what is to be saved: pairs of dataset and kind of media. Raises BackupRefused."""
    log().info("back up project %s into %s", project, folder)
    place = Path(folder)
    if not place.exists():
        private_folder(place)  # a project's images are not for everybody on this machine
    kinds = geti_backup.begin(client_at(connection), project, place)
    private_folder(place)  # one that was there is closed only when it is a backup's
    return kinds


@task(task_run_name="save page {number} of {project}", **RETRY_POLICY)
def save_page(
    connection: str, project: str, folder: str, dataset: str, kind: str, number: int, cursor: str
) -> tuple[int, str]:
    """Answers how many media it has, and the next page's cursor."""
    adapter = geti_at(connection)
    threads = adapter.options.threads
    return geti_backup.save_page(adapter.client, project, Path(folder), dataset, kind, number, cursor, threads)


def save_pages(connection: str, project: str, folder: str, kinds: list[tuple[str, str]]) -> int:
    """Every page of every kind. Answers how many pages there are."""
    pages = media = 0
    for dataset, kind in kinds:
        cursor, more = "", True
        while more:
            saved, cursor = save_page(connection, project, folder, dataset, kind, pages + 1, cursor)
            more = bool(cursor)
            pages, media = pages + bool(saved), media + saved
            publish_progress(f"backup of {project}", "saving media", media, media)
    return pages


@task(task_run_name="end the backup in {folder}", **RETRY_POLICY)
def end_backup(folder: str, pages: int) -> dict[str, int]:
    """Answers the counts."""
    return geti_backup.end(Path(folder), pages)


@task(task_run_name="compare page {page} with {project}", **RETRY_POLICY)
def compare_saved_page(connection: str, project: str, folder: str, page: str) -> Report:
    adapter = geti_at(connection)
    return geti_backup.compare_saved_page(adapter.client, project, Path(folder), page, adapter.options.threads)


@task(task_run_name="compare {folder} with {project}", **RETRY_POLICY)
def compare_saved_project(connection: str, project: str, folder: str) -> Report:
    return geti_backup.compare_saved_project(client_at(connection), project, Path(folder))


def compare_backup(connection: str, project: str, folder: str) -> Report:
    """All of a backup beside its source."""
    report = Report()
    for page in OwnBackup(Path(folder)).pages():
        report.merge(compare_saved_page(connection, project, folder, page))
    report.merge(compare_saved_project(connection, project, folder))
    return report


def not_saved(folder: str) -> list[str]:
    """What is not in the backup since the server refused to tell it, in words; each is logged as a warning."""
    found = geti_backup.what_is_not_saved(open_backup(Path(folder)))
    for one in found:
        log().warning("not in the backup: %s", one)
    return found


# Restore


def name_of(folder: str, name: str | None) -> str:
    """What the restored project is called: as told, else as it was."""
    return name or open_backup(Path(folder)).project().name


def journal_of(connection: str, name: str, folder: str) -> Journal:
    """Of this restore: the same folder, server and name go on where they stood."""
    host = client_at(connection).session.host
    key = sha256("\n".join((host, name, str(Path(folder).resolve()))).encode()).hexdigest()[:16]
    plain = re.sub(r"[^\w-]+", "-", name)[:40]
    return Journal(settings().home / "restores" / f"{plain}-{key}")


@task(task_run_name="create {name} for {folder}", **RETRY_POLICY)
def begin_restore(connection: str, folder: str, name: str) -> tuple[str, list[str]]:
    """Answers the new project's id, and the pages to restore. Raises BackupRefused, PlatformRefused."""
    backup = open_backup(Path(folder))
    log().info("restore %s as %s", folder, name)
    journal = journal_of(connection, name, folder)
    return geti_restore.begin(client_at(connection), backup, name, journal), list(backup.pages())


@task(task_run_name="restore page {page} of {name}", **RETRY_POLICY)
def restore_page(connection: str, folder: str, name: str, project: str, page: str) -> int:
    """Answers how many media it has."""
    adapter, backup = geti_at(connection), open_backup(Path(folder))
    journal = journal_of(connection, name, folder)
    return geti_restore.restore_page(adapter.client, backup, page, project, journal, adapter.options.threads)


def restore_pages(connection: str, folder: str, name: str, project: str, pages: list[str]) -> int:
    media = 0
    for page in pages:
        media += restore_page(connection, folder, name, project, page)
        publish_progress(f"restore of {name}", "sending media", media, media)
    return media


@task(task_run_name="configure {project}", **RETRY_POLICY)
def end_restore(connection: str, folder: str, project: str, auto_train: bool | None) -> None:
    geti_restore.end(client_at(connection), open_backup(Path(folder)), project, auto_train)


@task(task_run_name="compare page {page} with {name}", **RETRY_POLICY)
def compare_restored_page(connection: str, folder: str, name: str, project: str, page: str) -> Report:
    adapter, backup = geti_at(connection), open_backup(Path(folder))
    journal = journal_of(connection, name, folder)
    return geti_restore.compare_page(adapter.client, backup, page, project, journal, adapter.options.threads)


@task(task_run_name="compare {name} with {folder}", **RETRY_POLICY)
def compare_restored_project(connection: str, folder: str, name: str, project: str, auto_train: bool | None) -> Report:
    journal = journal_of(connection, name, folder)
    return geti_restore.compare_project(client_at(connection), open_backup(Path(folder)), project, journal, auto_train)


def compare_restored(
    connection: str, folder: str, name: str, project: str, pages: list[str], auto_train: bool | None
) -> Report:
    """All of a restored project beside its backup."""
    report = Report()
    for page in pages:
        report.merge(compare_restored_page(connection, folder, name, project, page))
    report.merge(compare_restored_project(connection, folder, name, project, auto_train))
    return report


# What differs


def told(what: str, report: Report) -> dict[str, Any]:
    """What a flow returns of a comparison. Raises NotTheSame that names what differs; all of it is in the table and in
    the log."""
    notes = [*_summary_of_reencoded(report), *report.notes]
    for note in notes[:SHOWN]:
        log().info("%s: %s", what, note)
    for one in report.not_compared:
        log().warning("%s: not compared: %s", what, one)
    if not report.differences:
        return {
            "differences": [],
            "notes": notes,
            "not_compared": report.not_compared,
            "reencoded": len(report.reencoded),
        }
    for difference in report.differences:
        log().error("%s: %s", what, difference)
    publish_table(what, "differences", [{"difference": one} for one in report.differences[:500]], f"{what} differs")
    message = f"{len(report.differences)} differences:\n{_bullets(report.differences)}"
    if report.not_compared:
        message += f"\nand {len(report.not_compared)} things could not be compared:\n{_bullets(report.not_compared)}"
    raise NotTheSame("geti", f"compare the {what}", status=200, message=message)


def _summary_of_reencoded(report: Report) -> list[str]:
    if not report.reencoded:
        return []
    number = len(report.reencoded)
    images = "1 image is" if number == 1 else f"{number} images are"
    return [f"{images} re-encoded by the server: other bytes, the same picture; the first: {report.reencoded[0]}"]


def _bullets(lines: list[str]) -> str:
    shown = "\n".join(f"- {one}" for one in lines[:SHOWN])
    return shown + (f"\n- and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")
