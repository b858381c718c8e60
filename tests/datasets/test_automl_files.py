"""JSON Lines and MLTable folders say of an image what its content is, and are there only when they hold something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labelwright.datasets import Split, Spool, StockedImage, output_names, write_many
from labelwright.datasets.writers.automl_formats import automl_format
from labelwright.domain import Annotation, Box, Geometry, Label, LabeledImage, LabelSchema, Size, WholeImage

from .samples import OF_CAMPAIGNS

SIZE = Size(60, 40)
DRAWN, WHOLE = Annotation("mark", Box(1, 1, 9, 9)), Annotation("mark", WholeImage())


def write(folder: Path, *images: tuple[Annotation, ...], geometry: Geometry, split: Split | None = None) -> set[str]:
    """Files and folders that were written, without their title."""
    schema = LabelSchema((Label("mark", geometry),))
    stock = [StockedImage(n, f"{n}.png", SIZE, f"{n:064x}", f"https://h/{n}") for n in range(1, len(images) + 1)]
    spool = Spool(folder / "spool")
    spool.put_page(1, [LabeledImage(image.name, SIZE, shapes) for image, shapes in zip(stock, images, strict=True)])
    names = output_names(OF_CAMPAIGNS, schema, split)
    paths = write_many(names, spool.delivered(stock), schema, title="t", folder=folder / "out", split=split)
    assert all(path.exists() for path in paths.values())
    return {path.name for path in (folder / "out").iterdir()}


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("JPEG", "a.jpg", "jpg"),
        ("JPEG", "a.JPEG", "jpeg"),
        ("JPEG", "DSC0001", "jpg"),
        ("JPEG", "a.jfif", "jpg"),
        ("PNG", "really_png.jpg", "png"),
        ("TIFF", "a.tif", "tif"),
        ("TIFF", "a.dat", "tiff"),
        ("BMP", "v1.2/a", "bmp"),
        ("WEBP", "b.jpg", "webp"),
        ("", "a.JPG", "jpg"),
        ("", "v1.2/a", ""),
    ],
)
def test_the_format_is_that_of_the_content(content: str, name: str, expected: str) -> None:
    assert automl_format(content, name) == expected


def test_lines_have_the_format_of_the_content(tmp_path: Path) -> None:
    stock = [StockedImage(1, "a.jpg", SIZE, "0", "https://h/1", format="PNG")]
    spool, schema = Spool(tmp_path / "spool"), LabelSchema((Label("mark"),))
    spool.put_page(1, [LabeledImage("a.jpg", SIZE, (DRAWN,))])
    paths = write_many(["detection"], spool.delivered(stock), schema, title="t", folder=tmp_path)
    assert json.loads(paths["detection"].read_text())["image_details"]["format"] == "png"


@pytest.mark.parametrize(
    ("geometry", "images", "expected"),
    [
        (Geometry.ANY, [(DRAWN,), ()], False),
        (Geometry.ANY, [(DRAWN,), (WHOLE,)], True),
        (Geometry.BOX, [(DRAWN,)], False),
        (Geometry.IMAGE, [(WHOLE,)], True),
        (Geometry.IMAGE, [()], True),
    ],
)
def test_classification_is_written_for_labels_of_whole_images(tmp_path, geometry, images, expected) -> None:
    names = write(tmp_path, *images, geometry=geometry)
    files = {"t_classification.jsonl", "t_classification_mltable"}
    assert names & files == (files if expected else set())
    assert ("t_detection_mltable" in names) == (geometry is not Geometry.IMAGE)


def test_a_part_without_labels_of_whole_images_has_no_classification(tmp_path: Path) -> None:
    split = Split(50, 50)
    assert {split.part_of(f"{n:064x}") for n in (1, 2)} == {"train"}
    names = write(tmp_path, (WHOLE,), (DRAWN,), geometry=Geometry.ANY, split=split)
    assert "t_classification_train_mltable" in names
    assert "t_classification_mltable" in names
    assert {name for name in names if "classification_validation" in name} == set()


def test_a_classification_of_an_earlier_export_is_removed(tmp_path: Path) -> None:
    assert "t_classification_mltable" in write(tmp_path, (WHOLE,), geometry=Geometry.ANY)
    names = write(tmp_path, (DRAWN,), geometry=Geometry.ANY)
    assert not {name for name in names if "classification" in name}
