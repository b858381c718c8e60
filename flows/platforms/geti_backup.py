"""A project of Sonoma Creek or Geti into a folder."""

from typing import Any

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.geti import geti_project_id
from labelwright.tasks.platforms.geti_backup import (
    begin_backup,
    compare_backup,
    end_backup,
    not_saved,
    save_pages,
    told,
)


@flow(name="backup-project", flow_run_name="back up {project}")
@with_run_lease
def backup_project(project: str, folder: str, connection: str = "geti", verify: bool = True) -> dict[str, Any]:
    """Save a project with its labels, configuration, media and annotations. Run again, it does only what is missing.

    project: name or id. folder: an empty one, or that of an earlier backup of this project. verify: compare all of it
    with the server at the end. Returns the counts, what could not be read, and notes. Raises NotTheSame with what
    differs.
    """
    identity = geti_project_id(connection, project)
    kinds = begin_backup(connection, identity, folder)
    pages = save_pages(connection, identity, folder, kinds)
    counts = end_backup(folder, pages)
    missing = not_saved(folder)
    checked = told(f"backup of {project}", compare_backup(connection, identity, folder)) if verify else {}
    return {"project": identity, "folder": folder, **counts, "not_saved": missing, **checked}
