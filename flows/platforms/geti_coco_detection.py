"""A detection project from a COCO file: its images, and a box around every object of the categories."""

from typing import Any

from prefect import flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.geti import create_geti_project, set_geti_auto_train
from labelwright.tasks.platforms.geti_coco import CocoJob, check_coco, check_coco_project, coco_labels, send_coco_images

KIND = "detection"


@flow(name="coco-project-detection", flow_run_name="{project} from {annotations}")
@with_run_lease
def coco_project_detection(
    annotations: str,
    images: str,
    categories: list[str] | None = None,
    project: str = "COCO detection",
    connection: str = "geti",
    auto_train: bool = False,
) -> dict[str, Any]:
    """Run again, it does only what is missing.

    annotations: a COCO instances file. images: the folder of its images. categories: by default "dog".
    auto_train: whether the project trains by itself at the end. Answers the project's id and what is in it.
    """
    wanted = categories or ["dog"]
    job = CocoJob(annotations, images, tuple(wanted), KIND)
    stretches = check_coco(job)
    made = create_geti_project(connection, project, KIND, coco_labels(wanted, KIND))
    set_geti_auto_train(connection, made, False)
    sent = [send_coco_images(connection, made, job, first, last) for first, last in stretches]
    left_out = [fault for _, faults in sent for fault in faults]
    found = check_coco_project(connection, made, job, left_out)
    if auto_train:
        set_geti_auto_train(connection, made, True)
    return {"project": made, "objects": sum(number for number, _ in sent), "left_out": left_out, **found}
