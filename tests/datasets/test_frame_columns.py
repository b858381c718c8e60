"""Fields of frames of videos, in the formats that have fields for images."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

from labelwright.datasets import read_labels_csv, write_many
from labelwright.datasets.croissant import write_croissant
from labelwright.datasets.spool.batch import StockedImage
from labelwright.datasets.spool.spool import Spool
from labelwright.domain import VideoFrame

from .samples import FILES, IMAGES, SCHEMA, STOCK

FRAMES = [
    VideoFrame('tag 1, "a".mp4', 0, 0.0),
    VideoFrame("007", 1234567, 41152.233333),
    None,
    VideoFrame("ü.mkv", 3, 0.1),
]
"""The third image is no frame: another program wrote the manifest."""
COLUMNS = ["video", "frame", "time_seconds"]


def stock() -> list[StockedImage]:
    return [
        image._replace(frame=frame, store_path=f"/p/{image.position}")
        for image, frame in zip(STOCK, FRAMES, strict=True)
    ]


def written(folder: Path, *, path_column: str = "") -> dict[str, Path]:
    spool = Spool(folder / "spool")
    spool.put_page(1, IMAGES)
    labels = spool.delivered(stock())
    return write_many(FILES, labels, SCHEMA, title="t", folder=folder / "out", path_column=path_column, videos=True)


def test_csv_files_have_the_columns_in_front_of_the_stores(tmp_path):
    paths = written(tmp_path, path_column="azureml_path")
    for name in ("csv", "images"):
        with paths[name].open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0])[-4:] == [*COLUMNS, "azureml_path"]
        for row in rows:
            frame = FRAMES[int(row["image_id"]) - 1]
            cells = ["", "", ""] if frame is None else [frame.video, str(frame.number), repr(frame.seconds)]
            assert [row[column] for column in COLUMNS] == cells
            assert row["azureml_path"] == f"/p/{row['image_id']}"


def test_the_reader_keeps_names_of_videos_as_texts(tmp_path):
    table = read_labels_csv(written(tmp_path)["csv"])
    assert list(table["video"].unique()) == ['tag 1, "a".mp4', "007", "", "ü.mkv"]


def test_coco_and_json_lines_have_them_and_mltable_has_not(tmp_path):
    paths = written(tmp_path)
    fields = [
        {} if frame is None else {"video": frame.video, "frame": frame.number, "time_seconds": frame.seconds}
        for frame in FRAMES
    ]
    images = json.loads(paths["coco"].read_text(encoding="utf-8"))["images"]
    assert [{key: image[key] for key in COLUMNS if key in image} for image in images] == fields
    for task in ("detection", "segmentation", "classification"):
        lines = [json.loads(line) for line in paths[task].read_text(encoding="utf-8").splitlines()]
        assert [{key: line[key] for key in COLUMNS if key in line} for line in lines] == fields
        table = paths[f"{task}_mltable"]
        plain = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
        assert all(set(line) == {"image_url", "image_details", "label"} for line in plain)
        assert [line["image_url"] for line in plain] == [line["image_url"] for line in lines]


def test_croissant_lists_the_columns_of_the_csv(tmp_path):
    folder = written(tmp_path)["csv"].parent
    path = write_croissant(folder, "t", published=datetime(2026, 12, 1, tzinfo=UTC), platform="p", metadata={})
    (labels,) = json.loads(path.read_text(encoding="utf-8"))["recordSet"]
    types = {field["name"]: field["dataType"] for field in labels["field"]}
    assert list(types)[-3:] == COLUMNS
    assert [types[column] for column in COLUMNS] == ["sc:Text", "sc:Integer", "sc:Float"]
