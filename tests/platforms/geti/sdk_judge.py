"""Runs in the environment of the unmodified geti-sdk: creates a project and reads one of ours with its own calls.

python sdk_judge.py ADDRESS TOKEN FOLDER OURS      prints the annotations that it read as JSON
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np
from geti_sdk import Geti
from geti_sdk.data_models import Annotation, AnnotationScene
from geti_sdk.data_models.label import ScoredLabel
from geti_sdk.data_models.shapes import Point, Polygon, Rectangle
from geti_sdk.rest_clients import (
    AnnotationClient,
    ImageClient,
    ProjectClient,
    ProjectConfigurationClient,
    VideoClient,
)

logging.disable(logging.WARNING)


def scene_of(project, items):
    labels = {label.name: label for label in project.get_all_labels()}
    annotations = [
        Annotation(shape=shape, labels=[ScoredLabel.from_label(labels[name], probability=1.0)]) for name, shape in items
    ]
    return AnnotationScene(annotations=annotations)


def shapes_by_image(geti, project):
    clients = {"session": geti.session, "workspace_id": geti.workspace_id, "project": project}
    images = ImageClient(**clients).get_all_images()
    annotations = AnnotationClient(**clients)
    shapes = {}
    for image in images:
        scene = annotations.get_annotation(image)
        shapes[image.name] = (
            [[annotation.labels[0].name, type(annotation.shape).__name__] for annotation in scene.annotations]
            if scene
            else None
        )
    return shapes


def main() -> None:
    address, token, folder, ours = sys.argv[1:]
    geti = Geti(host=address, token=token, verify_certificate=False)
    projects = ProjectClient(session=geti.session, workspace_id=geti.workspace_id)
    created = projects.create_project("sdk chain", "detection_to_segmentation", [["dog"], ["dog shape"]])
    clients = {"session": geti.session, "workspace_id": geti.workspace_id, "project": created}
    pictures, annotate = ImageClient(**clients), AnnotationClient(**clients)
    images = [pictures.upload_image(np.full((40, 60, 3), 40 * n, dtype=np.uint8)) for n in range(3)]
    box = Rectangle(x=4, y=4, width=20, height=10)
    polygon = Polygon(points=[Point(5, 5), Point(20, 5), Point(12, 12)])
    annotate.upload_annotation(images[0], scene_of(created, [("dog", box), ("dog shape", polygon)]))
    whole = Rectangle(x=0, y=0, width=60, height=40)
    annotate.upload_annotation(images[1], scene_of(created, [("No object", whole)]))
    VideoClient(**clients).get_all_videos()
    ProjectConfigurationClient(geti.workspace_id, created, geti.session).set_project_auto_train(False)
    pictures.delete_images([images[2]])
    for kind, labels in (
        ("detection", [["a"]]),
        ("segmentation", [["a"]]),
        ("instance_segmentation", [["a"]]),
        ("rotated_detection", [["a"]]),
        ("classification", [["a", "b"]]),
        ("anomaly", [[]]),
        ("detection_to_classification", [["a"], ["b", "c"]]),
    ):
        projects.create_project(f"sdk {kind}", kind, labels)
    theirs = projects.get_project_by_name(ours)
    copy = Path(folder) / "copy"
    geti.download_project_data(theirs, str(copy), include_predictions=False)
    again = geti.upload_project_data(str(copy), project_name="sdk copy", enable_auto_train=False)
    print(
        json.dumps(
            {
                "made": created.id,
                "ours": shapes_by_image(geti, theirs),
                "copy": shapes_by_image(geti, again),
                "copy id": again.id,
                "kinds": sorted(project.project_type for project in projects.get_all_projects()),
            }
        )
    )


main()
