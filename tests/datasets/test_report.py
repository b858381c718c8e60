"""Statistics of a version, and objects that somebody should look at."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from labelwright.datasets.report.measures import Kind, Measures, measure
from labelwright.datasets.report.page import statistics_page
from labelwright.domain import Annotation, Origin, Polygon, Provenance, WholeImage

from .test_diff import Labels, boat, buoy, columns

NAMES = ("boat", "buoy", "day", "night")


def measured(labels: Labels, folder: Path, **options: int) -> Measures:
    return measure(columns(labels, folder), NAMES, **options)


SAMPLE: Labels = {
    "a": (boat(0, 0, 100, 100), boat(200, 0, 300, 50), buoy(10, 400, 20, 410), Annotation("day", WholeImage())),
    "b": (boat(0, 0, 640, 480),),
    "c": (),
    "d": (buoy(5, 5, 8, 90), buoy(5, 5, 300, 10), buoy(40, 40, 60, 60), buoy(40, 40, 60, 60)),
}


def test_counts_sizes_and_positions(tmp_path):
    result = measured(SAMPLE, tmp_path)
    assert (result.images, result.images_without_labels) == (4, 1)
    assert result.objects == {"boat": 3, "buoy": 5, "day": 0, "night": 0}
    assert result.whole_image_labels == {"day": 1}
    assert result.images_by_label == {"boat": 2, "buoy": 2, "day": 1, "night": 0}
    assert result.per_image == {0: 1, 1: 1, 3: 1, 4: 1}
    smallest, _, median, _, largest = result.sizes["boat"]
    assert (smallest, median, largest) == pytest.approx((5000**0.5, 100, (640 * 480) ** 0.5), abs=0.05)
    assert sum(map(sum, result.positions)) == 8
    assert result.positions[5][5] == 1, "the boat that covers the image"
    assert result.together["boat"] == {"buoy": 1, "day": 1}
    assert result.unused == ["night"]


def test_objects_are_counted_by_origin_and_model(tmp_path):
    sources = [
        Provenance(origin=Origin.PREDICTION, model_version="m-1"),
        Provenance(origin=Origin.PREDICTION, model_version="m-1"),
        Provenance(origin=Origin.PREDICTION, model_version="m-2"),
        Provenance(origin=Origin.CORRECTED),
        Provenance(origin=Origin.PERSON),
        Provenance("anna"),
    ]
    boats = tuple(replace(boat(0, 0, 100, 100 + n), provenance=source) for n, source in enumerate(sources))
    night = Annotation("night", WholeImage(), provenance=sources[2])
    result = measured({"a": (*boats, night)}, tmp_path)
    assert result.origins == {
        "prediction": {"m-1": 2, "m-2": 2},
        "corrected": {"": 1},
        "person": {"": 1},
    }
    page = statistics_page("river", [], result)
    assert re.search(r"prediction</td>\s*<td[^>]*>m-1</td>\s*<td[^>]*>2<", page), page
    assert measured(SAMPLE, tmp_path / "other").origins == {}


def test_objects_to_look_at(tmp_path):
    result = measured(SAMPLE, tmp_path)
    assert result.found == {
        Kind.WHOLE_IMAGE: 1,
        Kind.TINY: 1,
        Kind.THIN: 1,
        Kind.TWICE: 1,
    }
    boxes = {finding.kind: (finding.image, finding.box) for finding in result.findings}
    assert boxes[Kind.TINY] == ("d", (5, 5, 8, 90))
    assert boxes[Kind.THIN] == ("d", (5, 5, 300, 10))
    assert boxes[Kind.TWICE] == ("d", (40, 40, 60, 60))
    assert "boxes that are there twice, with the same label: 1" in result.sentences()
    assert "the label 'night' was never used" in result.sentences()


def test_two_outlines_with_one_box_are_no_finding(tmp_path):
    first, second = (
        Annotation("boat", Polygon(corners)) for corners in (((0, 0), (50, 0), (0, 50)), ((50, 50), (50, 0), (0, 50)))
    )
    assert measured({"a": (first, second)}, tmp_path).found[Kind.TWICE] == 0


def test_a_labeler_who_draws_other_sizes_is_named(tmp_path):
    def drawn(name: str, side: float) -> tuple[Annotation, ...]:
        made = Provenance(labeler=name)
        return tuple(boat(30 * k, side + k, 30 * k + side + k % 3, 2 * side + k, provenance=made) for k in range(12))

    labels = {"a": drawn("ann@x.y", 20), "b": drawn("ben@x.y", 21), "c": drawn("eve@x.y", 90)}
    result = measured(labels, tmp_path)
    assert result.unusual_labelers == ["eve@x.y"]
    assert result.labelers["ann@x.y"]["objects"] == 12


def test_an_empty_version_is_measured(tmp_path):
    result = measured({"a": ()}, tmp_path)
    assert (result.images, result.images_without_labels, result.findings) == (1, 1, [])
    assert "boat" in statistics_page("t", (), result)


def test_listed_findings_are_bounded(tmp_path):
    labels: Labels = {"a": tuple(boat(10 * k, 0, 10 * k + 1, 9) for k in range(20))}
    result = measured(labels, tmp_path, most=5)
    assert (result.found[Kind.TINY], len(result.findings)) == (20, 5)


class Tags(HTMLParser):
    """Counts open tags; every one has to be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(tmp_path):
    page = statistics_page("<river> & lake", [("campaign", "<b>")], measured(SAMPLE, tmp_path), "7 moved")
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "<b>" not in page.replace("<b>Worth a look</b>", "")
    assert not re.search(r"https?://|src=|href=|<script", page)
    assert "&lt;river&gt; &amp; lake, " not in page
    assert "7 moved" in page
    assert "Boxes more than 20 times as long as wide" in page
