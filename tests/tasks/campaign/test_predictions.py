"""A COCO file of predictions: an annotation becomes one object as pycocotools reads it, or is listed with a reason."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from labelwright.domain import (
    Box,
    Geometry,
    Image,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    Polygon,
    Size,
    WholeImage,
)
from labelwright.ledger import Ledger, ManifestEntry
from labelwright.platforms.cvat.masks import mask_to_points, points_to_bits
from labelwright.platforms.remo.adapter import Remo
from labelwright.tasks.campaign import predictions
from labelwright.tasks.campaign.predictions import PredictionsUnusable, read_predictions

SIZES = {"a.jpg": Size(40, 30), "b.jpg": Size(40, 30)}
ANY = LabelSchema((Label("boat", Geometry.ANY),))
TWO_RINGS = [[2, 2, 10, 2, 10, 8, 2, 8], [20.5, 10, 30, 10, 30, 20.25, 20.5, 20]]
BOWTIE = [[2, 2, 12, 12, 12, 2, 2, 12]]


def pixels(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    bits = np.zeros((30, 40), dtype=np.uint8, order="F")
    for left, top, right, bottom in boxes:
        bits[top:bottom, left:right] = 1
    return bits


def compressed(bits: np.ndarray) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(bits))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


def uncompressed(bits: np.ndarray) -> dict[str, Any]:
    flat = bits.flatten(order="F")
    borders = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
    return {"size": [30, 40], "counts": np.diff(np.r_[0, borders, flat.size]).tolist()}


@pytest.fixture
def write(tmp_path):
    def write(*annotations: dict[str, Any], images: list[dict[str, Any]] | None = None):
        path = tmp_path / "predictions.json"
        records = [{"image_id": 1, "category_id": 7, **annotation} for annotation in annotations]
        image_records = images or [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}]
        categories = [{"id": 7, "name": "boat"}, {"id": 8, "name": "whale"}]
        path.write_text(json.dumps({"images": image_records, "annotations": records, "categories": categories}))
        return path

    return write


def bits_of(mask: Mask) -> np.ndarray:
    bits = np.zeros((30, 40), dtype=np.uint8)
    for y, start, end in mask.runs:
        bits[y, start:end] = 1
    return bits


HOLE = pixels((5, 5, 25, 25)) - pixels((10, 10, 15, 15))
MASKS = {
    "two rings": {"segmentation": TWO_RINGS},
    "a ring that crosses itself": {"segmentation": BOWTIE},
    "compressed": {"segmentation": compressed(HOLE)},
    "uncompressed": {"segmentation": uncompressed(HOLE)},
    "a crowd": {"segmentation": uncompressed(pixels((1, 1, 4, 4), (30, 20, 39, 30))), "iscrowd": 1},
    "a bbox too": {"segmentation": compressed(HOLE), "bbox": [5, 5, 20, 20]},
}


@pytest.mark.parametrize("kind", MASKS)
def test_an_object_is_one_object_with_the_pixels_of_pycocotools(write, kind):
    path = write({"id": 3, "score": 0.5, **MASKS[kind]})
    result = read_predictions(path, ANY, SIZES)
    assert (result.left_out, result.changed) == ([], [])
    (annotation,) = result.by_image["a.jpg"]
    assert (annotation.label, annotation.confidence) == ("boat", 0.5)
    assert isinstance(annotation.shape, Mask)
    judge = COCO(str(path))
    assert (bits_of(annotation.shape) == judge.annToMask(judge.anns[3])).all()


@pytest.mark.parametrize("kind", MASKS)
def test_cvat_is_told_the_same_pixels(write, kind):
    path = write({"id": 3, **MASKS[kind]})
    (annotation,) = read_predictions(path, ANY, SIZES).by_image["a.jpg"]
    bits, left, top = points_to_bits(mask_to_points(annotation.shape))
    whole = np.zeros((30, 40), dtype=np.uint8)
    whole[top : top + bits.shape[0], left : left + bits.shape[1]] = bits
    judge = COCO(str(path))
    assert (whole == judge.annToMask(judge.anns[3])).all()


class Taking:
    """A platform that takes predictions."""

    def __init__(self) -> None:
        self.put: list[LabeledImage] = []

    def put_predictions(self, campaign: str, images: list[LabeledImage]) -> None:
        assert campaign == "c1"
        self.put += images


def test_unusable_predictions_are_counted_by_reason(write, tmp_path, monkeypatch, caplog):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.campaigns.add("river", {})
    mark = ledger.manifests.begin("river")
    for name, size in SIZES.items():
        image = Image(name, size, 5, "a" * 64, "a" * 32, "JPEG")
        ledger.manifests.add("river", mark, [ManifestEntry(image, name, remote_id=f"id-{name}")])
    ledger.manifests.complete("river", mark)
    platform = Taking()
    context = SimpleNamespace(
        ledger=ledger,
        remote_id="c1",
        spec=SimpleNamespace(schema_of_labels=lambda: ANY),
        require_capability=lambda protocol: platform,
    )
    monkeypatch.setattr(predictions, "CampaignContext", lambda title: context)
    whale = {"category_id": 8, "bbox": [1, 2, 3, 4]}
    path = write({"segmentation": TWO_RINGS}, {"bbox": [1, 2, 3, 4]}, whale, whale)
    with caplog.at_level("WARNING"):
        assert predictions.put_predictions.fn("river", str(path)) == 1
    (image,) = platform.put
    assert [type(annotation.shape) for annotation in image.annotations] == [Mask, Box], (
        "an object of two rings is one object"
    )
    assert "2 predictions for river were left out: the campaign has no label 'whale'" in caplog.text
    ledger.close()


def test_a_single_ring_becomes_a_polygon_else_the_box_is_used(write):
    ring = [2, 2, 10.5, 2, 10.5, 8]
    path = write({"segmentation": [ring]}, {"bbox": [1, 2, 3, 4]}, {"bbox": [1, 2, 3, 4], "segmentation": []})
    result = read_predictions(path, ANY, SIZES)
    assert [annotation.shape for annotation in result.by_image["a.jpg"]] == [
        Polygon(((2, 2), (10.5, 2), (10.5, 8))),
        Box(1, 2, 4, 6),
        Box(1, 2, 4, 6),
    ]
    assert (result.left_out, result.changed) == ([], [])


LEFT_OUT = {
    "has no label 'whale'": {"category_id": 8, "bbox": [1, 2, 3, 4]},
    "its category is not in the file": {"category_id": 9, "bbox": [1, 2, 3, 4]},
    "its image is not in the file": {"image_id": 5, "bbox": [1, 2, 3, 4]},
    "neither a segmentation nor a bbox": {},
    "outside the image": {"bbox": [100, 100, 5, 5]},
    "box is empty": {"bbox": [1, 2, 0, 4]},
    "is not four numbers": {"bbox": [1, 2, "x", 4]},
    "bbox is not four": {"bbox": [1, 2, 3]},
    "a ring of 4 numbers": {"segmentation": [[1, 1, 2, 2]], "bbox": [1, 1, 1, 1]},
    "no number": {"segmentation": [[1, 1, 2, 2, None, 3]]},
    "covers no pixel": {"segmentation": [[100, 100, 120, 100, 120, 120]]},
    "are of [10, 20] pixels": {"segmentation": {"size": [10, 20], "counts": [200]}},
    "do not add up to the image": {"segmentation": {"size": [30, 40], "counts": [5, 5]}},
    "run lengths cannot be read": {"segmentation": {"size": [30, 40], "counts": None}},
    "neither rings nor run lengths": {"segmentation": "polygon"},
    "score is 1.5": {"bbox": [1, 2, 3, 4], "score": 1.5},
}


@pytest.mark.parametrize("message", LEFT_OUT)
def test_unusable_predictions_are_listed_the_others_are_used(write, message):
    result = read_predictions(write(LEFT_OUT[message], {"bbox": [1, 2, 3, 4]}), ANY, SIZES)
    ((name, reason),) = result.left_out
    assert name.startswith("annotation ")
    assert message in reason
    assert [annotation.shape for annotation in result.by_image["a.jpg"]] == [Box(1, 2, 4, 6)]


def test_predictions_for_unknown_or_resized_images_are_listed(write):
    images = [
        {"id": 1, "file_name": "other.jpg", "width": 40, "height": 30},
        {"id": 2, "file_name": "a.jpg", "width": 640, "height": 640},
        {"id": 3, "file_name": "b.jpg"},
    ]
    records = [{"image_id": number, "bbox": [1, 2, 3, 4]} for number in (1, 2, 3)]
    result = read_predictions(write(*records, images=images), ANY, SIZES)
    assert [reason for _, reason in result.left_out] == [
        "its image is not in the campaign",
        "the file says 640 x 640 pixels, the image has 40 x 30",
    ]
    assert list(result.by_image) == ["b.jpg"]


def test_what_reaches_beyond_the_image_is_cut_and_said_so(write):
    slightly, far = {"bbox": [-0.5, 2, 3, 4]}, {"bbox": [35, 25, 50, 50]}
    result = read_predictions(write(slightly, far), ANY, SIZES)
    assert [annotation.shape for annotation in result.by_image["a.jpg"]] == [Box(0, 2, 2.5, 6), Box(35, 25, 40, 30)]
    assert [reason for _, reason in result.changed] == ["it reached beyond its image and was cut at the edge"]


def test_shapes_are_converted_to_the_campaigns_geometry(write):
    path = write({"segmentation": TWO_RINGS, "bbox": [2, 2, 28, 18.25]}, {"bbox": [1, 2, 3, 4]}, {})
    boxes = read_predictions(path, LabelSchema((Label("boat", Geometry.BOX),)), SIZES)
    assert [annotation.shape for annotation in boxes.by_image["a.jpg"]] == [Box(2, 2, 30, 20.25), Box(1, 2, 4, 6)]
    assert [reason for _, reason in boxes.changed] == ["only its box was used: the campaign draws 'boat' as boxes"]
    polygons = read_predictions(path, LabelSchema((Label("boat", Geometry.POLYGON),)), SIZES)
    assert [type(annotation.shape) for annotation in polygons.by_image["a.jpg"]] == [Mask]
    assert "it has a box only" in polygons.left_out[0][1]
    whole = read_predictions(path, LabelSchema((Label("boat", Geometry.IMAGE),)), SIZES)
    assert [annotation.shape for annotation in whole.by_image["a.jpg"]] == [WholeImage()]
    assert len(whole.left_out) == 2


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (3, 2, 1, 0), (0, 1, 2, 3, 0)])
def test_the_four_corners_of_a_box_are_a_box_again(write, order):
    corners = [(1.1, 2), (1.1, 6), (4.4, 6), (4.4, 2)]
    ring = [value for number in order for value in corners[number]]
    path = write({"segmentation": [ring], "bbox": [1.1, 2, 4.4 - 1.1, 4]}, {"segmentation": [ring]})
    anything, boxes, polygons = (
        read_predictions(path, LabelSchema((Label("boat", geometry),)), SIZES)
        for geometry in (Geometry.ANY, Geometry.BOX, Geometry.POLYGON)
    )
    drawn = Polygon(tuple(corners[number] for number in order[:4]))
    assert anything.by_image["a.jpg"][0].shape.corners == pytest.approx((1.1, 2, 4.4, 6))
    assert [type(one.shape) for one in anything.by_image["a.jpg"]] == [Box, Polygon], "without a bbox it is a polygon"
    assert [reason for _, reason in boxes.changed] == ["only its box was used: the campaign draws 'boat' as boxes"]
    assert {type(one.shape) for one in boxes.by_image["a.jpg"]} == {Box}
    assert [one.shape.area for one in polygons.by_image["a.jpg"]] == [pytest.approx(drawn.area)] * 2
    assert (polygons.changed, polygons.left_out) == ([], [])


def test_a_shape_that_the_platform_cannot_show_is_left_out(write):
    remo = Remo.__new__(Remo)
    result = read_predictions(write({"segmentation": TWO_RINGS}, {"segmentation": [TWO_RINGS[0]]}), ANY, SIZES, remo)
    assert [reason for _, reason in result.left_out] == [
        "an object of several parts or with holes is no shape of Remo's"
    ]
    assert [type(annotation.shape) for annotation in result.by_image["a.jpg"]] == [Polygon]


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", '{"images": []}', '{"images": [1], "annotations": [], "categories": []}']
)
def test_a_file_that_is_no_coco_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "predictions.json"
    path.write_text(text)
    with pytest.raises(PredictionsUnusable, match=r"predictions\.json"):
        read_predictions(path, ANY, SIZES)
    with pytest.raises(PredictionsUnusable, match="no such file"):
        read_predictions(tmp_path / "nowhere.json", ANY, SIZES)
