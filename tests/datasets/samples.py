"""A small delivery with difficult names, labels and shapes."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from labelwright.datasets import FORMATS, Spool, SpooledLabels, StockedImage
from labelwright.datasets.writers.formats import FileFormat
from labelwright.domain import (
    Annotation,
    Attribute,
    Box,
    Geometry,
    Label,
    LabeledImage,
    LabelSchema,
    Polygon,
    Size,
    WholeImage,
)

FILES = tuple(name for name, entry in FORMATS.items() if isinstance(entry, FileFormat))
"""Formats that are one file. Folders, most of which hold images, have tests of their own."""
FORMATS_OF_CAMPAIGNS = tuple(name for name in FILES if FORMATS[name].campaign_name)
OF_CAMPAIGNS = tuple(dict.fromkeys(FORMATS[name].campaign_name for name in FORMATS_OF_CAMPAIGNS))
"""What campaign files call them."""

SCHEMA = LabelSchema(
    (
        Label("vehicle", Geometry.ANY),
        Label("car", Geometry.BOX, parent="vehicle", attributes=(Attribute("colour", ("red", "blue")),)),
        Label('river, "wide"', Geometry.POLYGON),
        Label("=SUM(A1)", Geometry.BOX),
        Label("ночь", Geometry.IMAGE),
    )
)
NAMES = ("a/first.jpg", "b/пустой снимок #1.PNG", "=cmd,.jpeg", "last.png")
SIZES = (Size(640, 480), Size(33, 17), Size(100, 100), Size(7, 7))
STOCK = [
    StockedImage(n, name, size, f"{n:064x}", "https://store.example/c/" + quote(name), f"remote-{n}")
    for n, (name, size) in enumerate(zip(NAMES, SIZES, strict=True), 1)
]
L_SHAPE = Polygon(((10, 10), (90.5, 10), (90.5, 30), (30, 30), (30, 80.25), (10, 80.25)))
ANNOTATIONS = (
    (
        Annotation("car", Box(0.1 + 0.2, 1, 640, 480), 0.1 + 0.2, {"colour": "red"}),
        Annotation("ночь", WholeImage(), 0.75),
        Annotation("vehicle", Box(10, 20.5, 30.25, 40), 1.0),
    ),
    (),
    (
        Annotation('river, "wide"', L_SHAPE, 0.5, {"b": "2", "a": "ü"}),
        Annotation("=SUM(A1)", Box(0, 0, 1e-9, 100)),
        Annotation("vehicle", Polygon(((1, 1), (50, 2), (25, 60)))),
    ),
    (Annotation("car", Box(6.9999999999, 0, 7, 7)),),
)
IMAGES = [
    LabeledImage(image.name, image.size, annotations, image.remote_id)
    for image, annotations in zip(STOCK, ANNOTATIONS, strict=True)
]


def delivered(folder: Path) -> SpooledLabels:
    """The sample in a spool whose pages came in another order than the manifest's."""
    spool = Spool(folder)
    spool.put_page(2, [IMAGES[1], IMAGES[0]])
    spool.put_page(1, [IMAGES[3], IMAGES[2]])
    return spool.delivered(STOCK)
