"""Flows that create a project of Sonoma Creek or Geti from a COCO file, one per kind of project."""

from typing import Any

from prefect import Flow, flow

from labelwright.tasks.leases import with_run_lease
from labelwright.tasks.platforms.geti import create_geti_project, set_geti_auto_train
from labelwright.tasks.platforms.geti_coco import CocoJob, check_coco, check_coco_project, coco_labels, send_coco_images

_PARAMETERS = """

    Idempotent: run again, it sends only what is missing.

    annotations: a COCO instances file. images: the folder of its images. categories: by default "dog".
    auto_train: whether the project trains by itself at the end. Returns the project's id and its counts.
    """


def _coco_flow(name: str, kind: str, default_project: str, summary: str) -> Flow[..., dict[str, Any]]:
    """Returns the flow `name`, which creates a project of `kind`."""

    def create_project(
        annotations: str,
        images: str,
        categories: list[str] | None = None,
        project: str = default_project,
        connection: str = "geti",
        auto_train: bool = False,
    ) -> dict[str, Any]:
        names = categories or ["dog"]
        job = CocoJob(annotations, images, tuple(names), kind)
        ranges = check_coco(job)
        identity = create_geti_project(connection, project, kind, coco_labels(names, kind))
        set_geti_auto_train(connection, identity, False)
        sent = [send_coco_images(connection, identity, job, first, last) for first, last in ranges]
        left_out = [reason for _, reasons in sent for reason in reasons]
        counts = check_coco_project(connection, identity, job, left_out)
        if auto_train:
            set_geti_auto_train(connection, identity, True)
        return {"project": identity, "objects": sum(objects for objects, _ in sent), "left_out": left_out, **counts}

    # Prefect takes a flow's entrypoint and description from its function.
    create_project.__name__ = create_project.__qualname__ = name.replace("-", "_")
    create_project.__doc__ = summary + _PARAMETERS
    return flow(name=name, flow_run_name="{project} from {annotations}")(with_run_lease(create_project))


coco_project_detection = _coco_flow(
    "coco-project-detection",
    "detection",
    "COCO detection",
    "Creates a detection project: images, and a box around every object of the categories.",
)
coco_project_segmentation = _coco_flow(
    "coco-project-segmentation",
    "segmentation",
    "COCO segmentation",
    "Creates a segmentation project: images, and the outlines of every object of the categories.",
)
coco_project_pipeline = _coco_flow(
    "coco-project-pipeline",
    "detection -> segmentation",
    "COCO pipeline",
    'Creates a detection -> segmentation project: a box around every object, and its outline as "<category> shape".',
)
