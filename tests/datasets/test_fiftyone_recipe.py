"""The recipe of docs/fiftyone.md in FiftyOne: `pytest -m readers`. The first run installs it (2 GB).

FiftyOne's database (MongoDB) is not there: `fo.Dataset` is replaced by the importer and exporter that it uses.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.datasets import Spool, StockedImage, write_many
from labelwright.datasets.readers.coco import CocoFile
from labelwright.domain import Annotation, Attribute, Box, Geometry, Label, LabeledImage, LabelSchema, Polygon, Size

from .image_samples import access
from .test_heavy_readers import FIFTYONE_PACKAGES
from .test_training_judges import ask, flat

pytestmark = pytest.mark.readers

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fiftyone.md").read_text(encoding="utf-8")
SIZE = Size(640, 480)
SCHEMA = LabelSchema((Label("boat", Geometry.ANY, attributes=(Attribute("colour", ("red", "blue")),)), Label("buoy")))
RING = ((100.0, 100.0), (200.5, 110.0), (150.0, 220.25))
LABELED = {
    "north/ü 1.png": (
        Annotation("boat", Box(10, 20, 110.5, 70.25), attributes={"colour": "red"}),
        Annotation("boat", Polygon(RING)),
    ),
    "north/empty.png": (),
    "south/2.png": (Annotation("buoy", Box(0, 0, 640, 480)),),
}

WITHOUT_DATABASE = """
import json, os, sys
from pathlib import Path
os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
os.environ["FIFTYONE_DISABLE_SERVICES"] = "1"
os.chdir(sys.argv[1])
import fiftyone as fo
import fiftyone.utils.data as foud

class Stored:
    'What a FiftyOne dataset does with its database, by the importer and exporter that it uses.'

    def __init__(self, samples):
        self.samples, self.predictions = samples, {}

    @classmethod
    def from_dir(cls, dataset_type, label_field, name, **arguments):
        importer, unused = foud.build_dataset_importer(dataset_type, name=name, **arguments)
        assert not unused, unused
        with importer:
            return cls(list(importer))

    def match_tags(self, tag):
        assert tag == "wrong"
        return Stored([sample for sample in self.samples if sample[2] and "boat" in str(sample[2])])

    def values(self, field):
        assert field == "filepath"
        return [str(Path(path).resolve()) for path, _, _ in self.samples]

    def export(self, dataset_type, label_field, **arguments):
        assert label_field == "predictions"
        exporter, unused = foud.build_dataset_exporter(dataset_type, **arguments)
        assert not unused, unused
        with exporter:
            for path, metadata, _ in self.samples:
                found = fo.Detections(detections=[
                    fo.Detection(label="buoy", bounding_box=[0.25, 0.5, 0.125, 0.25], confidence=0.75)
                ])
                exporter.export_sample(str(Path(path).resolve()), found, metadata=metadata)

fo.Dataset = Stored
fo.launch_app = lambda dataset: None

def facts(dataset):
    photos, found = Path("photos").resolve(), {}
    for path, metadata, labels in dataset.samples:
        objects = getattr(labels, "detections", None) or getattr(labels, "polylines", None) or []
        found[str(Path(path).resolve().relative_to(photos))] = [
            {
                "label": one.label,
                "box": list(getattr(one, "bounding_box", None) or []),
                "rings": getattr(one, "points", None) or [],
                "mask": getattr(one, "mask", None) is not None,
                "size": [metadata.width, metadata.height],
                "number": one["coco_id"],
                "everything": str(one),
            }
            for one in objects
        ]
    return found

read = {}
"""


@pytest.fixture
def river(tmp_path: Path) -> Path:
    """The folder of the recipe: photos and version 1 of the labels."""
    images, labeled = [], []
    for number, (name, shapes) in enumerate(LABELED.items(), 1):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (640, 480), (90, number * 40, 120)).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        images.append(StockedImage(number, name, SIZE, sha256, path.as_uri(), format="PNG", location=str(path)))
        labeled.append(LabeledImage(name, SIZE, shapes))
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, labeled)
    version = tmp_path / "datasets" / "river_labels" / "v1"
    write_many(["coco"], spool.delivered(images), SCHEMA, title="river", folder=version, images=access())
    return tmp_path


def recipe() -> list[str]:
    """The Python blocks of the page that run in FiftyOne, in their order."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "labelwright" not in block]


def test_fiftyone_runs_the_recipe(river: Path) -> None:
    first, *rest = recipe()
    assert len(rest) == 2
    polygons = first.replace('label_types="detections"', 'label_types="segmentations", use_polylines=True')
    masks = first.replace('label_types="detections"', 'label_types="segmentations"')
    assert first != polygons != masks
    variants = {"polygons": polygons, "masks": masks}
    script = "\n".join(
        [
            WITHOUT_DATABASE,
            *(f"{block}\nread['{kind}'] = facts(dataset)" for kind, block in variants.items()),
            first,
            "read['boxes'] = facts(dataset)",
            *rest,
            "print(json.dumps(read))",
        ]
    )
    read = ask(*FIFTYONE_PACKAGES, script, river)
    assert set(read["boxes"]) == set(LABELED), "images without objects too"
    boat, outlined = read["boxes"]["north/ü 1.png"]
    assert (boat["label"], outlined["label"], boat["size"]) == ("boat", "boat", [640, 480])
    assert in_pixels(boat["box"]) == pytest.approx([10, 20, 110.5, 70.25])
    assert in_pixels(outlined["box"]) == pytest.approx([100, 100, 200.5, 220.25])
    assert read["boxes"]["north/empty.png"] == []
    assert "red" in boat["everything"], "its attribute"
    assert [int(one["number"]) for one in (boat, outlined)] == [1, 2]
    _, ring = read["polygons"]["north/ü 1.png"]
    [corners] = ring["rings"]
    assert flat([[640 * x, 480 * y] for x, y in corners]) == pytest.approx(flat(RING))
    assert read["masks"]["north/ü 1.png"][1]["mask"]

    assert (river / "wrong.txt").read_text(encoding="utf-8").splitlines() == ["north/ü 1.png"]
    predictions = CocoFile(river / "predictions.json")
    images = {str(image["file_name"]): image["id"] for image in predictions.images()}
    assert set(images) == set(LABELED), "named as in the campaign"
    for image_id in images.values():
        [annotation] = predictions.annotations(image_id)
        shape: Any = predictions.shape_of(annotation, SIZE)
        assert predictions.categories[annotation["category_id"]] == "buoy"
        assert shape.shape == Box(160, 240, 240, 360)
        assert annotation["score"] == 0.75


def in_pixels(box: list[float]) -> list[float]:
    x, y, width, height = box
    return [640 * x, 480 * y, 640 * (x + width), 480 * (y + height)]
