"""Formats that hold images, with names, labels, shapes and sizes of images that nobody would choose."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from labelwright.datasets import Spool, StockedImage, write_many
from labelwright.datasets.splits import Split
from labelwright.datasets.writers.image_files import ImageFiles
from labelwright.datasets.writers.losses import ContentCounts
from labelwright.datasets.writers.registry import FORMATS
from labelwright.domain import (
    Annotation,
    Box,
    Geometry,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    Polygon,
    Size,
    WholeImage,
)

from .image_samples import access

FORMATS_WITH_IMAGES = ("yolo", "yolo_segment", "voc", "webdataset", "huggingface")
LABELS = (
    "boat", "it's: a \"buoy\" #1", "yes", "null", "007", "- dash", "{curly}", "*star", "&amp;<b>", "ночь", "a\\b",
    "%d", "two\nlines", "never used",
)  # fmt: skip
SCHEMA = LabelSchema(tuple(Label(name, Geometry.ANY) for name in LABELS))
LONG = "é" * 120 + "/" + "x" * 251 + ".png"  # a name of 255 bytes in a folder of 240
NAMES = (
    "a/001.png", "b/001.png", "001.png", "001.PNG", "a/b/001.png", ".hidden", "..png", "no ending", "IMG.2026.01.png",
    "blank at the end .png", "-rf.png", "con.png", "a\tb.png", "q?&#%20.png", "日本/写真.png", "cafe\u0301.png",
    "caf\u00e9.png", LONG,
)  # fmt: skip


def image_of(folder: Path, position: int, name: str, size: tuple[int, int]) -> StockedImage:
    """An image under a plain name on disk: its name in the manifest may be one that the disk refuses."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{position}.png"
    Image.new("RGB", size, (position * 9 % 256, 1, 2)).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return StockedImage(position, name, Size(*size), sha256, path.as_uri(), format="PNG", location=str(path))


def write(
    tmp_path: Path,
    labels: Sequence[tuple[str, tuple[int, int], tuple[Annotation, ...]]],
    *formats: str,
    split: Split | None = None,
    files: ImageFiles = ImageFiles.COPY,
    counts: ContentCounts | None = None,
) -> Path:
    images = [image_of(tmp_path / "photos", number, name, size) for number, (name, size, _) in enumerate(labels, 1)]
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, [LabeledImage(name, Size(*size), shapes) for name, size, shapes in labels])
    write_many(
        formats, spool.delivered(images), SCHEMA, title="river", folder=tmp_path / "out", split=split,
        images=access(files), watchers=[counts] if counts else [],
    )  # fmt: skip
    return tmp_path / "out"


@pytest.fixture(scope="module")
def odd_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = [(name, (20, 10), (Annotation("boat", Box(1, 2, 3, 4)),)) for name in NAMES]
    return write(tmp_path_factory.mktemp("names"), labels, *FORMATS_WITH_IMAGES, "csv", "coco")


def test_every_image_has_its_own_files_whatever_its_name(odd_names):
    for folder, images, labels in (
        ("river_yolo", "images/train", "labels/train"),
        ("river_yolo_segment", "images/train", "labels/train"),
        ("river_voc", "JPEGImages", "Annotations"),
    ):
        stems = [sorted(path.stem for path in (odd_names / folder / part).iterdir()) for part in (images, labels)]
        assert stems[0] == stems[1]
        assert [int(stem[:6]) for stem in stems[0]] == list(range(1, len(NAMES) + 1))
        names = [path.name for path in (odd_names / folder / images).iterdir()]
        assert all(name.isascii() and name.count(".") == 1 and len(name) < 100 for name in names)
        assert all(name.lower() == name or name.lower() not in names for name in names)


def test_names_of_the_source_are_in_the_files_as_they_are(odd_names):
    voc = [ET.parse(path).findtext("source/image") for path in sorted((odd_names / "river_voc/Annotations").iterdir())]
    assert voc == list(NAMES)
    with tarfile.open(odd_names / "river_webdataset/train-000000.tar") as shard:
        records = [json.load(shard.extractfile(entry)) for entry in shard if entry.name.endswith(".json")]  # type: ignore[arg-type]
    assert [record["file_name"] for record in records] == list(NAMES)
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(odd_names / "river_huggingface/data/train-00000.parquet")
    assert table["file_name"].to_pylist() == list(NAMES)
    with (odd_names / "river_labels.csv").open(newline="", encoding="utf-8") as file:
        assert [row["file_name"] for row in csv.DictReader(file)] == list(NAMES)


def test_labels_of_any_text_are_read_back(tmp_path):
    used = LABELS[:-1]
    shapes = tuple(Annotation(name, Box(n, n, n + 5, n + 5)) for n, name in enumerate(used))
    out = write(tmp_path, [("a.png", (40, 40), shapes)], *FORMATS_WITH_IMAGES, "coco")
    for folder in ("river_yolo", "river_yolo_segment"):
        names = yaml.safe_load((out / folder / "data.yaml").read_text(encoding="utf-8"))["names"]
        assert names == dict(enumerate(LABELS))
        lines = (out / folder / "labels/train/000001_a.txt").read_text().splitlines()
        assert [int(line.split()[0]) for line in lines] == list(range(len(used)))
    document = ET.parse(out / "river_voc/Annotations/000001_a.xml")
    assert [one.text for one in document.iter("name")] == list(used)
    assert not (out / "river_voc/labelmap.txt").exists(), "its lines cannot hold a colon"
    categories = json.loads((out / "river_coco.json").read_text(encoding="utf-8"))["categories"]
    assert [one["name"] for one in categories] == list(LABELS)
    parquet = pytest.importorskip("pyarrow.parquet")
    schema = parquet.read_schema(out / "river_huggingface/data/train-00000.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["labels"]["feature"]["names"] == list(LABELS)


ROTATED = Polygon(((10, 0), (20, 10), (10, 20), (0, 10)))
RING = Mask((*((y, 2, 12) for y in range(2, 5)), *((5, a, b) for a, b in ((2, 4), (8, 12))), (6, 2, 12)))
EDGES = (Box(0, 0, 40, 30), Box(39, 29, 40, 30), Box(0, 0, 1, 1), Box(0, 12.4, 0.2, 12.6), Box(39.9, 0, 40, 30))


def test_shapes_at_the_border_stay_within_the_image(tmp_path):
    shapes = tuple(Annotation("boat", box) for box in EDGES)
    out = write(tmp_path, [("a.png", (40, 30), shapes), ("dot.png", (1, 1), (Annotation("boat", Box(0, 0, 1, 1)),))],
                "yolo", "yolo_segment", "voc")  # fmt: skip
    for name, size, boxes in (("000001_a", (40, 30), EDGES), ("000002_dot", (1, 1), (Box(0, 0, 1, 1),))):
        rows = np.loadtxt(out / f"river_yolo/labels/train/{name}.txt", ndmin=2)
        assert rows[:, 1:].min() >= 0
        assert rows[:, 1:].max() <= 1
        corners = np.hstack([rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2]) * np.tile(size, 2)
        assert corners == pytest.approx(np.array([box.corners for box in boxes]), abs=1e-6)
        for element in ET.parse(out / f"river_voc/Annotations/{name}.xml").iter("bndbox"):
            x1, y1, x2, y2 = (int(one.text or "") for one in element)
            assert 1 <= x1 <= x2 <= size[0]
            assert 1 <= y1 <= y2 <= size[1]


def test_what_a_format_cannot_hold_is_counted(tmp_path):
    shapes = (Annotation("boat", ROTATED), Annotation("boat", RING, 0.5, {"colour": "red"}),
              Annotation("ночь", WholeImage()))  # fmt: skip
    counts = ContentCounts()
    out = write(tmp_path, [("a.png", (40, 30), shapes)], *FORMATS_WITH_IMAGES, counts=counts)
    lost = counts.lost_by((name, FORMATS[name].cannot_hold) for name in FORMATS_WITH_IMAGES)
    assert lost == {
        "yolo": {
            "outlines of polygons, ellipses and rotated boxes": "2: the box around each",
            "objects with attributes": "1: not in the files",
            "labels of whole images": "1: not in the files",
            "confidences below 1": "1: not in the files",
        },
        "yolo_segment": {
            "masks": "1: outlines of their pixels, with holes cut open by lines of no width",
            "objects with attributes": "1: not in the files",
            "labels of whole images": "1: not in the files",
            "confidences below 1": "1: not in the files",
        },
        "voc": {
            "outlines of polygons, ellipses and rotated boxes": "2: the box around each",
            "masks": "1: the box around each",
            "objects with attributes": "1: not in the files",
            "labels of whole images": "1: not in the files",
            "confidences below 1": "1: not in the files",
        },
    }
    diamond, ring = (out / "river_yolo_segment/labels/train/000001_a.txt").read_text().splitlines()
    assert corners_of(diamond) == pytest.approx(np.array(ROTATED.points), abs=1e-6)
    corners = corners_of(ring)
    following = np.roll(corners, -1, axis=0)
    area = abs((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum()) / 2
    assert area == pytest.approx(RING.area, abs=1e-3)


def corners_of(line: str) -> np.ndarray:
    return np.array(line.split()[1:], dtype=float).reshape(-1, 2) * (40, 30)


def test_parts_without_an_image_are_there_and_empty(tmp_path):
    labels = [("a.png", (20, 10), ())]
    out = write(tmp_path, labels, *FORMATS_WITH_IMAGES, "csv", "coco", split=Split(50, 30, 20))
    (part,) = [path.name for path in (out / "river_yolo/labels").iterdir()]
    places = yaml.safe_load((out / "river_yolo/data.yaml").read_text())
    assert all((out / "river_yolo" / place).is_dir() for name, place in places.items() if name != "names")
    assert (out / f"river_yolo/labels/{part}/000001_a.txt").read_bytes() == b"", "a negative image"
    lists = {path.stem: path.read_text() for path in (out / "river_voc/ImageSets/Main").iterdir()}
    assert {name for name, text in lists.items() if text} == ({"test"} if part == "test" else {part, "trainval"})
    assert lists[part] == "000001_a\n"
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = {path.name: parquet.read_table(path).num_rows for path in (out / "river_huggingface/data").iterdir()}
    assert sorted(rows.values()) == [0, 0, 1]


def test_links_to_another_file_system_are_copies(tmp_path, monkeypatch):
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    out = write(tmp_path, [("a.png", (20, 10), ())], "yolo", "voc", files=ImageFiles.LINK)
    for copy in (out / "river_yolo/images/train/000001_a.png", out / "river_voc/JPEGImages/000001_a.png"):
        assert copy.read_bytes() == (tmp_path / "photos/1.png").read_bytes()
        assert copy.stat().st_nlink == 1


def test_a_second_export_leaves_nothing_of_the_first(tmp_path):
    labels = [(f"{n}.png", (20, 10), (Annotation("boat", Box(1, 2, 3, 4)),)) for n in range(3)]
    write(tmp_path, labels, *FORMATS_WITH_IMAGES)
    out = write(tmp_path, labels[:1], *FORMATS_WITH_IMAGES)
    assert len(list((out / "river_yolo/labels/train").iterdir())) == 1
    assert len(list((out / "river_voc/JPEGImages").iterdir())) == 1
    assert sorted(path.name for path in out.iterdir()) == sorted(f"river_{name}" for name in FORMATS_WITH_IMAGES)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from labelwright.datasets.writers import image_files
from tests.datasets import test_odd_inputs as odd
copied = []
place = image_files._copy
def kill(image, target, access):
    place(image, target, access)
    copied.append(target)
    if len(copied) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
image_files._copy = kill
labels = [(f"{n}.png", (20, 10), (odd.Annotation("boat", odd.Box(1, 2, 3, 4)),)) for n in range(3)]
odd.write(Path(sys.argv[1]), labels, "yolo", "voc")
"""


def test_an_export_that_was_killed_leaves_no_folder_under_its_name(tmp_path):
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), root], check=False, timeout=300, cwd=root)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")] == []
    labels = [(f"{n}.png", (20, 10), (Annotation("boat", Box(1, 2, 3, 4)),)) for n in range(3)]
    out = write(tmp_path, labels, "yolo", "voc")
    assert len(list((out / "river_yolo/images/train").iterdir())) == 3
