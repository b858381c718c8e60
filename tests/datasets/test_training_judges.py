"""Formats that hold images, as the libraries read them that people train with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.datasets import Spool, StockedImage, write_many
from labelwright.datasets.croissant import write_croissant
from labelwright.domain import Geometry, Label, LabeledImage, LabelSchema
from tests.sdk_environments import python_with, shelf

from .image_samples import ANNOTATIONS, SCHEMA, SIZE, access, delivered, stock
from .test_coco_judges import NEEDED
from .test_diff import A, B, C

pytestmark = pytest.mark.sdk

BOXES = {
    f"{number:06d}": [list(one.shape.box.corners) for one in labels if one.shape.box]
    for number, labels in enumerate(ANNOTATIONS, 1)
}
"""By the first six characters of the file's name."""

ANNOTATORS = {"A": A, "B": B, "C": C}
"""Three annotators of six images, whose boxes other libraries have measured."""
AGREEMENT = {
    f"{number:06d}": [list(map(float, one.shape.box.corners)) for one in labels if one.shape.box]
    for number, labels in enumerate((labels for images in ANNOTATORS.values() for labels in images.values()), 1)
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    images = stock(tmp_path / "photos")
    formats = ["csv", "yolo", "voc", "huggingface", "webdataset"]
    labels = delivered(tmp_path / "spool", images)
    write_many(formats, labels, SCHEMA, title="river", folder=tmp_path / "out", images=access())
    write_croissant(tmp_path / "out", "river", published=None, platform="CVAT", metadata={})
    return tmp_path / "out"


@pytest.fixture
def agreement(tmp_path: Path) -> Path:
    """YOLO and VOC of the three annotators, each in a folder with images of the same names."""
    images, labeled = [], []
    for annotator, labels in ANNOTATORS.items():
        (tmp_path / "photos" / annotator).mkdir(parents=True)
        for key, shapes in labels.items():
            name = f"{annotator}/{key}.png"
            path = tmp_path / "photos" / name
            Image.new("RGB", (640, 480), (90, len(images) * 10, 120)).save(path)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            position = len(images) + 1
            images.append(StockedImage(position, name, SIZE, sha256, path.as_uri(), format="PNG", location=str(path)))
            labeled.append(LabeledImage(name, SIZE, shapes))
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, labeled)
    schema = LabelSchema((Label("boat", Geometry.BOX), Label("buoy", Geometry.BOX)))
    write_many(
        ["yolo", "voc"], spool.delivered(images), schema, title="river", folder=tmp_path / "out", images=access()
    )
    return tmp_path / "out"


def ask(name: str, requirements: list[str], script: str, out: Path) -> Any:
    """What a script prints as JSON in an environment with these packages."""
    python = python_with(name, requirements[0], shelf(), *requirements[1:])
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(out / "cache")}
    command = [str(python), "-W", "ignore", "-c", script, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


SUPERVISION = """
import json, sys
from pathlib import Path
import supervision
out = Path(sys.argv[1])
yolo = out / "river_yolo"
places = {
    "yolo": supervision.DetectionDataset.from_yolo(
        str(yolo / "images/train"), str(yolo / "labels/train"), str(yolo / "data.yaml")
    ),
    "voc": supervision.DetectionDataset.from_pascal_voc(
        str(out / "river_voc/JPEGImages"), str(out / "river_voc/Annotations")
    ),
}
print(json.dumps({
    name: {Path(path).name[:6]: found.xyxy.tolist() for path, _, found in dataset} for name, dataset in places.items()
}))
"""


def test_supervision_reads_yolo_and_voc(out: Path) -> None:
    read = ask("supervision-0.31.2", ["supervision==0.31.2", "--no-deps", *NEEDED.split()], SUPERVISION, out)
    for number, boxes in BOXES.items():
        assert flat(read["yolo"][number]) == pytest.approx(flat(boxes), abs=1e-3)
        assert flat(read["voc"][number]) == [round(value) for value in flat(boxes)]


def test_supervision_reads_the_three_annotators(agreement: Path) -> None:
    read = ask("supervision-0.31.2", ["supervision==0.31.2", "--no-deps", *NEEDED.split()], SUPERVISION, agreement)
    for number, boxes in AGREEMENT.items():
        assert flat(read["yolo"][number]) == pytest.approx(flat(boxes), abs=1e-3)
        assert flat(read["voc"][number]) == flat(boxes)


GLOBOX = """
import json, sys
from pathlib import Path
import globox
out = Path(sys.argv[1])
sets = {
    "yolo": globox.AnnotationSet.from_yolo_v5(
        out / "river_yolo/labels/train", image_folder=out / "river_yolo/images/train", image_extension=".png"
    ),
    "voc": globox.AnnotationSet.from_pascal_voc(out / "river_voc/Annotations"),
}
print(json.dumps({
    name: {one.image_id[:6]: [[b.xmin, b.ymin, b.xmax, b.ymax] for b in one.boxes] for one in images}
    for name, images in sets.items()
}))
"""
READER_PACKAGES = ["globox==2.9.0", "datasets==5.2.0", "webdataset==1.0.2", "mlcroissant==1.1.1"]


def test_globox_reads_the_three_annotators_and_begins_voc_at_one(agreement: Path) -> None:
    read = ask("dataset-readers-1", READER_PACKAGES, GLOBOX, agreement)
    for number, boxes in AGREEMENT.items():
        assert flat(read["yolo"][number]) == pytest.approx(flat(boxes), abs=1e-3)
        assert read["voc"][number] == [[x1 + 1, y1 + 1, x2, y2] for x1, y1, x2, y2 in boxes]


DATUMARO = """
import json, sys
from pathlib import Path
from datumaro import Dataset
out = Path(sys.argv[1])
print(json.dumps({
    folder: {item.id[:6]: [[names[one.label], one.points] for one in item.annotations]
             for item in dataset}
    for folder, kind in (("river_yolo", "yolo"), ("river_voc", "voc_detection"))
    for dataset in [Dataset.import_from(str(out / folder), kind)]
    for names in [[one.name for one in next(iter(dataset.categories().values()))]]
}))
"""


def test_datumaro_reads_the_three_annotators(agreement: Path) -> None:
    read = ask("datumaro-1.13.12", ["datumaro==1.13.12"], DATUMARO, agreement)
    for annotator, first in (("A", 1), ("B", 7), ("C", 13)):
        for number, labels in enumerate(ANNOTATORS[annotator].values(), first):
            expected = [one.label for one in labels], AGREEMENT[f"{number:06d}"]
            for folder, shift in (("river_yolo", 0), ("river_voc", 1)):  # as globox, it takes VOC's numbers as they are
                found = read[folder][f"{number:06d}"]
                assert [label for label, _ in found] == expected[0], folder
                corners = [[x1 + shift, y1 + shift, x2, y2] for x1, y1, x2, y2 in expected[1]]
                assert flat([points for _, points in found]) == pytest.approx(flat(corners), abs=0.01), folder


def flat(boxes: list[list[float]]) -> list[float]:
    return [value for box in boxes for value in box]


READERS = """
import glob, hashlib, json, sys
from pathlib import Path
import datasets, globox, mlcroissant, webdataset
out = Path(sys.argv[1])
voc = {one.image_id[:6]: [[b.xmin, b.ymin, b.xmax, b.ymax] for b in one.boxes]
       for one in globox.AnnotationSet.from_pascal_voc(out / "river_voc/Annotations")}
rows = datasets.load_dataset(str(out / "river_huggingface"), split="train")
rows = rows.cast_column("image", datasets.Image(decode=False))
names = rows.features["objects"]["category"].feature.names
hugging = [{"same": hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["sha256"], "bbox": row["objects"]["bbox"],
            "labels": [names[number] for number in row["objects"]["category"] + row["labels"]]} for row in rows]
samples = list(webdataset.WebDataset(glob.glob(str(out / "river_webdataset/*.tar")), shardshuffle=False))
shards = [[bool(sample.get("jpg") or sample.get("png")), json.loads(sample["json"])["file_name"]] for sample in samples]
description = out / "river_croissant.json"
croissant = mlcroissant.Dataset(description)
records = [record["labels/image_id"] for record in croissant.records("labels")]
errors = list(croissant.metadata.ctx.issues.errors)
with (out / "river_labels.csv").open("ab") as file:
    file.write(b"x")
try:
    list(mlcroissant.Dataset(description).records("labels"))
    refused = False
except Exception:
    refused = True
print(json.dumps({"voc": voc, "hugging": hugging, "shards": shards, "records": records, "errors": errors,
                  "refused": refused}))
"""


def test_globox_datasets_webdataset_and_mlcroissant_read_theirs(out: Path) -> None:
    read = ask("dataset-readers-1", READER_PACKAGES, READERS, out)
    for number, boxes in BOXES.items():  # globox takes the first pixel, counted from 1, for a coordinate
        expected = [[round(x1) + 1, round(y1) + 1, round(x2), round(y2)] for x1, y1, x2, y2 in boxes]
        assert read["voc"][number] == expected
    widths = [[[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in boxes] for boxes in BOXES.values()]
    assert [row["bbox"] for row in read["hugging"]] == widths
    assert all(row["same"] for row in read["hugging"])
    assert [sorted(row["labels"]) for row in read["hugging"]] == [
        sorted(one.label for one in labels) for labels in ANNOTATIONS
    ]
    assert [has_image for has_image, _ in read["shards"]] == [True] * len(ANNOTATIONS)
    assert read["errors"] == []
    assert read["records"] == [number for number, labels in enumerate(ANNOTATIONS, 1) for _ in labels or (None,)]
    assert read["refused"], "a file whose hash is another one"
