"""Masks in the datasets: every pixel is where it was drawn, as pycocotools and the polygons' reader see it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as judge
from pycocotools.coco import COCO

from labelwright.datasets import Spool, StockedImage, validate_labels, write_many
from labelwright.datasets.masks import coco_run_lengths, mask_polygons
from labelwright.domain import Annotation, Box, Geometry, Label, LabeledImage, LabelSchema, Mask, Size

BITS = st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6).filter(
    lambda b: any(map(any, b))
)
SCHEMA = LabelSchema((Label("ring", Geometry.ANY), Label("box")))
RING = Mask(((2, 1, 4), (3, 1, 2), (3, 3, 4), (4, 1, 4)))


def mask_of(bits: np.ndarray, left: int = 0, top: int = 0) -> Mask:
    runs = []
    for y, row in enumerate(bits.tolist()):
        starts = [x for x, bit in enumerate(row) if bit and not (x and row[x - 1])]
        ends = [x + 1 for x, bit in enumerate(row) if bit and not (x + 1 < len(row) and row[x + 1])]
        runs += [(y + top, start + left, end + left) for start, end in zip(starts, ends, strict=True)]
    return Mask(tuple(runs))


@given(BITS, st.integers(0, 3), st.integers(0, 3))
def test_run_lengths_are_decoded_by_pycocotools_to_the_same_pixels(bits, left, top) -> None:
    size = Size(9, 10)
    whole = np.zeros((size.height, size.width), dtype=bool)
    whole[top : top + len(bits), left : left + 5] = bits
    run_lengths = coco_run_lengths(mask_of(np.array(bits), left, top).flat, size)
    assert sum(run_lengths["counts"]) == 90
    decoded = judge.decode(judge.frPyObjects(run_lengths, size.height, size.width))
    assert (decoded.astype(bool) == whole).all()


@given(BITS)
def test_polygons_cover_just_the_pixels(bits) -> None:
    loops = mask_polygons(mask_of(np.array(bits), 2, 3).flat)
    assert sum(abs(_twice(loop)) / 2 for loop in loops) == sum(map(sum, bits))
    flat = [[value for corner in loop for value in corner] for loop in loops]
    painted = judge.decode(judge.merge(judge.frPyObjects(flat, 10, 10)))
    assert (painted[3 : 3 + len(bits), 2:7] == np.array(bits)).all()


def _twice(loop: list[tuple[float, float]]) -> float:
    return sum(x * v - u * y for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True))


def test_a_mask_is_written_in_every_format(tmp_path: Path) -> None:
    shapes = (
        Annotation("box", Box(0, 0, 2, 2)),
        Annotation("ring", RING, 0.5, {"a": "b"}),
        Annotation("box", Box(1, 1, 3, 3)),
    )
    images = [LabeledImage("first.png", Size(7, 9)), LabeledImage("second.png", Size(20, 30), shapes)]
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, images)
    assert list(spool.images()) == images
    stock = [StockedImage(n, image.name, image.size, "", f"https://h/{n}.png") for n, image in enumerate(images, 1)]
    labels = spool.delivered(stock)
    validate_labels(labels, SCHEMA)
    written = write_many(["csv", "coco", "segmentation"], labels, SCHEMA, title="t", folder=tmp_path / "out")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(written["coco"]))
    record = coco.anns[2]
    assert (record["area"], record["bbox"], record["score"]) == (8, [1, 2, 3, 3], 0.5)
    assert record["segmentation"]["size"] == [30, 20]
    pixels = coco.annToMask(record)
    assert sorted(map(tuple, np.argwhere(pixels).tolist())) == [
        (y, x) for y, start, end in RING.runs for x in range(start, end)
    ]
    assert [int(coco.annToMask(coco.anns[n]).sum()) for n in (1, 3)] == [4, 4]
    (line,) = [
        json.loads(text)
        for text in written["segmentation"].read_text().splitlines()
        if "second" in text or "/2." in text
    ]
    (drawn,) = line["label"]
    loops = [[(x * 20, y * 30) for x, y in zip(ring[::2], ring[1::2], strict=True)] for ring in drawn["polygon"]]
    assert abs(sum(abs(_twice(loop)) / 2 for loop in loops) - 8) < 1e-4
    (row,) = [row for row in csv.DictReader(written["csv"].open(newline="")) if row["label"] == "ring"]
    assert [row[name] for name in ("confidence", "xmin", "ymin", "xmax", "ymax", "polygon")] == [
        "0.5",
        "1.0",
        "2.0",
        "4.0",
        "5.0",
        "",
    ]
