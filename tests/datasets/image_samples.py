"""Images with their bytes on disk, and labels of every kind, for the formats that hold images."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from labelwright.datasets import Spool, SpooledLabels, StockedImage
from labelwright.datasets.writers.image_files import ImageAccess, ImageFiles
from labelwright.domain import (
    Annotation,
    Box,
    Geometry,
    Label,
    LabeledImage,
    LabelSchema,
    Polygon,
    Size,
    WholeImage,
)

SCHEMA = LabelSchema(
    (
        Label("boat", Geometry.BOX),
        Label("river", Geometry.POLYGON),
        Label("buoy: red", Geometry.ANY),
        Label("night", Geometry.IMAGE),
    )
)
NAMES = ("a/001.jpg", "b/001.jpg", "001.png", "IMG.2026.01.jpg", "пусто.png")
SIZE = Size(640, 480)
RIVER = Polygon(((10, 10), (300.5, 12), (200, 470)))
ANNOTATIONS: tuple[tuple[Annotation, ...], ...] = (
    (Annotation("boat", Box(100, 50, 200.25, 80)), Annotation("buoy: red", Box(0, 0, 640, 480), 0.5)),
    (Annotation("river", RIVER), Annotation("boat", Box(100.123456, 7, 101, 9))),
    (),
    (Annotation("night", WholeImage()), Annotation("boat", Box(1, 2, 3, 4), attributes={"colour": "red"})),
    (),
)


def stock(folder: Path) -> list[StockedImage]:
    """Writes the images below a folder. Returns them as the manifest has them."""
    images = []
    for position, name in enumerate(NAMES, 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIZE.width, SIZE.height), (position * 40, 90, 120)).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        kind = "PNG" if name.endswith("png") else "JPEG"
        images.append(StockedImage(position, name, SIZE, sha256, path.as_uri(), format=kind, location=str(path)))
    return images


def delivered(spool_folder: Path, images: list[StockedImage]) -> SpooledLabels:
    spool = Spool(spool_folder)
    spool.put_page(
        1, [LabeledImage(image.name, image.size, labels) for image, labels in zip(images, ANNOTATIONS, strict=True)]
    )
    return spool.delivered(images)


def access(files: ImageFiles = ImageFiles.COPY) -> ImageAccess:
    def open_image(image: StockedImage) -> BinaryIO:
        return Path(image.location).open("rb")

    return ImageAccess(open_image, lambda image: Path(image.location), files)
