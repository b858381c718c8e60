"""Flow that creates a task on CVAT for each folder of a recording."""

from typing import Any

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.cvat import log_in, read_project, upload_images, wait_for_import
from labelwright.tasks.platforms.cvat_folders import find_recordings


@flow(name="cvat-tasks-from-folders", flow_run_name="CVAT tasks from {path}")
@with_run_lease
def cvat_tasks_from_folders(
    path: str,
    project: int | str,
    camera: str = "",
    segment_size: int = 50,
    images_per_folder: int | None = None,
    subset: str = "",
    connection: str = "cvat",
    organization: str = "",
) -> list[dict[str, Any]]:
    """Creates a task for each folder in `path` and uploads its images. Run again, it does only what is missing.

    path: a folder with one folder per recording. project: id or name of an existing project.
    camera: only images of this namespace, as "front". segment_size: images per job (0: all in one).
    images_per_folder: at most that many of each recording, the first ones.
    Returns folder, tasks and number of images of each recording, and the files left out with their reasons.
    """
    log_in(connection, organization)
    number = read_project(project, connection, organization)["id"]
    recordings = find_recordings(path, camera, images_per_folder)
    for recording in recordings:
        upload_images(
            number, recording.name, recording.folder, recording.files, segment_size, subset, connection, organization
        )
    return [
        {
            "folder": recording.name,
            "tasks": wait_for_import(number, recording.name, connection=connection, organization=organization),
            "images": len(recording.files),
            "left_out": recording.left_out,
        }
        for recording in recordings
    ]
