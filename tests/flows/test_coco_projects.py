"""The three COCO recipes of the user's document, on a stand-in of either dialect."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from labelwright.datasets.readers.coco import CocoRefused
from labelwright.flows.platforms.geti_coco_detection import coco_project_detection
from labelwright.flows.platforms.geti_coco_pipeline import coco_project_pipeline
from labelwright.flows.platforms.geti_coco_segmentation import coco_project_segmentation
from labelwright.platforms.geti.models import Unit
from labelwright.settings import forget_settings
from labelwright.tasks.platforms.geti import client_at
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

    def said(number, image, category, segmentation, crowd=0):
        return {"id": number, "image_id": image, "category_id": category, "bbox": [5, 5, 10, 10], "area": 100,
                "segmentation": segmentation, "iscrowd": crowd}  # fmt: skip

    annotations = [
        said(1, 1, 18, square),
        said(2, 1, 17, square),
        said(3, 2, 18, [*square, [20, 20, 30, 20, 30, 30]]),
        said(4, 3, 18, RLE, crowd=1),
        said(5, 4, 17, square),
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


def seen(client, project):
    """Of each image: the labels and shapes on it, in pixels, rounded."""
    found = {}
    for medium in client.media(project):
        scene = client.scene(project, medium)
        said = []
        for one in scene.annotations:
            pixels = one.shape.to(Unit.PIXELS, scene.unit, medium.width, medium.height)
            numbers = tuple(round(value) for value in pixels.numbers.values())
            said.append((project.label(one.labels[0][0])[1].name, pixels.type, len(pixels.points) or numbers))
        found[medium.name] = said
    return found


BOX = ("dog", "RECTANGLE", (5, 5, 10, 10))


def test_boxes_of_dogs_become_a_detection_project_and_running_again_adds_nothing(prefect_server, server, coco):
    first = coco_project_detection(*coco)
    again = coco_project_detection(*coco)
    assert again == first
    assert (first["images"], first["annotated"], first["objects"], first["left_out"]) == (3, 3, 3, [])
    client = client_at("geti")
    project = client.project(first["project"])
    assert project.kind == "detection"
    assert seen(client, project) == {f"{number:012}": [BOX] for number in (1, 2, 3)}
    assert not client.auto_train(project)


def test_outlines_of_dogs_become_a_segmentation_project_with_crowds_and_parts(prefect_server, server, coco):
    made = coco_project_segmentation(*coco, auto_train=True)
    client = client_at("geti")
    project = client.project(made["project"])
    assert project.kind == "segmentation"
    assert seen(client, project) == {
        "000000000001": [("dog", "POLYGON", 4)],
        "000000000002": [("dog", "POLYGON", 4), ("dog", "POLYGON", 3)],
        "000000000003": [("dog", "POLYGON", 4)],
    }
    assert client.auto_train(project)


@pytest.mark.parametrize("server", ["2.12.1"], indirect=True)
def test_a_pipeline_has_boxes_and_shapes_of_every_category(prefect_server, server, coco):
    made = coco_project_pipeline(*coco, categories=["dog", "cat"], project="pipeline")
    client = client_at("geti")
    project = client.project(made["project"])
    assert project.kind == "detection -> segmentation"
    assert (made["images"], made["annotated"], made["objects"]) == (4, 4, 5)
    assert seen(client, project)["000000000001"] == [
        BOX,
        ("dog shape", "POLYGON", 4),
        ("cat", "RECTANGLE", (5, 5, 10, 10)),
        ("cat shape", "POLYGON", 4),
    ]


def test_annotations_that_the_server_refuses_are_told_and_the_others_go_on(prefect_server, server, coco):
    server.most_points = 3
    found = coco_project_segmentation(*coco)
    told = "000000000001.jpg: the server refuses its annotations: too many points: 4"
    assert told in found["left_out"]
    assert (found["images"], found["annotated"], found["objects"]) == (3, 0, 0)
    server.most_points = 1000
    assert coco_project_segmentation(*coco)["annotated"] == 3


def test_nothing_is_made_when_the_file_or_an_image_is_missing(prefect_server, server, coco, tmp_path):
    annotations, images = coco
    with pytest.raises(CocoRefused, match="it has: dog, cat"):
        coco_project_detection(annotations, images, categories=["horse"])
    (tmp_path / "images" / "000000000002.jpg").unlink()
    with pytest.raises(CocoRefused, match="1 of 3 images"):
        coco_project_detection(annotations, images)
    assert server.projects == {}


def test_an_upload_whose_answer_was_lost_is_found_by_its_name(prefect_server, server, coco):
    server.break_next("POST", "media/images", "lost", times=1)
    made = coco_project_detection(*coco)
    assert (made["images"], made["annotated"]) == (3, 3)
