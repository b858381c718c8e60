"""The demo's photographs: what a first user sees must open, be labeled truthfully and be ours to pass on."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from labelwright.demo.photographs import demo_schema, drawn_labels, photo_folder
from labelwright.domain import Box, Geometry, Label, LabelSchema, Polygon, Size

ORIENTATION = 0x0112
LICENCES = r"\b(Public domain|CC0|CC BY \d\.\d)"

PHOTOGRAPHS = sorted(path.name for path in photo_folder().glob("*.jpg"))
OBJECTS = [(name, place, drawn) for name, objects in drawn_labels().items() for place, drawn in enumerate(objects)]

each_photograph = pytest.mark.parametrize("name", PHOTOGRAPHS)
each_object = pytest.mark.parametrize(
    ("name", "drawn"),
    [(name, drawn) for name, _, drawn in OBJECTS],
    ids=[f"{name}-{place}" for name, place, _ in OBJECTS],
)


def displayed_size(name: str) -> Size:
    with Image.open(photo_folder() / name) as image:
        return Size(*ImageOps.exif_transpose(image).size)


def box_of(drawn: dict[str, Any]) -> Box:
    return Box(**drawn["bounding_box"])


def polygon_of(drawn: dict[str, Any]) -> Polygon:
    return Polygon(tuple((x, y) for x, y in drawn["polygon"]))


def schema() -> LabelSchema:
    return LabelSchema(
        tuple(
            Label(label["name"], Geometry(label["geometry"]), color=label["color"], translations=label["translations"])
            for label in demo_schema()
        )
    )


def provenance_of(name: str) -> str:
    """The file's own section, up to the next heading."""
    text = (photo_folder() / "PROVENANCE.md").read_text(encoding="utf-8")
    _, heading, section = text.partition(f"\n## {name}\n")
    assert heading, f"PROVENANCE.md has no section for {name}"
    return section.partition("\n## ")[0]


def test_the_photographs_are_few_and_small():
    assert 8 <= len(PHOTOGRAPHS) <= 12
    assert sum((photo_folder() / name).stat().st_size for name in PHOTOGRAPHS) < 2_500_000


@each_photograph
def test_a_photograph_opens_and_decodes(name: str):
    with Image.open(photo_folder() / name) as image:
        image.load()
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert 400 <= max(image.size) <= 1024


@each_photograph
def test_a_photograph_is_labeled_or_said_to_hold_nothing(name: str):
    assert name in drawn_labels()


def test_no_label_is_drawn_on_a_photograph_that_is_missing():
    assert set(drawn_labels()) == set(PHOTOGRAPHS)


@each_photograph
def test_the_provenance_tells_source_licence_and_changes(name: str):
    section = provenance_of(name)
    assert "- Source: " in section
    assert "- Changed: " in section
    assert re.search(rf"- Licence: {LICENCES}", section)


@each_photograph
def test_table_and_section_name_the_same_licence(name: str):
    text = (photo_folder() / "PROVENANCE.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{re.escape(name)}` \| .+ \| (.+) \|$", text, re.MULTILINE)
    licence = re.search(rf"- Licence: {LICENCES}", provenance_of(name))
    assert row is not None
    assert licence is not None
    assert row[1] == licence[1]


@each_photograph
def test_a_licence_that_asks_for_attribution_gets_author_and_link(name: str):
    section = provenance_of(name)
    if "Licence: CC BY" in section:
        assert re.search(r"- (Author|Copyright): \w+", section)
        assert re.search(r"<https://creativecommons\.org/licenses/by/\d\.0/>", section)


@pytest.mark.parametrize("forbidden", ["CC BY-NC", "CC BY-ND", "CC BY-SA", "GPL"])
def test_no_photograph_has_a_licence_that_binds_our_users(forbidden: str):
    assert forbidden not in (photo_folder() / "PROVENANCE.md").read_text(encoding="utf-8")


def test_the_provenance_names_no_photograph_that_is_gone():
    text = (photo_folder() / "PROVENANCE.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+\.jpg)$", text, re.MULTILINE) == PHOTOGRAPHS


def test_the_schema_is_one_and_every_label_occurs():
    assert set(schema().names) == {drawn["label"] for _, _, drawn in OBJECTS}


def test_every_label_has_a_colour_of_its_own_and_is_translated():
    colors = [label.color for label in schema().labels]
    assert all(re.fullmatch("#[0-9A-F]{6}", color or "") for color in colors)
    assert len(set(colors)) == len(colors)
    assert all(set(label.translations) == {"nl", "de"} for label in schema().labels)


@each_object
def test_a_label_is_in_the_schema_and_drawn_as_the_schema_says(name: str, drawn: dict[str, Any]):
    shape = polygon_of(drawn) if "polygon" in drawn else box_of(drawn)
    assert schema()[drawn["label"]].geometry.takes(shape)
    assert drawn["confidence"] == 1


@each_object
def test_a_box_is_valid_and_inside_the_photograph_as_displayed(name: str, drawn: dict[str, Any]):
    assert box_of(drawn).inside(displayed_size(name))


@each_object
def test_a_bounding_box_is_exactly_the_bounds_of_its_polygon(name: str, drawn: dict[str, Any]):
    if "polygon" in drawn:
        assert polygon_of(drawn).box == box_of(drawn)


def test_some_outlines_have_twelve_points_or_more():
    assert sum(len(drawn.get("polygon", ())) >= 12 for _, _, drawn in OBJECTS) >= 4


def test_there_is_an_empty_and_a_crowded_photograph():
    counts = [len(objects) for objects in drawn_labels().values()]
    assert min(counts) == 0
    assert max(counts) >= 2


def test_one_photograph_is_stored_on_its_side_and_says_so():
    turned = {name for name in PHOTOGRAPHS if Image.open(photo_folder() / name).getexif().get(ORIENTATION, 1) != 1}
    assert turned == {"two-dogs-at-a-window.jpg"}
    with Image.open(photo_folder() / "two-dogs-at-a-window.jpg") as image:
        assert image.getexif()[ORIENTATION] == 6
        assert image.size == (936, 720)
    assert displayed_size("two-dogs-at-a-window.jpg") == Size(720, 936)
    assert "EXIF orientation tag 6" in provenance_of("two-dogs-at-a-window.jpg")


def test_labels_of_a_turned_photograph_are_as_displayed():
    # Else nobody would notice that the orientation was forgotten.
    stored = Size(936, 720)
    assert any(not box_of(drawn).inside(stored) for drawn in drawn_labels()["two-dogs-at-a-window.jpg"])


def test_a_caller_cannot_change_the_labels_of_the_next_one():
    drawn_labels()["cat.jpg"].clear()
    demo_schema().clear()
    assert drawn_labels()["cat.jpg"]
    assert demo_schema()


@pytest.mark.parametrize("name", [*PHOTOGRAPHS, "labels.json", "PROVENANCE.md"])
def test_every_file_is_declared_as_package_data(name: str):
    project = Path(__file__).parents[2] / "pyproject.toml"
    setuptools = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert "labelwright.demo" in setuptools["packages"]
    patterns = setuptools["package-data"]["labelwright.demo"]
    assert any(fnmatch(f"photos/{name}", pattern) for pattern in patterns)
