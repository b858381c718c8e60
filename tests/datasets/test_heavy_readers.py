"""YOLO and VOC as FiftyOne and ultralytics read them: `pytest -m readers`. The first run installs both (2 GB)."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_training_judges import AGREEMENT, agreement, ask, flat

__all__ = ["agreement"]

pytestmark = pytest.mark.readers

FIFTYONE_PACKAGES = ("fiftyone-1.22.1-pycocotools", ["fiftyone==1.22.1", "pycocotools==2.0.11"])
"""Name of the environment, which tests share, and what is in it. FiftyOne reads masks of COCO files by pycocotools."""

FIFTYONE = """
import json, os, sys
os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
os.environ["FIFTYONE_DISABLE_SERVICES"] = "1"  # no database: its importers work without one
from pathlib import Path
import fiftyone.utils.voc, fiftyone.utils.yolo
out = sys.argv[1]
importers = {
    "yolo": fiftyone.utils.yolo.YOLOv5DatasetImporter(
        dataset_dir=out + "/river_yolo", yaml_path="data.yaml", split="train", include_all_data=True
    ),
    "voc": fiftyone.utils.voc.VOCDetectionDatasetImporter(
        dataset_dir=out + "/river_voc", data_path="JPEGImages", labels_path="Annotations", include_all_data=True
    ),
}
read = {}
for name, importer in importers.items():
    with importer:
        read[name] = {
            Path(path).name[:6]: [[one.label, one.bounding_box] for one in (labels.detections if labels else [])]
            for path, _, labels in importer
        }
print(json.dumps(read))
"""


def test_fiftyone_reads_the_three_annotators(agreement: Path) -> None:
    read = ask(*FIFTYONE_PACKAGES, FIFTYONE, agreement)
    for number, boxes in AGREEMENT.items():
        assert flat(in_pixels(read["yolo"][number])) == pytest.approx(flat(boxes), abs=1e-3)
        from_one = [[x1 + 1, y1 + 1, x2, y2] for x1, y1, x2, y2 in boxes]
        assert flat(in_pixels(read["voc"][number])) == pytest.approx(flat(from_one), abs=1e-3)
    assert [label for label, _ in read["yolo"]["000003"]] == [label for label, _ in read["voc"]["000003"]]
    assert [label for label, _ in read["yolo"]["000003"]] == ["boat", "buoy"]


def in_pixels(detections: list[tuple[str, list[float]]]) -> list[list[float]]:
    return [[640 * x, 480 * y, 640 * (x + width), 480 * (y + height)] for _, (x, y, width, height) in detections]


ULTRALYTICS = """
import json, os, sys
from pathlib import Path
out = Path(sys.argv[1])
os.environ["YOLO_CONFIG_DIR"], os.environ["YOLO_OFFLINE"] = str(out), "true"
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
data = check_det_dataset(str(out / "river_yolo/data.yaml"), autodownload=False)
read = YOLODataset(img_path=data["train"], data=data, task="detect", augment=False).get_labels()
print(json.dumps({
    "names": list(data["names"].values()),
    "val": data["val"] == data["train"],
    "images": {Path(one["im_file"]).name[:6]: [[[int(label)], box] for [label], box in
               zip(one["cls"].tolist(), one["bboxes"].tolist())] for one in read},
}))
"""


def test_ultralytics_loads_every_image_and_box(agreement: Path) -> None:
    packages = ["ultralytics==8.4.190", "torch==2.13.0"]
    read = ask("ultralytics-8.4.190", packages, ULTRALYTICS, agreement)
    assert (read["names"], read["val"]) == (["boat", "buoy"], True)
    assert read["images"].keys() == AGREEMENT.keys(), "images without objects too"
    for number, boxes in AGREEMENT.items():
        corners = [
            [640 * (x - width / 2), 480 * (y - height / 2), 640 * (x + width / 2), 480 * (y + height / 2)]
            for _, (x, y, width, height) in read["images"][number]
        ]
        assert flat(corners) == pytest.approx(flat(boxes), abs=1e-3)
