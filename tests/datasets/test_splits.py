"""Training, validation and test images."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from labelwright.datasets import Spool, UnknownFormat, output_names, write_many
from labelwright.datasets.split_groups import Grouping, SplitBy
from labelwright.datasets.splits import PARTS, Split

from .samples import FORMATS_OF_CAMPAIGNS, OF_CAMPAIGNS, SCHEMA, STOCK, delivered


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


HASHED = [image._replace(sha256=sha(41 * image.position)) for image in STOCK]
"""The sample, whose images have hashes as real ones have."""


def write_sample(tmp_path: Path, split: Split) -> dict[str, Path]:
    assert {split.part_of(image.sha256) for image in HASHED} == set(PARTS)
    delivered(tmp_path / "spool")
    labels = Spool(tmp_path / "spool").delivered(HASHED)
    names = output_names(OF_CAMPAIGNS, SCHEMA, split)
    return write_many(names, labels, SCHEMA, title="t", folder=tmp_path / "out", split=split)


def images_of(name: str, path: Path) -> set[str]:
    """Names of the images in a written file."""
    text = path.read_text(encoding="utf-8")
    if name == "csv":
        return {row["file_name"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    if name == "coco":
        return {image["file_name"] for image in json.loads(text)["images"]}
    names = {image.url: image.name for image in HASHED}
    return {names[json.loads(line)["image_url"]] for line in text.splitlines()}


@pytest.mark.parametrize("name", FORMATS_OF_CAMPAIGNS)
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


GROUPED = [
    image._replace(
        name=f"cam{number % 7}/{number:03}_scene{number % 5}.png", sha256=sha(number), group=f"p{number % 6}"
    )
    for number, image in enumerate(STOCK * 9)
]
"""Images in seven folders, five scenes and six groups."""

GROUPINGS = {
    "folder": (Grouping(SplitBy.FOLDER), lambda image: image.name.partition("/")[0]),
    "pattern": (Grouping(SplitBy.NAME_PATTERN, r"_(scene\d+)"), lambda image: image.name.partition("_")[2]),
    "whole match": (Grouping(SplitBy.NAME_PATTERN, r"scene\d+"), lambda image: image.name.partition("_")[2]),
    "group": (Grouping(SplitBy.GROUP), lambda image: image.group),
}


@pytest.mark.parametrize(("grouping", "key"), GROUPINGS.values(), ids=list(GROUPINGS))
def test_images_of_a_group_are_in_one_part_however_many_are_added(grouping, key):
    split = Split(50, 25, 25, grouping)
    part_of = {image.name: split.part_of_image(image.name, image.sha256, image.group) for image in GROUPED}
    parts = {key(image): {part_of[other.name] for other in GROUPED if key(other) == key(image)} for image in GROUPED}
    assert len(parts) >= 5
    assert all(len(found) == 1 for found in parts.values())
    assert len(set.union(*parts.values())) > 1


def test_a_group_stays_where_it_is():
    # Pinned, as for images.
    split = Split(40, 30, 30, Grouping(SplitBy.FOLDER))
    places = [split.part_of_image(f"cam{number}/a.png", sha(number)) for number in range(6)]
    assert places == ["train", "train", "train", "test", "test", "test"]


def test_images_without_a_group_are_assigned_by_themselves():
    patterned = Split(50, 50, 0, Grouping(SplitBy.NAME_PATTERN, "x"))
    grouped = Split(50, 50, 0, Grouping(SplitBy.GROUP))
    for image in GROUPED:
        assert patterned.part_of_image(image.name, image.sha256, image.group) == patterned.part_of(image.sha256)
        assert grouped.part_of_image(image.name, image.sha256, "") == grouped.part_of(image.sha256)


def test_every_format_keeps_groups_together(tmp_path):
    folders = {image.name: f"scene{number % 3}" for number, image in enumerate(HASHED)}
    stock = [image._replace(group=folders[image.name]) for image in HASHED]
    split = Split(40, 30, 30, Grouping(SplitBy.GROUP))
    delivered(tmp_path / "spool")
    labels, names = Spool(tmp_path / "spool").delivered(stock), output_names(OF_CAMPAIGNS, SCHEMA, split)
    written = write_many(names, labels, SCHEMA, title="t", folder=tmp_path / "out", split=split)
    with written["split"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = {row["group"]: row["part"] for row in rows}
    assert set(parts) == set(folders.values())
    assert all(row["part"] == parts[row["group"]] for row in rows)
    for name in FORMATS_OF_CAMPAIGNS:
        for part in PARTS:
            expected = {image for image, folder in folders.items() if parts[folder] == part}
            assert images_of(name, written[f"{name}:{part}"]) == expected, (name, part)
