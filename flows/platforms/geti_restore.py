"""Flow that restores a project from a folder on a Sonoma Creek or Geti server."""

from typing import Any

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.geti_backup import (
    begin_restore,
    compare_restored,
    end_restore,
    not_saved,
    publish_report,
    restore_pages,
    restored_name,
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
    """Creates a new project from a backup, or from a folder of geti-sdk or of the older tool.

    Run again, it restores only what is missing. name: of the new project; by default the saved one's. auto_train: the
    final setting; by default as in the backup. verify: compare everything with the backup at the end. Returns its id
    and notes. Raises BackupDiffers.
    """
    title = restored_name(folder, name)
    project, pages = begin_restore(connection, folder, title)
    media = restore_pages(connection, folder, title, project, pages)
    end_restore(connection, folder, project, auto_train)
    missing, comparison = not_saved(folder), {}
    if verify:
        report = compare_restored(connection, folder, title, project, pages, auto_train)
        comparison = publish_report(f"restore of {title}", report)
    return {"project": project, "name": title, "media": media, "not_saved": missing, **comparison}
