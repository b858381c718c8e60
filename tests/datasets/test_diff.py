"""Comparing two versions, object by object."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from labelwright.datasets import Spool, StockedImage, write_many
from labelwright.datasets.comparison.diff import Comparison, Status, compare
from labelwright.datasets.comparison.labels import LabelColumns, read_columns
from labelwright.datasets.comparison.masks import MasksUnreadable, outline_of, with_masks
from labelwright.datasets.comparison.matching import assign
from labelwright.datasets.masks import coco_run_lengths
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
    Provenance,
    Size,
    WholeImage,
)
from labelwright.domain.planar import compare_outlines

SIZE = Size(640, 480)
SCHEMA = LabelSchema(tuple(Label(name, Geometry.ANY) for name in ("boat", "buoy", "day", "night")))


def boat(*corners: float, **more: object) -> Annotation:
    return Annotation("boat", Box(*corners), **more)  # type: ignore[arg-type]


def buoy(*corners: float) -> Annotation:
    return Annotation("buoy", Box(*corners))


Labels = dict[str, tuple[Annotation, ...]]
A: Labels = {
    "img1": (boat(100, 100, 200, 200),),
    "img2": (boat(100, 100, 200, 200),),
    "img3": (boat(100, 100, 200, 200), buoy(300, 300, 340, 340)),
    "img4": (boat(50, 50, 150, 150),),
    "img5": (),
    "img6": (boat(0, 0, 100, 100), boat(20, 0, 120, 100)),
}
B: Labels = {
    "img1": (boat(100, 100, 200, 200),),
    "img2": (boat(110, 100, 210, 200),),
    "img3": (boat(100, 100, 200, 150), buoy(320, 300, 360, 340)),
    "img4": (buoy(50, 50, 150, 150),),
    "img5": (),
    "img6": (boat(15, 0, 115, 100), boat(45, 0, 145, 100)),
}
C: Labels = {
    "img1": (boat(102, 100, 202, 200),),
    "img2": (boat(105, 100, 205, 200),),
    "img3": (boat(100, 100, 200, 190), buoy(302, 300, 342, 340)),
    "img4": (boat(52, 50, 152, 150),),
    "img5": (buoy(400, 400, 440, 440),),
    "img6": (boat(2, 0, 102, 100), boat(22, 0, 122, 100)),
}
"""Three annotators. The numbers of changes between them were worked out by hand and by another library."""


def columns(labels: Labels, folder: Path, *, names: dict[str, str] | None = None, masks: bool = False) -> LabelColumns:
    """The labels written as a CSV, `masks` as a COCO file too, and read back.

    An image's SHA-256 is its key; `names` renames its file.
    """
    names = names or {}
    folder.mkdir(parents=True, exist_ok=True)
    images = [LabeledImage(names.get(key, key), SIZE, annotations) for key, annotations in labels.items()]
    spool = Spool(folder / "spool")
    spool.put_page(1, images)
    stock = [
        StockedImage(number, image.name, SIZE, key)
        for number, (key, image) in enumerate(zip(labels, images, strict=True), 1)
    ]
    formats = ["csv", "coco"] if masks else ["csv"]
    paths = write_many(formats, spool.delivered(stock), SCHEMA, title="t", folder=folder)
    read = read_columns(paths["csv"], {image.position: image.sha256 for image in stock})
    return with_masks(read, paths["coco"]) if masks else read


@pytest.fixture
def diff(tmp_path):
    numbers = itertools.count()

    def compared(first: Labels, second: Labels, **options: float) -> Comparison:
        sides = [columns(labels, tmp_path / str(next(numbers))) for labels in (first, second)]
        return compare(*sides, **options)  # type: ignore[arg-type]

    return compared


def counts(comparison: Comparison) -> dict[str, int]:
    return {str(status): number for status, number in comparison.objects.items() if number}


def test_a_to_b(diff):
    result = diff(A, B)
    assert counts(result) == {"unchanged": 1, "moved": 4, "relabeled": 1, "removed": 1, "added": 1}
    assert sorted(result.pixels_moved) == [10, 15, 25, 50]
    (relabeled,) = [change for change in result.changes if change.status is Status.RELABELED]
    assert (relabeled.image, relabeled.before, relabeled.after) == ("img4", "boat", "buoy")
    assert result.images == {
        "compared": 6, "renamed": 0, "changed": 4, "only in the first": 0, "only in the second": 0,
    }  # fmt: skip


def test_a_to_c_shows_what_the_tolerance_is_for(diff):
    result = diff(A, C)
    assert counts(result) == {"moved": 7, "added": 1}
    assert max(result.pixels_moved) == 10
    assert counts(diff(A, C, tolerance=5)) == {"unchanged": 6, "moved": 1, "added": 1}


@pytest.mark.parametrize(("first", "second"), [(A, B), (A, C), (B, C)])
def test_the_other_way_round_it_is_the_same_mirrored(first, second, diff):
    there, back = counts(diff(first, second)), counts(diff(second, first))
    assert mirrored(there) == back


def mirrored(found: dict[str, int]) -> dict[str, int]:
    other = {"added": "removed", "removed": "added"}
    return {other.get(status, status): number for status, number in found.items()}


def test_the_same_version_has_no_changes(diff):
    result = diff(B, B)
    assert not result.differs
    assert counts(result) == {"unchanged": 7}
    assert result.changes == []


def test_images_are_paired_by_their_bytes(tmp_path):
    first = columns(A, tmp_path / "a")
    renamed = columns(A, tmp_path / "b", names={"img1": "another name.jpg"})
    result = compare(first, renamed)
    assert not result.differs
    assert result.images["renamed"] == 1
    other_bytes = replace(first, sha256=["changed", *first.sha256[1:]])
    result = compare(first, other_bytes)
    assert (result.images["only in the first"], result.images["only in the second"]) == (1, 1)
    assert counts(result) == {"unchanged": 6, "removed": 1, "added": 1}


def test_copies_of_one_image_are_paired_by_their_names(tmp_path):
    first = columns({"x": (boat(0, 0, 9, 9),), "y": (boat(50, 50, 60, 60),)}, tmp_path / "a")
    second = columns({"y": (boat(50, 50, 60, 60),), "x": (boat(0, 0, 9, 9),)}, tmp_path / "b")
    assert not compare(replace(first, sha256=["s", "s"]), replace(second, sha256=["s", "s"])).differs


def test_attributes_labelers_and_labels_of_whole_images(diff):
    red, blue = ({"colour": colour} for colour in ("red", "blue"))
    ann, ben = Provenance(labeler="ann@x.y"), Provenance(labeler="ben@x.y")
    first = {"a": (boat(0, 0, 9, 9, attributes=red, provenance=ann), Annotation("day", WholeImage()))}
    second = {"a": (boat(0, 0, 9, 9, attributes=blue, provenance=ben), Annotation("night", WholeImage()))}
    result = diff(first, second)
    assert counts(result) == {"attributes changed": 1, "relabeled": 1}
    assert [change.labelers for change in result.changes if change.box] == [("ann@x.y", "ben@x.y")]
    assert result.by_labeler["ben@x.y"][Status.ATTRIBUTES] == 1
    assert result.by_label["night"][Status.RELABELED] == 1


def test_outlines_are_compared_by_their_area(diff):
    def triangle(*corners: tuple[float, float]) -> Annotation:
        return Annotation("boat", Polygon(corners))

    first = {"a": (triangle((0, 0), (100, 0), (0, 100)),)}
    assert counts(diff(first, {"a": (triangle((0, 0), (100, 0), (0, 90)),)})) == {"moved": 1}
    # The box around it is the same, the other half of it is another object.
    assert counts(diff(first, {"a": (triangle((100, 0), (100, 100), (0, 100)),)})) == {"removed": 1, "added": 1}
    assert counts(diff(first, first)) == {"unchanged": 1}


def test_an_outline_whose_parts_touch_or_overlap_has_a_distance(diff):
    def parts(*widths: float) -> Annotation:
        left = Polygon(((0, 0), (widths[0], 0), (widths[0], 50), (0, 50)))
        right = Polygon(((50, 0), (100, 0), (100, widths[1]), (50, widths[1])))
        return Annotation("boat", MultiPolygon((left, right)))

    whole = {"a": (Annotation("boat", Polygon(((0, 0), (100, 0), (100, 50), (0, 50)))),)}
    assert counts(diff({"a": (parts(50, 50),)}, whole)) == {"unchanged": 1}
    assert counts(diff({"a": (parts(60, 50),)}, whole)) == {"unchanged": 1}
    assert diff({"a": (parts(60, 40),)}, whole).pixels_moved == [10]


def mask_of(bits: np.ndarray) -> Annotation:
    edges = np.diff(np.pad(bits, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    return Annotation("boat", Mask(tuple(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True))))


@pytest.fixture
def masks() -> tuple[np.ndarray, np.ndarray]:
    """A ring of pixels, and the same with another hole: one box is around both."""
    first, second = np.zeros((480, 640), dtype=bool), np.zeros((480, 640), dtype=bool)
    first[100:200, 100:200] = second[100:200, 100:200] = True
    first[120:140, 120:140] = second[120:150, 120:170] = False
    return first, second


def test_masks_are_compared_by_their_pixels(masks, tmp_path):
    attributes = Annotation("buoy", Box(1, 1, 9, 9), attributes={"colour": "red"})
    labels = [{"a": (), "b": (Annotation("day", WholeImage()), attributes, mask_of(bits))} for bits in masks]
    first, second = (columns(one, tmp_path / str(number), masks=True) for number, one in enumerate(labels))
    assert not compare(first, first).differs
    result = compare(first, second)
    assert counts(result) == {"unchanged": 2, "moved": 1}
    assert result.pixels_moved == [30], "the new corner (170, 150) of the hole, from the outline at x = 200"
    boxes = compare(first, replace(second, lacks_masks=True))
    assert (boxes.masks_by_boxes, counts(boxes)) == (True, {"unchanged": 3})


def test_the_overlap_of_masks_is_that_of_pycocotools(masks, tmp_path):
    encoded = [mask.encode(np.asfortranarray(bits.astype(np.uint8))) for bits in masks]
    rings = [outline_of(json.dumps(coco_run_lengths(mask_of(bits).shape.flat, SIZE))) for bits in masks]
    assert compare_outlines(*rings)[0] == pytest.approx(mask.iou(encoded[:1], encoded[1:], [0])[0, 0])


def test_half_of_a_mask_in_the_same_box_is_another_object(masks, tmp_path):
    bits = masks[0]
    corners = bits & (np.indices(bits.shape).sum(axis=0) % 100 < 20)
    corners[100, 100] = corners[199, 199] = True
    first, second = ({"a": (mask_of(one),)} for one in (bits, corners))
    result = compare(columns(first, tmp_path / "a", masks=True), columns(second, tmp_path / "b", masks=True))
    assert counts(result) == {"removed": 1, "added": 1}


def test_a_mask_that_became_its_own_outline_is_unchanged(masks, tmp_path):
    square = np.zeros((480, 640), dtype=bool)
    square[100:200, 100:200] = True
    first = {"a": (mask_of(square),)}
    second = {"a": (Annotation("boat", Polygon(((100, 100), (200, 100), (200, 200), (100, 200)))),)}
    assert counts(compare(columns(first, tmp_path / "a", masks=True), columns(second, tmp_path / "b", masks=True))) == {
        "unchanged": 1
    }


def test_a_coco_file_of_other_labels_is_refused(masks, tmp_path):
    columns({"a": (boat(0, 0, 9, 9), mask_of(masks[0]))}, tmp_path / "a", masks=True)
    other = columns({"a": (boat(0, 0, 9, 9),)}, tmp_path / "b")
    with pytest.raises(MasksUnreadable, match=r"t_coco\.json is not the COCO file of these labels"):
        with_masks(other, tmp_path / "a" / "t_coco.json")


def test_the_number_of_listed_changes_is_bounded(diff):
    result = diff(A, B, most=2)
    assert len(result.changes) == 2
    assert counts(result) == counts(diff(A, B))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_the_assignment_is_the_best_of_all(rows, columns_, seed):
    weights = np.random.default_rng(seed).random((rows, columns_)).round(1)
    pairs = assign(weights)
    small, large = sorted((rows, columns_))
    turned = weights if rows <= columns_ else weights.T
    best = max(
        sum(turned[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(large), small)
    )
    assert len(pairs) == small
    assert sum(weights[row, column] for row, column in pairs) == pytest.approx(best)


boxes = st.builds(
    lambda x, y, width, height: boat(x, y, x + width, y + height),
    st.integers(0, 30), st.integers(0, 30), st.integers(1, 30), st.integers(1, 30),
)  # fmt: skip


@given(st.lists(boxes, max_size=5), st.lists(boxes, max_size=5))
@settings(max_examples=60, deadline=None)
def test_every_object_is_counted_once_in_both_directions(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("diff")
    sides = columns({"a": tuple(first)}, folder / "a"), columns({"a": tuple(second)}, folder / "b")
    there, back = compare(*sides), compare(*reversed(sides))
    assert mirrored(counts(there)) == counts(back)
    assert sorted(there.pixels_moved) == sorted(back.pixels_moved)
    paired = sum(there.objects[status] for status in Status if status not in (Status.ADDED, Status.REMOVED))
    assert paired + there.objects[Status.REMOVED] == len(first)
    assert paired + there.objects[Status.ADDED] == len(second)
