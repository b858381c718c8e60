"""Takes the pictures of the labeling page for the documentation: `pytest tests/service/page/pictures.py -m browser`.

Not collected by itself. Look at the pictures afterwards, then commit them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.demo.photographs import photo_folder

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[3] / "docs" / "images"
SCHEMA: list[dict[str, Any]] = [
    {
        "name": "dog",
        "geometry": "box",
        "color": "#e69f00",
        "attributes": [
            {"name": "coat", "values": ["smooth", "curly", "wiry"], "default": "curly"},
            {"name": "collar", "values": ["none", "leather", "cloth"]},
        ],
    },
    {"name": "head", "geometry": "polygon", "parent": "dog", "color": "#56b4e9"},
    {"name": "cat", "geometry": "box", "color": "#cc79a7"},
    {"name": "person", "color": "#009e73"},
    {"name": "weather", "geometry": "image", "attributes": [{"name": "sky", "values": ["clear", "overcast"]}]},
    {"name": "indoors", "geometry": "image"},
]
PHOTOGRAPHS = ["two-dogs-at-a-window.jpg", "cat.jpg", "astronaut.jpg", "woodland-stream.jpg", "dahlias.jpg"]
DOGS = [((169, 99), (396, 400)), ((336, 440), (555, 776))]
HEAD = [(178, 160), (240, 103), (318, 113), (364, 164), (386, 220), (340, 320), (264, 317), (190, 340)]


@pytest.fixture
def page_of(at_page):
    def arrive(title: str, **settings: Any):
        files = {f"{n}-{name}": (photo_folder() / name).read_bytes() for n, name in enumerate(PHOTOGRAPHS, 1)}
        page, _ = at_page(files, page=settings, title=title, labels=None, label_schema=SCHEMA)
        return page

    return arrive


def keep(page, name: str) -> None:
    """Write the window in 256 colours: a third of the bytes."""
    path = FOLDER / name
    page.browser.screenshot(path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)


def test_a_window_on_a_desk(page_of):
    page = page_of("Animals in town", size=(1440, 900))
    page.browser.press("2")  # head: a polygon
    page.click(*HEAD)
    page.browser.press("Enter")
    page.browser.press("1")  # dog: a box
    page.draw(*DOGS[0])
    page.draw(*DOGS[1])
    page.browser.wait(lambda: len(page.shapes) == 3, "the shapes")
    page.browser.click("#whole-image li:first-child input[type=checkbox]")
    keep(page, "labeling-page.png")


def test_a_tablet(page_of):
    page = page_of("Animals on a tablet", size=(820, 1180), touch=True)
    for start, end in DOGS:
        page.browser.touch([page.frame.window(*start), page.frame.window(*end)])
    page.browser.wait(lambda: len(page.shapes) == 2, "the shapes")
    keep(page, "labeling-page-tablet.png")


def test_a_phone(page_of):
    page = page_of("Animals on a phone", size=(390, 760), touch=True, languages="de")
    page.browser.js("document.documentElement.dataset.appearance = 'dark'")
    page.browser.touch([page.frame.window(*DOGS[1][0]), page.frame.window(*DOGS[1][1])])
    page.browser.wait(lambda: len(page.shapes) == 1, "the shape")
    keep(page, "labeling-page-phone.png")
