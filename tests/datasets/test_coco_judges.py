"""Boxes, polygons, objects of parts and masks of a COCO file, as other libraries read them."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO

from labelwright.datasets import Spool, StockedImage, write_file
from labelwright.domain import (
    Annotation,
    Box,
    Geometry,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    MultiPolygon,
    Polygon,
    Size,
)
from tests.sdk_environments import python_with, shelf

SIZE = Size(70, 40)
SCHEMA = LabelSchema((Label("boat", Geometry.ANY), Label("-1", Geometry.BOX)))
HALVES = MultiPolygon((Polygon(((5, 5), (25, 5), (25, 35), (5, 35))), Polygon(((45, 5), (65, 5), (65, 35), (45, 35)))))
RING = Mask((*((y, 5, 30) for y in range(5, 10)), *((y, a, b) for y in range(10, 20) for a, b in ((5, 10), (25, 30)))))
SHAPES = {
    "boxes.png": (Annotation("boat", Box(1, 2, 31, 20)), Annotation("-1", Box(40, 2, 60, 20))),
    "empty.png": (),
    "mixed.png": (
        Annotation("boat", Polygon(((1, 1), (30, 1), (30, 30), (1, 30)))),
        Annotation("boat", HALVES),
        Annotation("-1", Box(40, 2, 60, 20)),
    ),
    "mask.png": (Annotation("boat", RING),),
}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A COCO file, with its images beside it."""
    images = [LabeledImage(name, SIZE, shapes) for name, shapes in SHAPES.items()]
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, images)
    for image in images:
        Image.new("RGB", (SIZE.width, SIZE.height)).save(tmp_path / image.name)
    stock = [StockedImage(number, image.name, SIZE, "") for number, image in enumerate(images, 1)]
    path = write_file("coco", spool.delivered(stock), SCHEMA, title="t", folder=tmp_path)
    assert path is not None
    return path


def expected_areas() -> dict[str, list[float]]:
    return {name: [one.shape.area for one in shapes] for name, shapes in SHAPES.items()}


def test_pycocotools_makes_a_mask_of_every_object(coco: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCO(str(coco))
    areas = {
        record["file_name"]: [int(judge.annToMask(one).sum()) for one in judge.imgToAnns[number]]
        for number, record in judge.imgs.items()
    }
    assert areas == expected_areas()


NEEDED = (
    "numpy scipy opencv-python-headless pillow pyyaml tqdm defusedxml pydeprecate requests urllib3 idna certifi "
    "charset-normalizer"
)
"""What supervision imports; the rest of its requirements would triple the time that the environment takes."""

READER = """
import json, sys
import supervision
dataset = supervision.DetectionDataset.from_coco(sys.argv[1], sys.argv[2], force_masks=True)
images = {}
for path, _, found in dataset:
    masks = None if found.mask is None else [int(mask.sum()) for mask in found.mask]
    labels = [dataset.classes[number] for number in found.class_id]
    images[path.rpartition("/")[2]] = {"boxes": found.xyxy.tolist(), "masks": masks, "labels": labels}
print(json.dumps(images))
"""


@pytest.mark.sdk
def test_supervision_reads_every_object_once(coco: Path) -> None:
    python = python_with("supervision-0.31.2", "supervision==0.31.2", shelf(), "--no-deps", *NEEDED.split())
    command = [str(python), "-W", "ignore", "-c", READER, str(coco.parent), str(coco)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    images: dict[str, Any] = json.loads(done.stdout)
    assert {name: image["labels"] for name, image in images.items()} == {
        name: [one.label for one in shapes] for name, shapes in SHAPES.items()
    }
    for name, shapes in SHAPES.items():
        assert images[name]["boxes"] == [list(map(float, one.shape.box.corners)) for one in shapes]
        areas = images[name]["masks"] or []
        assert len(areas) == len(shapes)
        for area, shape in zip(areas, shapes, strict=True):
            on_its_outline = 2 * sum(shape.shape.box.corners[2:])  # which supervision's masks include
            assert shape.shape.area <= area <= shape.shape.area + on_its_outline
