"""Objects of several polygons in every format, and in the programs that read them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from dataset_samples import IMAGES
from PIL import Image
from pycocotools.coco import COCO

from labelwright.datasets import Spool, StockedImage
from labelwright.datasets.preview.contact_sheet import draw_contact_sheet, tile_corner
from labelwright.datasets.statistics import Statistics
from labelwright.datasets.validation import ValidationFailed, validate_labels
from labelwright.datasets.writers.writing import write_many
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

SIZE = Size(70, 40)
SCHEMA = LabelSchema((Label("boat", Geometry.POLYGON), Label("buoy", Geometry.BOX)))
U = Polygon(((60, 10), (90, 10), (90, 30), (60, 30), (60, 25), (80, 25), (80, 15), (60, 15)))
"""Open to the left, and cut in two at the right edge of its image."""
PARTS = U.clamp(SIZE)
SHAPES = (
    Annotation("buoy", Box(0, 0, 2, 2)),
    Annotation("boat", PARTS, 0.5, {"a": "b"}),
    Annotation("boat", Polygon(((1, 1), (9, 1), (9, 9)))),
)


def delivered(tmp_path: Path, images: list[LabeledImage]):
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, images)
    assert list(spool.images()) == images
    stock = [StockedImage(n, image.name, image.size, "", f"https://h/{n}.png") for n, image in enumerate(images, 1)]
    return spool.delivered(stock)


def test_an_object_of_parts_is_one_object_in_every_file(tmp_path: Path) -> None:
    assert isinstance(PARTS, MultiPolygon)
    labels = delivered(tmp_path, [LabeledImage("first.png", Size(7, 9)), LabeledImage("second.png", SIZE, SHAPES)])
    assert validate_labels(labels, SCHEMA).annotations == 3
    statistics = Statistics(SCHEMA)
    written = write_many(
        ["csv", "coco", "segmentation"], labels, SCHEMA, title="t", folder=tmp_path / "out", watchers=[statistics]
    )
    assert statistics.labels["boat"] == {"objects": 2, "images": 1}

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(written["coco"]))
    record = coco.anns[2]
    assert len(coco.anns) == 3
    assert (record["area"], record["bbox"], record["attributes"]) == (100.0, [60.0, 10.0, 10.0, 20.0], {"a": "b"})
    assert record["segmentation"] == [list(map(float, part.flat)) for part in PARTS.parts]
    expected = np.zeros((40, 70), dtype=bool)
    expected[10:15, 60:70] = expected[25:30, 60:70] = True
    assert np.array_equal(coco.annToMask(record).astype(bool), expected)

    line = next(json.loads(text) for text in written["segmentation"].read_text().splitlines() if "/2." in text)
    polygons = [record["polygon"] for record in line["label"]]
    assert list(map(len, polygons)) == [2, 1]
    assert all(0 <= value <= 1 for polygon in polygons for ring in polygon for value in ring)

    rows = list(csv.DictReader(io.StringIO(written["csv"].read_text())))
    assert len(rows) == 4
    assert [len(json.loads(row["polygon"])) for row in rows if row["label"] == "boat"] == [2, 3]
    assert json.loads(rows[2]["polygon"]) == [[list(map(float, p)) for p in part.points] for part in PARTS.parts]


def test_an_object_of_parts_is_no_box(tmp_path: Path) -> None:
    labels = delivered(tmp_path, [LabeledImage("a.png", SIZE, (Annotation("buoy", PARTS),))])
    with pytest.raises(ValidationFailed, match="is a polygon, the schema says box"):
        validate_labels(labels, SCHEMA)


def test_every_part_is_drawn_on_the_contact_sheet(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (70, 40), "white").save(photo)
    halves = MultiPolygon(
        (Polygon(((5, 5), (25, 5), (25, 35), (5, 35))), Polygon(((45, 5), (65, 5), (65, 35), (45, 35))))
    )
    draw_contact_sheet(
        [("photo.png", lambda: photo.open("rb"), [Annotation("boat", halves)])], SCHEMA, tmp_path / "s.png", tile=140
    )
    sheet, (left, top) = Image.open(tmp_path / "s.png"), tile_corner(0, columns=1, tile=140)
    inside = {x: sheet.getpixel((left + x * 2, top + 30 + 50)) for x in (15, 35, 55)}
    assert set(inside.values()) == {(255, 255, 255)}
    for x in (25, 45):
        assert sheet.getpixel((left + x * 2, top + 30 + 50)) != (255, 255, 255), "the sides that face each other"


def test_pages_of_the_versions_before_are_read(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parent / "pages" / "page-000001.labels", tmp_path)
    spool = Spool(tmp_path)
    ring = Mask(((2, 1, 4), (3, 1, 2), (3, 3, 4), (4, 1, 4)))
    masked = LabeledImage("ring.png", Size(7, 9), (Annotation("vehicle", ring, 0.5, {"a": "b"}),), "r")
    assert list(spool.images()) == [*IMAGES, masked]
    stock = [StockedImage(n, image.name, image.size, "") for n, image in enumerate([*IMAGES, masked], 1)]
    drawings = [drawing for batch in spool.delivered(stock).batches() for drawing in batch.drawings.values()]
    outlined = [drawing.polygons for drawing in drawings if drawing.polygons is not None]
    assert [len(rings) for rings in outlined] == [1, 1]
    assert [drawing.mask for drawing in drawings if drawing.mask] == [ring.flat]
    assert (list(spool.left_out()), list(spool.excluded())) == ([], [])
