"""Flow that saves a project of Sonoma Creek or Geti in a folder."""

from typing import Any

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.geti import geti_project_id
from labelwright.tasks.platforms.geti_backup import (
    begin_backup,
    compare_backup,
    end_backup,
    not_saved,
    publish_report,
    save_pages,
)


@flow(name="backup-project", flow_run_name="back up {project}")
@with_run_lease
def backup_project(project: str, folder: str, connection: str = "geti", verify: bool = True) -> dict[str, Any]:
    """Saves a project with its labels, configuration, media and annotations. Run again, it saves only what is missing.

    project: name or id. folder: an empty one, or that of an earlier backup of this project. verify: compare everything
    with the server at the end. Returns the counts, what could not be read, and notes. Raises BackupDiffers.
    """
    identity = geti_project_id(connection, project)
    kinds = begin_backup(connection, identity, folder)
    pages = save_pages(connection, identity, folder, kinds)
    counts = end_backup(folder, pages)
    missing = not_saved(folder)
    comparison = publish_report(f"backup of {project}", compare_backup(connection, identity, folder)) if verify else {}
    return {"project": identity, "folder": folder, **counts, "not_saved": missing, **comparison}
