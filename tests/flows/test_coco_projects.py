"""The three COCO flows, against a fake server of each API version."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from labelwright.datasets.readers.coco import CocoRefused
from labelwright.flows.platforms.geti_coco_projects import (
    coco_project_detection,
    coco_project_pipeline,
    coco_project_segmentation,
)
from labelwright.platforms.geti.models import CoordinateUnit
from labelwright.settings import forget_settings
from labelwright.tasks.platforms.geti import connect_client
from tests.platforms.geti.server import PASSWORD, SC, TOKEN, USER, geti_server

RLE = {"counts": [40 * 30 + 10, 4, 36, 4, 40 * 50 - 40 * 30 - 54], "size": [40, 50]}


@pytest.fixture
def coco(tmp_path):
    """Three images with dogs, one of them also with a cat, and one with a cat alone."""
    folder = tmp_path / "images"
    folder.mkdir()
    images = []
    for number in range(1, 5):
        name = f"{number:012}.jpg"
        Image.new("RGB", (50, 40), (number * 40, 0, 0)).save(folder / name)
        images.append({"id": number, "file_name": name, "width": 50, "height": 40})
    square = [[5, 5, 15, 5, 15, 15, 5, 15]]

    def annotation(number, image, category, segmentation, crowd=0):
        return {"id": number, "image_id": image, "category_id": category, "bbox": [5, 5, 10, 10], "area": 100,
                "segmentation": segmentation, "iscrowd": crowd}  # fmt: skip

    annotations = [
        annotation(1, 1, 18, square),
        annotation(2, 1, 17, square),
        annotation(3, 2, 18, [*square, [20, 20, 30, 20, 30, 30]]),
        annotation(4, 3, 18, RLE, crowd=1),
        annotation(5, 4, 17, square),
    ]
    categories = [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path), str(folder)


@pytest.fixture
def server(request, home, monkeypatch):
    """A Sonoma Creek, unless the test names another version."""
    with geti_server(getattr(request, "param", SC)) as server:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__GETI__URL", server.url)
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__GETI__KEY", TOKEN if server.modern else USER)
        if not server.modern:
            monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__GETI__SECRET", PASSWORD)
        forget_settings()
        yield server


def shapes_by_image(client, project):
    """Label and shape of every annotation by image, in rounded pixels; of polygons the number of points."""
    shapes = {}
    for medium in client.media(project):
        scene = client.scene(project, medium)
        shapes[medium.name] = []
        for annotation in scene.annotations:
            pixels = annotation.shape.to(CoordinateUnit.PIXELS, scene.unit, medium.width, medium.height)
            numbers = tuple(round(value) for value in pixels.numbers.values())
            label = project.label(annotation.labels[0][0])[1].name
            shapes[medium.name].append((label, pixels.type, len(pixels.points) or numbers))
    return shapes


BOX = ("dog", "RECTANGLE", (5, 5, 10, 10))


def test_detection_flow_creates_boxes_and_is_idempotent(plain_flows, server, coco):
    first_result = coco_project_detection(*coco)
    second_result = coco_project_detection(*coco)
    assert second_result == first_result
    assert (first_result["images"], first_result["annotated"], first_result["objects"], first_result["left_out"]) == (
        3,
        3,
        3,
        [],
    )
    client = connect_client("geti")
    project = client.project(first_result["project"])
    assert project.kind == "detection"
    assert shapes_by_image(client, project) == {f"{number:012}": [BOX] for number in (1, 2, 3)}
    assert not client.auto_train(project)


def test_segmentation_flow_creates_outlines_of_crowds_and_parts(plain_flows, server, coco):
    result = coco_project_segmentation(*coco, auto_train=True)
    client = connect_client("geti")
    project = client.project(result["project"])
    assert project.kind == "segmentation"
    assert shapes_by_image(client, project) == {
        "000000000001": [("dog", "POLYGON", 4)],
        "000000000002": [("dog", "POLYGON", 4), ("dog", "POLYGON", 3)],
        "000000000003": [("dog", "POLYGON", 4)],
    }
    assert client.auto_train(project)


@pytest.mark.parametrize("server", ["2.12.1"], indirect=True)
def test_pipeline_flow_creates_boxes_and_outlines(prefect_server, server, coco):
    result = coco_project_pipeline(*coco, categories=["dog", "cat"], project="pipeline")
    client = connect_client("geti")
    project = client.project(result["project"])
    assert project.kind == "detection -> segmentation"
    assert (result["images"], result["annotated"], result["objects"]) == (4, 4, 5)
    assert shapes_by_image(client, project)["000000000001"] == [
        BOX,
        ("dog shape", "POLYGON", 4),
        ("cat", "RECTANGLE", (5, 5, 10, 10)),
        ("cat shape", "POLYGON", 4),
    ]


def test_refused_annotations_are_listed_and_do_not_stop_the_flow(plain_flows, server, coco):
    server.most_points = 3
    result = coco_project_segmentation(*coco)
    reason = "000000000001.jpg: the server refuses its annotations: too many points: 4"
    assert reason in result["left_out"]
    assert (result["images"], result["annotated"], result["objects"]) == (3, 0, 0)
    server.most_points = 1000
    assert coco_project_segmentation(*coco)["annotated"] == 3


def test_missing_category_or_image_creates_no_project(plain_flows, server, coco, tmp_path):
    annotations, images = coco
    with pytest.raises(CocoRefused, match="it has: dog, cat"):
        coco_project_detection(annotations, images, categories=["horse"])
    (tmp_path / "images" / "000000000002.jpg").unlink()
    with pytest.raises(CocoRefused, match="1 of 3 images"):
        coco_project_detection(annotations, images)
    assert server.projects == {}


def test_upload_with_a_lost_response_is_found_by_name(prefect_server, server, coco):
    server.break_next("POST", "media/images", "lost", times=1)
    result = coco_project_detection(*coco)
    assert (result["images"], result["annotated"]) == (3, 3)
