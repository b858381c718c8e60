"""COCO files as pycocotools reads them."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from labelwright.datasets.readers.coco_source import CocoRefused, CocoSource, image_files, upload_names
from labelwright.tasks.platforms.geti_coco import describe_changes

RLE = {"counts": [105, 4, 6, 4, 81], "size": [10, 20]}
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}, {"id": 1, "name": "person"}]


def image(number: int, name: str = "") -> dict:
    return {"id": number, "file_name": name or f"{number:012}.jpg", "width": 20, "height": 10}


def annotation(number: int, of: int, category: int = 18, **more) -> dict:
    box = {"bbox": [2, 3, 5, 4], "segmentation": [[2, 3, 7, 3, 7, 7, 2, 7]], "area": 20, "iscrowd": 0}
    return {"id": number, "image_id": of, "category_id": category, **box, **more}


@pytest.fixture
def write(tmp_path):
    def write(images, annotations):
        path = tmp_path / "instances.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES}))
        return path

    return write


def test_images_with_any_of_the_categories_are_read(write):
    path = write(
        [image(3), image(1), image(2)],
        [annotation(1, 1), annotation(2, 2, 17), annotation(3, 3, 1), annotation(4, 1, 1)],
    )
    source = CocoSource(path, ["dog", "cat"])
    assert [image.id for image in source.images()] == [1, 2]
    objects, left_out = source.objects(source.images()[0])
    assert [(item.id, item.category) for item in objects] == [(1, "dog")]
    assert left_out == []


def test_an_object_of_several_polygons_keeps_all_of_them(write):
    parts = [[0, 0, 4, 0, 4, 4], [10, 5, 14, 5, 14, 9, 10, 9]]
    source = CocoSource(write([image(1)], [annotation(1, 1, segmentation=parts)]), ["dog"])
    ((item,), _) = source.objects(source.images()[0])
    assert item.box.corners == (2, 3, 7, 7)
    assert item.outlines == (((0, 0), (4, 0), (4, 4)), ((10, 5), (14, 5), (14, 9), (10, 9)))


def test_run_lengths_are_decoded_as_by_pycocotools(write):
    path = write([image(1)], [annotation(1, 1, segmentation=RLE, iscrowd=1, bbox=[10, 5, 2, 4])])
    source = CocoSource(path, ["dog"])
    ((crowd,), _) = source.objects(source.images()[0])
    mask = COCO(str(path)).annToMask({"id": 1, "image_id": 1, "segmentation": RLE})
    assert crowd.crowd
    (loop,) = crowd.outlines
    xs, ys = [x for x, _ in loop], [y for _, y in loop]
    rows, columns = np.nonzero(mask)
    assert (min(xs), max(xs), min(ys), max(ys)) == (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1)


def test_shapes_are_cut_to_the_image_and_invalid_ones_are_reported(write):
    path = write(
        [image(1)],
        [
            annotation(1, 1, bbox=[15, 5, 50, 50], segmentation=[[15, 5, 65, 5, 65, 55]]),
            annotation(2, 1, bbox=[30, 30, 5, 5]),
            annotation(3, 1, bbox=[2, 2, 0, 5]),
            annotation(4, 1, segmentation=[[1, 1, 2, 2]]),
        ],
    )
    source = CocoSource(path, ["dog"])
    objects, left_out = source.objects(source.images()[0])
    assert [(item.id, item.box.corners) for item in objects] == [(1, (15, 5, 20, 10)), (4, (2, 3, 7, 7))]
    assert objects[0].outlines == (((15, 5), (20, 5), (20, 10)),)
    assert objects[1].outlines == ()
    assert [reason.partition(":")[0].partition(" of")[0] for reason in left_out] == ["annotation 2", "annotation 3"]


def test_a_ring_is_cut_by_geometry_and_may_fall_into_several(write):
    u = [12, 1, 40, 1, 40, 9, 12, 9, 12, 7, 30, 7, 30, 3, 12, 3]
    source = CocoSource(write([image(1)], [annotation(1, 1, segmentation=[u])]), ["dog"])
    ((item,), _) = source.objects(source.images()[0])
    assert item.outlines == (((12, 1), (20, 1), (20, 3), (12, 3)), ((12, 9), (12, 7), (20, 7), (20, 9)))


def test_a_category_that_is_not_there_is_told_with_those_that_are(write):
    with pytest.raises(CocoRefused, match="'dogs'; it has: dog, cat, person"):
        CocoSource(write([image(1)], [annotation(1, 1)]), ["dogs"])
    for none in ([], ["dog", "dog"]):
        with pytest.raises(CocoRefused):
            CocoSource(write([image(1)], [annotation(1, 1)]), none)


@pytest.mark.parametrize("text", ["not JSON", "[]", "{}", '{"images": []}'])
def test_a_file_that_is_no_coco_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CocoRefused):
        CocoSource(path, ["dog"])
    with pytest.raises(CocoRefused, match="no such file"):
        CocoSource(tmp_path / "nowhere.json", ["dog"])


def test_pycocotools_says_nothing_on_the_terminal(write, capsys):
    CocoSource(write([image(1)], [annotation(1, 1)]), ["dog"])
    assert capsys.readouterr().out == ""


def test_images_that_are_missing_are_named_before_anything_is_done(write, tmp_path):
    source = CocoSource(write([image(1)], [annotation(1, 1)]), ["dog"])
    with pytest.raises(CocoRefused, match="1 of 1 images are not in"):
        image_files(source.images(), tmp_path)


def test_images_with_equal_stems_are_uploaded_with_their_folder(write):
    images = [image(1, "train/a.jpg"), image(2, "val/a.png"), image(3, "val/b.jpg")]
    source = CocoSource(write(images, [annotation(n, n) for n in (1, 2, 3)]), ["dog"])
    assert upload_names(source.images()) == {1: "train_a.jpg.jpg", 2: "val_a.png.png", 3: "b.jpg"}


@pytest.mark.parametrize(
    "outline",
    [
        [0, 0, float("nan"), 0, 10, 10],
        [0, 0, float("inf"), 0, 10, 10],
        [0, 0, 1e300, 0, 10, 10],
        [0, 0, 5, 0, 5],
        {"size": [10, 20], "counts": [200]},
    ],
)
def test_an_invalid_outline_is_left_out_and_other_objects_stay(write, outline):
    source = CocoSource(write([image(1)], [annotation(1, 1, segmentation=[outline]), annotation(2, 1)]), ["dog"])
    objects, left_out = source.objects(source.images()[0])
    assert [item.id for item in objects] == [2]
    assert [text.startswith("annotation 1 of 000000000001.jpg: an outline whose numbers") for text in left_out] == [
        True
    ]


def test_a_box_that_was_cut_to_its_image_is_marked(write):
    boxes = [[18, 2, 5, 4], [19.5, 2, 1, 4], [2, 2, 5, 4]]
    path = write([image(1)], [annotation(number, 1, bbox=box) for number, box in enumerate(boxes, 1)])
    source = CocoSource(path, ["dog"])
    (shown,) = source.images()
    objects, _ = source.objects(shown)
    assert [item.box.corners for item in objects] == [(18, 2, 20, 6), (19.5, 2, 20, 6), (2, 2, 7, 6)]
    assert [item.box_cut for item in objects] == [True, False, False]
    assert describe_changes(shown, objects, "detection") == [
        "annotation 1 of 000000000001.jpg reaches beyond its image and was cut to it"
    ]
