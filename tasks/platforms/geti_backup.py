"""Tasks that back up, restore and compare projects of Sonoma Creek and Geti, one page of media per task."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from labelwright.platforms import PlatformRefused
from labelwright.platforms.geti.backup import restore, save, verify
from labelwright.platforms.geti.backup.compare import Report
from labelwright.platforms.geti.backup.folder import NativeBackup
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.backup.legacy_layout import open_backup
from labelwright.security.private_files import private_folder
from labelwright.settings import settings
from labelwright.tasks.chaining import task
from labelwright.tasks.reporting import log, publish_progress, publish_table
from labelwright.tasks.retries import RETRY_POLICY

from .geti import connect_client, connect_geti

SHOWN = 50
"""Differences in a message; the log has all."""


class BackupDiffers(PlatformRefused):
    """The comparison at the end found differences."""

    error_code = "LW4018"


# Backup


@task(task_run_name="save the settings of project {project}", **RETRY_POLICY)
def begin_backup(connection: str, project: str, folder: str) -> list[tuple[str, str]]:
    """Starts or continues a backup. Returns pairs of dataset id and kind of media to save. Raises BackupRefused."""
    log().info("back up project %s into %s", project, folder)
    path = Path(folder)
    if not path.exists():
        private_folder(path)  # other users of the machine must not see a project's images
    kinds = save.begin(connect_client(connection), project, path)
    private_folder(path)  # an existing folder is made private only when it is a backup
    return kinds


@task(task_run_name="save page {number} of {project}", **RETRY_POLICY)
def save_page(
    connection: str, project: str, folder: str, dataset: str, kind: str, number: int, cursor: str
) -> tuple[int, str]:
    """Saves a page of media. Returns its number of media, and the next page's cursor."""
    adapter = connect_geti(connection)
    threads = adapter.options.threads
    return save.save_page(adapter.client, project, Path(folder), dataset, kind, number, cursor, threads)


def save_pages(connection: str, project: str, folder: str, kinds: list[tuple[str, str]]) -> int:
    """Saves every page of every kind. Returns the number of pages."""
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
    """Completes the backup. Returns its counts."""
    return save.end(Path(folder), pages)


@task(task_run_name="compare page {page} with {project}", **RETRY_POLICY)
def compare_saved_page(connection: str, project: str, folder: str, page: str) -> Report:
    adapter = connect_geti(connection)
    return verify.compare_saved_page(adapter.client, project, Path(folder), page, adapter.options.threads)


@task(task_run_name="compare {folder} with {project}", **RETRY_POLICY)
def compare_saved_project(connection: str, project: str, folder: str) -> Report:
    return verify.compare_saved_project(connect_client(connection), project, Path(folder))


def compare_backup(connection: str, project: str, folder: str) -> Report:
    """Compares a whole backup with its source."""
    report = Report()
    for page in NativeBackup(Path(folder)).pages():
        report.merge(compare_saved_page(connection, project, folder, page))
    report.merge(compare_saved_project(connection, project, folder))
    return report


def not_saved(folder: str) -> list[str]:
    """Returns sentences about what the server refused to return and the backup lacks. Logs each as a warning."""
    sentences = verify.list_not_saved(open_backup(Path(folder)))
    for sentence in sentences:
        log().warning("not in the backup: %s", sentence)
    return sentences


# Restore


def restored_name(folder: str, name: str | None) -> str:
    """Returns the restored project's name: `name`, by default that of the saved project."""
    return name or open_backup(Path(folder)).project().name


def open_journal(connection: str, name: str, folder: str) -> Journal:
    """Opens the journal of a restore: the same for the same folder, server and name, so that a restore continues."""
    host = connect_client(connection).session.host
    key = sha256("\n".join((host, name, str(Path(folder).resolve()))).encode()).hexdigest()[:16]
    plain_name = re.sub(r"[^\w-]+", "-", name)[:40]
    return Journal(settings().home / "restores" / f"{plain_name}-{key}")


@task(task_run_name="create {name} for {folder}", **RETRY_POLICY)
def begin_restore(connection: str, folder: str, name: str) -> tuple[str, list[str]]:
    """Creates the project. Returns its id, and the pages to restore. Raises BackupRefused, PlatformRefused."""
    backup = open_backup(Path(folder))
    log().info("restore %s as %s", folder, name)
    journal = open_journal(connection, name, folder)
    return restore.begin(connect_client(connection), backup, name, journal), list(backup.pages())


@task(task_run_name="restore page {page} of {name}", **RETRY_POLICY)
def restore_page(connection: str, folder: str, name: str, project: str, page: str) -> int:
    """Restores a page of media. Returns its number of media."""
    adapter, backup = connect_geti(connection), open_backup(Path(folder))
    journal = open_journal(connection, name, folder)
    return restore.restore_page(adapter.client, backup, page, project, journal, adapter.options.threads)


def restore_pages(connection: str, folder: str, name: str, project: str, pages: list[str]) -> int:
    """Restores every page. Returns the number of media."""
    media = 0
    for page in pages:
        media += restore_page(connection, folder, name, project, page)
        publish_progress(f"restore of {name}", "sending media", media, media)
    return media


@task(task_run_name="configure {project}", **RETRY_POLICY)
def end_restore(connection: str, folder: str, project: str, auto_train: bool | None) -> None:
    restore.end(connect_client(connection), open_backup(Path(folder)), project, auto_train)


@task(task_run_name="compare page {page} with {name}", **RETRY_POLICY)
def compare_restored_page(connection: str, folder: str, name: str, project: str, page: str) -> Report:
    adapter, backup = connect_geti(connection), open_backup(Path(folder))
    journal = open_journal(connection, name, folder)
    return verify.compare_restored_page(adapter.client, backup, page, project, journal, adapter.options.threads)


@task(task_run_name="compare {name} with {folder}", **RETRY_POLICY)
def compare_restored_project(connection: str, folder: str, name: str, project: str, auto_train: bool | None) -> Report:
    client, backup = connect_client(connection), open_backup(Path(folder))
    journal = open_journal(connection, name, folder)
    return verify.compare_restored_project(client, backup, project, journal, auto_train)


def compare_restored(
    connection: str, folder: str, name: str, project: str, pages: list[str], auto_train: bool | None
) -> Report:
    """Compares a whole restored project with its backup."""
    report = Report()
    for page in pages:
        report.merge(compare_restored_page(connection, folder, name, project, page))
    report.merge(compare_restored_project(connection, folder, name, project, auto_train))
    return report


# Results


def publish_report(name: str, report: Report) -> dict[str, Any]:
    """Logs a comparison and returns it as part of a flow's result.

    Raises BackupDiffers that names the differences; all of them are in the log and 500 in a table.
    """
    notes = [*_summary_of_reencoded(report), *report.notes]
    for note in notes[:SHOWN]:
        log().info("%s: %s", name, note)
    for sentence in report.not_compared:
        log().warning("%s: not compared: %s", name, sentence)
    if not report.differences:
        return {
            "differences": [],
            "notes": notes,
            "not_compared": report.not_compared,
            "reencoded": len(report.reencoded),
        }
    for difference in report.differences:
        log().error("%s: %s", name, difference)
    rows = [{"difference": difference} for difference in report.differences[:500]]
    publish_table(name, "differences", rows, f"{name} differs")
    message = f"{len(report.differences)} differences:\n{_bullets(report.differences)}"
    if report.not_compared:
        message += f"\nand {len(report.not_compared)} values could not be compared:\n{_bullets(report.not_compared)}"
    raise BackupDiffers("geti", f"compare the {name}", status=200, message=message)


def _summary_of_reencoded(report: Report) -> list[str]:
    if not report.reencoded:
        return []
    number = len(report.reencoded)
    images = "1 image is" if number == 1 else f"{number} images are"
    return [f"{images} re-encoded by the server: other bytes, the same picture; the first: {report.reencoded[0]}"]


def _bullets(lines: list[str]) -> str:
    shown = "\n".join(f"- {line}" for line in lines[:SHOWN])
    return shown + (f"\n- and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")
