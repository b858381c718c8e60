"""Training, validation and test images."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from labelwright.datasets import MLTABLE, Spool, SpooledLabels, UnknownFormat, write_many
from labelwright.datasets.splits import PARTS, Split
from labelwright.datasets.writers.registry import split_formats

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
def test_shares_that_are_not_percentages_are_refused(shares):
    with pytest.raises(ValueError, match="100 together"):
        Split(*shares)


def repeat_by_count(folder: Path) -> SpooledLabels:
    """The sample, whose images have hashes as real ones have."""
    delivered(folder)
    return Spool(folder).delivered(SPREAD)


SPREAD = [replace(image, sha256=sha(41 * image.position)) for image in STOCK]


def test_every_line_is_in_one_part_as_it_is_in_the_whole(tmp_path):
    split = Split(40, 30, 30)
    assert {split.part_of(image.sha256) for image in SPREAD} == set(PARTS)
    formats = [*MLTABLE, *split_formats(split)]
    written = write_many(formats, repeat_by_count(tmp_path / "spool"), SCHEMA, title="t", folder=tmp_path, split=split)
    for table in MLTABLE:
        whole = [json.loads(line) for line in written[table].read_text().splitlines()]
        by_part = {
            part: [json.loads(line) for line in written[f"{table}:{part}"].read_text().splitlines()]
            for part in split.parts
        }
        for line, image in zip(whole, SPREAD, strict=True):
            assert line["image_url"] in [one["image_url"] for one in by_part[split.part_of(image.sha256)]]
        # A table of classification has texts where every image of it has one label, and lists elsewhere.
        if "classification" not in table:
            assert sorted(map(str, chain(*by_part.values()))) == sorted(map(str, whole))
        for part in split.parts:
            assert (written[f"{table}:{part}"].parent / "MLTable").is_file()
    with written["split"].open(encoding="utf-8", newline="") as file:
        told = {row["sha256"]: row["part"] for row in csv.DictReader(file)}
    assert told == {image.sha256: split.part_of(image.sha256) for image in SPREAD}


def test_a_part_that_is_to_hold_nothing_is_not_written(tmp_path):
    assert Split(90, 10).parts == ("train", "validation")
    with pytest.raises(UnknownFormat):
        write_many(
            ["detection_mltable:test"],
            delivered(tmp_path / "spool"),
            SCHEMA,
            title="t",
            folder=tmp_path,
            split=Split(90, 10),
        )
