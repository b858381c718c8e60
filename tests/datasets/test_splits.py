"""Training, validation and test images."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from labelwright.datasets import FORMATS, Spool, UnknownFormat, campaign_formats, output_names, undefuse, write_many
from labelwright.datasets.splits import PARTS, Split

from .samples import SCHEMA, STOCK, delivered


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_the_parts_have_about_the_shares_that_were_asked_for():
    split = Split(80, 15, 5)
    counts = [sum(split.part_of(sha(n)) == part for n in range(20_000)) for part in PARTS]
    assert sum(counts) == 20_000
    for count, share in zip(counts, (80, 15, 5), strict=True):
        assert abs(count / 200 - share) < 1


def test_an_image_stays_where_it_is_whatever_else_there_is():
    # Pinned: another division would move images from training to test under people's feet.
    split = Split(80, 10, 10)
    places = [split.part_of(sha(n)) for n in range(12)]
    assert {n: place for n, place in enumerate(places) if place != "train"} == {3: "validation", 7: "test"}


@pytest.mark.parametrize("shares", [(80, 10, 5), (110, -10, 0), (0, 0, 0)])
def test_percentages_that_do_not_add_up_to_100_are_refused(shares):
    with pytest.raises(ValueError, match="add up to 100"):
        Split(*shares)


HASHED = [replace(image, sha256=sha(41 * image.position)) for image in STOCK]
"""The sample, whose images have hashes as real ones have."""


def write_sample(tmp_path: Path, split: Split) -> dict[str, Path]:
    assert {split.part_of(image.sha256) for image in HASHED} == set(PARTS)
    delivered(tmp_path / "spool")
    labels = Spool(tmp_path / "spool").delivered(HASHED)
    names = output_names(campaign_formats(), SCHEMA, split)
    return write_many(names, labels, SCHEMA, title="t", folder=tmp_path / "out", split=split)


def images_of(name: str, path: Path) -> set[str]:
    """Names of the images in a written file."""
    text = path.read_text(encoding="utf-8")
    if name == "csv":
        return {undefuse(row["file_name"]) for row in csv.DictReader(io.StringIO(text, newline=""))}
    if name == "coco":
        return {image["file_name"] for image in json.loads(text)["images"]}
    names = {image.url: image.name for image in HASHED}
    return {names[json.loads(line)["image_url"]] for line in text.splitlines()}


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.campaign_name])
def test_every_format_holds_the_images_of_its_part(tmp_path, name):
    split = Split(40, 30, 30)
    written = write_sample(tmp_path, split)
    assert images_of(name, written[name]) == {image.name for image in HASHED}
    for part in PARTS:
        expected = {image.name for image in HASHED if split.part_of(image.sha256) == part}
        assert images_of(name, written[f"{name}:{part}"]) == expected


def test_the_lines_of_the_parts_are_those_of_the_whole(tmp_path):
    written = write_sample(tmp_path, Split(40, 30, 30))
    for name in ("detection", "segmentation", "detection_mltable", "segmentation_mltable"):
        parts = [line for part in PARTS for line in written[f"{name}:{part}"].read_text().splitlines()]
        assert sorted(parts) == sorted(written[name].read_text().splitlines())


def test_the_files_of_the_parts_have_these_names(tmp_path):
    write_sample(tmp_path, Split(40, 30, 30))
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {name for name in names if "train" in name} == {
        "t_labels_train.csv",
        "t_coco_train.json",
        *(f"t_{task}_train.jsonl" for task in ("detection", "segmentation", "classification")),
        *(f"t_{task}_train_mltable/labels.jsonl" for task in ("detection", "segmentation", "classification")),
        *(f"t_{task}_train_mltable/MLTable" for task in ("detection", "segmentation", "classification")),
    }


def test_pycocotools_reads_the_parts(tmp_path):
    written = write_sample(tmp_path, Split(40, 30, 30))
    with contextlib.redirect_stdout(io.StringIO()):
        parts = [COCO(str(written[f"coco:{part}"])) for part in PARTS]
        whole = COCO(str(written["coco"]))
    assert sum(len(part.anns) for part in parts) == len(whole.anns)
    assert sorted(image for part in parts for image in part.imgs) == sorted(whole.imgs)


def test_the_split_csv_has_the_part_of_every_image(tmp_path):
    split = Split(40, 30, 30)
    with write_sample(tmp_path, split)["split"].open(encoding="utf-8", newline="") as file:
        parts = {row["sha256"]: row["part"] for row in csv.DictReader(file)}
    assert parts == {image.sha256: split.part_of(image.sha256) for image in HASHED}


@pytest.mark.parametrize("name", ["coco:test", "coco:holdout", "split:train", "coco:"])
def test_a_part_that_the_split_does_not_have_is_refused(tmp_path, name):
    split = Split(90, 10)
    assert split.parts == ("train", "validation")
    with pytest.raises(UnknownFormat, match="no part"):
        write_many([name], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=tmp_path, split=split)


def test_without_a_split_there_is_no_list_of_parts(tmp_path):
    assert write_many(["split"], delivered(tmp_path / "spool"), SCHEMA, title="t", folder=tmp_path) == {}
