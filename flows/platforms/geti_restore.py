"""A project of Sonoma Creek or Geti from a folder, onto any server of either."""

from typing import Any

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.geti_backup import (
    begin_restore,
    compare_restored,
    end_restore,
    name_of,
    not_saved,
    restore_pages,
    told,
)


@flow(name="restore-project", flow_run_name="restore {folder}")
@with_run_lease
def restore_project(
    folder: str,
    name: str | None = None,
    connection: str = "geti",
    auto_train: bool | None = None,
    verify: bool = True,
) -> dict[str, Any]:
    """Make a new project of a backup, or of a folder of geti-sdk or of the older tool. Run again, it does only what is
    missing.

    name: of the new project; by default the old one's. auto_train: how it ends; by default as in the backup. verify:
    compare all of it with the backup at the end. Answers its id and notes. Raises NotTheSame with what differs.
    """
    title = name_of(folder, name)
    project, pages = begin_restore(connection, folder, title)
    media = restore_pages(connection, folder, title, project, pages)
    end_restore(connection, folder, project, auto_train)
    missing, checked = not_saved(folder), {}
    if verify:
        report = compare_restored(connection, folder, title, project, pages, auto_train)
        checked = told(f"restore of {title}", report)
    return {"project": project, "name": title, "media": media, "not_saved": missing, **checked}
