"""Microsoft's own mltable package reads the folders that we write."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from labelwright.datasets import Spool, StockedImage, write_many
from labelwright.datasets.splits import Split
from labelwright.domain import Annotation, Box, Geometry, Label, LabeledImage, LabelSchema, Polygon, Size
from tests.stores.azure import python_of

from .stand_in import LONG

pytestmark = pytest.mark.azureml

READ = """
import json, sys
import mltable
for folder in sys.argv[1:]:
    frame = mltable.load(folder).to_pandas_dataframe()
    rows = [{"url": str(row.image_url), "details": dict(row.image_details), "label": [dict(one) for one in row.label]}
            for row in frame.itertuples()]
    print(json.dumps(rows, default=list))
"""
SCHEMA = LabelSchema((Label("boat", Geometry.BOX), Label("sail", Geometry.POLYGON)))


def test_detection_segmentation_and_every_part_of_a_split(tmp_path):
    names = [f"кадр {number}.jpg" for number in range(12)]
    folder = f"{LONG}/datastores/labelwright/paths/image_sets/river/abc/"
    stock = [
        StockedImage(n, name, Size(100, 50), hashlib.sha256(name.encode()).hexdigest(), folder + name)
        for n, name in enumerate(names, 1)
    ]
    shapes = (
        Annotation("boat", Box(10, 10, 50, 40)),
        Annotation("sail", Polygon(((10, 10), (50, 10), (30, 40)))),
    )
    spool = Spool(tmp_path / "spool")
    spool.put_page(1, [LabeledImage(image.name, image.size, shapes if image.position % 3 else ()) for image in stock])
    split = Split(50, 50)
    formats = ["detection_mltable", "segmentation_mltable", *(f"detection_mltable:{part}" for part in split.parts)]
    written = write_many(formats, spool.delivered(stock), SCHEMA, title="river", folder=tmp_path / "out", split=split)
    process = subprocess.run(
        [python_of("v1"), "-c", READ, *(str(written[name].parent) for name in formats)],
        check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    detection, segmentation, *parts = map(json.loads, process.stdout.splitlines())
    assert len(detection) == len(segmentation) == len(stock)
    assert [len(row["label"]) for row in detection] == [2 if n % 3 else 0 for n in range(1, 13)]
    first = detection[0]["label"][0]
    assert {key: first[key] for key in ("label", "topX", "topY", "bottomX", "bottomY", "isCrowd")} == {
        "label": "boat", "topX": 0.1, "topY": 0.2, "bottomX": 0.5, "bottomY": 0.8, "isCrowd": 0,
    }  # fmt: skip
    outline = segmentation[0]["label"][0]
    assert (outline["label"], outline["polygon"]) == ("sail", [[0.1, 0.2, 0.5, 0.2, 0.3, 0.8]])
    assert detection[0]["details"] == {"format": "jpg", "width": 100, "height": 50}
    assert all(parts)
    urls = sorted(row["url"] for row in detection)
    assert sorted(row["url"] for part in parts for row in part) == urls
    assert len(set(urls)) == len(names)
