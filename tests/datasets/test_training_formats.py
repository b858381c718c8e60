"""The formats that hold the images: YOLO, Pascal VOC, Hugging Face, WebDataset, and the Croissant description."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from labelwright.datasets import NotDelivered, Spool, StockedImage, write_many
from labelwright.datasets.croissant import write_croissant
from labelwright.datasets.splits import Split
from labelwright.datasets.writers.image_files import ImageFiles, image_stem
from labelwright.datasets.writers.losses import Content, ContentCounts
from labelwright.datasets.writers.registry import FORMATS, missing_libraries
from labelwright.domain import (
    Annotation,
    Geometry,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    MultiPolygon,
    Polygon,
    Size,
)

from .image_samples import NAMES, SCHEMA, SIZE, access, delivered, stock

TITLE = "river"


def write(tmp_path: Path, *formats: str, split: Split | None = None, files: ImageFiles = ImageFiles.COPY) -> Path:
    images = stock(tmp_path / "photos")
    out = tmp_path / "out"
    labels = delivered(tmp_path / "spool", images)
    write_many(formats, labels, SCHEMA, title=TITLE, folder=out, split=split, images=access(files))
    return out


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_yolo_has_one_label_file_for_each_image_whatever_their_names(tmp_path):
    folder = write(tmp_path, "yolo") / "river_yolo"
    stems = ("000001_001", "000002_001", "000003_001", "000004_IMG_2026_01", "000005")
    assert files_in(folder / "labels") == {f"train/{stem}.txt" for stem in stems}
    assert {Path(name).stem for name in files_in(folder / "images")} == set(stems)
    assert (folder / "labels/train/000003_001.txt").read_text() == ""
    for number, name in enumerate(NAMES, 1):
        (image,) = (folder / "images/train").glob(f"{number:06d}*")
        assert image.read_bytes() == (tmp_path / "photos" / name).read_bytes()


def test_yolo_boxes_are_fractions_with_nine_digits(tmp_path):
    labels = write(tmp_path, "yolo") / "river_yolo/labels/train"
    lines = [line.split() for line in (labels / "000002_001.txt").read_text().splitlines()]
    assert [line[0] for line in lines] == ["1", "0"]
    x, y, width, height = (float(value) for value in lines[1][1:])
    corners = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2]) * [640, 480, 640, 480]
    assert corners == pytest.approx([100.123456, 7, 101, 9], abs=1e-6)


def test_yolo_without_a_split_says_that_the_training_images_validate(tmp_path):
    text = (write(tmp_path, "yolo") / "river_yolo/data.yaml").read_text()
    assert "no images are set aside for validation" in text
    assert yaml.safe_load(text) == {
        "train": "images/train",
        "val": "images/train",
        "names": {0: "boat", 1: "river", 2: "buoy: red", 3: "night"},
    }


def test_yolo_lays_out_the_parts_of_a_split(tmp_path):
    folder = write(tmp_path, "yolo", split=Split(40, 40, 20)) / "river_yolo"
    places = yaml.safe_load((folder / "data.yaml").read_text())
    assert (places["train"], places["val"], places["test"]) == ("images/train", "images/val", "images/test")
    assert all(any((folder / places[part]).iterdir()) for part in ("train", "val", "test"))
    assert len(files_in(folder / "labels")) == len(files_in(folder / "images")) == len(NAMES)


def test_yolo_never_names_an_empty_folder_of_validation_images(tmp_path):
    text = (write(tmp_path, "yolo", split=Split(99.99, 0.01)) / "river_yolo/data.yaml").read_text()
    assert "no images are set aside" in text
    assert yaml.safe_load(text)["val"] == "images/train"


def test_yolo_outlines_join_the_parts_of_an_object(tmp_path):
    schema = LabelSchema((Label("boat", Geometry.ANY),))
    halves = MultiPolygon((Polygon(((0, 0), (10, 0), (10, 10))), Polygon(((20, 20), (40, 20), (40, 40)))))
    ring = Mask(((0, 0, 6), (1, 0, 2), (1, 4, 6), (2, 0, 6)))
    spool = Spool(tmp_path / "spool")
    image = StockedImage(1, "a.png", Size(100, 100), "")
    spool.put_page(1, [LabeledImage("a.png", image.size, (Annotation("boat", halves), Annotation("boat", ring)))])
    write_many(["yolo_segment"], spool.delivered([image]), schema, title=TITLE, folder=tmp_path / "out")
    first, second = (tmp_path / "out/river_yolo_segment/labels/train/000001_a.txt").read_text().splitlines()
    assert first == "0 0.0 0.0 0.1 0.0 0.1 0.1 0.0 0.0 0.2 0.2 0.4 0.2 0.4 0.4 0.2 0.2 0.0 0.0"
    assert area_of(second) == pytest.approx(ring.area / 100**2)


def area_of(line: str) -> float:
    corners = np.array(line.split()[1:], dtype=float).reshape(-1, 2)
    following = np.roll(corners, -1, axis=0)
    return abs(float((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum())) / 2


@pytest.mark.parametrize("files", [ImageFiles.LINK, ImageFiles.LIST])
def test_images_can_be_linked_or_listed(files, tmp_path):
    folder = write(tmp_path, "yolo", files=files) / "river_yolo"
    if files is ImageFiles.LINK:
        assert (folder / "images/train/000003_001.png").samefile(tmp_path / "photos/001.png")
    else:
        lines = [line.split("\t") for line in (folder / "train.txt").read_text().splitlines()]
        assert [image for image, _ in lines] == [str(tmp_path / "photos" / name) for name in NAMES]
        assert all((folder / labels).exists() for _, labels in lines)
        assert "images" not in {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["yolo", "voc", "webdataset", "huggingface"])
def test_an_image_that_changed_since_it_was_checked_is_named(name, tmp_path):
    images = stock(tmp_path / "photos")
    (tmp_path / "photos" / NAMES[2]).write_bytes(b"another image")
    labels = delivered(tmp_path / "spool", images)
    with pytest.raises(NotDelivered, match=r"001\.png has other bytes.*then export again"):
        write_many([name], labels, SCHEMA, title=TITLE, folder=tmp_path / "out", images=access())
    assert not any((tmp_path / "out").iterdir())


def test_names_of_images_are_safe_and_short():
    image = StockedImage(7, "x/" + "é" * 200 + "boat.tar.gz.jpg", SIZE, "")
    assert image_stem(image) == "000007_boat_tar_gz"
    assert len(image_stem(StockedImage(7, "b" * 300, SIZE, ""))) == 87


def test_voc_counts_pixels_from_one(tmp_path):
    folder = write(tmp_path, "voc", split=Split(40, 40, 20)) / "river_voc"
    document = ET.parse(folder / "Annotations/000001_001.xml").getroot()
    boxes = [[int(element.text or "") for element in box] for box in document.iter("bndbox")]
    assert boxes == [[101, 51, 200, 80], [1, 1, 640, 480]]
    assert [name.text for name in document.iter("name")] == ["boat", "buoy: red"]
    lists = {name: (folder / f"ImageSets/Main/{name}.txt").read_text().split() for name in ("train", "val", "test")}
    assert sorted(lists["train"] + lists["val"] + lists["test"]) == sorted(
        path.stem for path in (folder / "JPEGImages").iterdir()
    )
    both = (folder / "ImageSets/Main/trainval.txt").read_text().split()
    assert sorted(both) == sorted(lists["train"] + lists["val"])


def test_webdataset_keys_have_no_dot_and_samples_hold_everything(tmp_path):
    folder = write(tmp_path, "webdataset") / "river_webdataset"
    with tarfile.open(folder / "train-000000.tar") as shard:
        contents = {entry.name: shard.extractfile(entry).read() for entry in shard}  # type: ignore[union-attr]
    assert all(name.count(".") == 1 for name in contents)
    records = [json.loads(content) for name, content in contents.items() if name.endswith(".json")]
    assert [record["file_name"] for record in records] == list(NAMES)
    assert records[3]["labels"] == [{"label": "night"}]
    assert records[3]["objects"][0]["attributes"] == {"colour": "red"}
    images = {hashlib.sha256(content).hexdigest() for name, content in contents.items() if not name.endswith(".json")}
    assert images == {record["sha256"] for record in records}


def test_equal_labels_give_equal_bytes(tmp_path):
    formats = ("yolo", "yolo_segment", "voc", "webdataset", "huggingface")
    first, second = (write(tmp_path / name, *formats, split=Split(40, 40, 20)) for name in ("one", "two"))
    assert files_in(first) == files_in(second)
    for name in files_in(first):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_hugging_face_has_the_bytes_and_the_names_of_labels(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(write(tmp_path, "huggingface") / "river_huggingface/data/train-00000.parquet")
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["objects"]["category"]["feature"] == {"names": list(SCHEMA.names), "_type": "ClassLabel"}
    rows = table.to_pylist()
    assert [hashlib.sha256(row["image"]["bytes"]).hexdigest() for row in rows] == [row["sha256"] for row in rows]
    assert rows[0]["objects"]["bbox"] == [[100, 50, 100.25, 30], [0, 0, 640, 480]]
    assert rows[2]["objects"]["bbox"] == []
    assert rows[3]["labels"] == [3]


def test_a_missing_library_is_told_before_the_launch(monkeypatch):
    monkeypatch.setattr("labelwright.datasets.writers.registry.find_spec", lambda name: None)
    (sentence,) = missing_libraries(["csv", "huggingface"])
    assert "pip install 'labelwright[huggingface]'" in sentence


def test_what_a_format_cannot_hold_is_counted(tmp_path):
    contents = ContentCounts()
    for batch in delivered(tmp_path / "spool", stock(tmp_path / "photos")).batches():
        contents.add(batch)
    lost = contents.lost_by((name, FORMATS[name].cannot_hold) for name in ("yolo", "yolo_segment", "coco"))
    assert lost.keys() == {"yolo", "yolo_segment"}
    assert lost["yolo"][Content.OUTLINES] == "1: the box around each"
    assert Content.OUTLINES not in lost["yolo_segment"]
    assert lost["yolo"][Content.ATTRIBUTES].startswith("1: ")
    assert lost["yolo"][Content.WHOLE_IMAGE].startswith("1: ")


def test_croissant_describes_the_files_beside_it(tmp_path):
    out = write(tmp_path, "csv", "coco")
    path = write_croissant(
        out, TITLE, published=datetime(2026, 1, 2, tzinfo=UTC), platform="CVAT", metadata={"license": "CC-BY-4.0"}
    )
    document = json.loads(path.read_bytes())
    assert {file["name"]: file["sha256"] for file in document["distribution"]} == {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in ("river_labels.csv", "river_coco.json")
    }
    (records,) = document["recordSet"]
    header = (out / "river_labels.csv").read_text().splitlines()[0].split(",")
    assert [field["name"] for field in records["field"]] == header
    assert document["datePublished"] == "2026-01-02"
    assert (
        io.BytesIO(path.read_bytes()).read()
        == write_croissant(
            out, TITLE, published=datetime(2026, 1, 2, tzinfo=UTC), platform="CVAT", metadata={"license": "CC-BY-4.0"}
        ).read_bytes()
    )
