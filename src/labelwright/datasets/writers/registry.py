"""The table of export formats: one line each. How to add one: docs/contributing.md."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import NamedTuple

from labelwright.datasets.splits import Split
from labelwright.domain import LabelSchema

from . import automl, coco, huggingface, images_csv, labels_csv, split_csv, voc, webdataset, yolo
from .formats import WHOLE, Export, FolderFormat, Format

FORMATS: dict[str, Format] = {
    "csv": labels_csv.LABELS_CSV,
    "coco": coco.COCO,
    "detection": automl.DETECTION,
    "segmentation": automl.SEGMENTATION,
    "classification": automl.CLASSIFICATION,
    "detection_mltable": automl.DETECTION_MLTABLE,
    "segmentation_mltable": automl.SEGMENTATION_MLTABLE,
    "classification_mltable": automl.CLASSIFICATION_MLTABLE,
    "yolo": yolo.YOLO,
    "yolo_segment": yolo.YOLO_SEGMENT,
    "voc": voc.VOC,
    "huggingface": huggingface.HUGGING_FACE,
    "webdataset": webdataset.WEBDATASET,
    "images": images_csv.IMAGES_CSV,
    "split": split_csv.SPLIT_CSV,
}


DESCRIPTION = "croissant"
"""The campaign's name for the description of all files, which `datasets.croissant` writes after them."""


class UnknownFormat(ValueError):
    """A name that the table of formats does not have."""


class OutputName(NamedTuple):
    """What ``coco`` or ``coco:train`` means."""

    format: Format
    part: str


def campaign_formats() -> tuple[str, ...]:
    """The names that a campaign file may list under `export.formats`."""
    names = (entry.campaign_name for entry in FORMATS.values())
    return (*dict.fromkeys(name for name in names if name), DESCRIPTION)


def missing_libraries(campaign_names: Iterable[str]) -> list[str]:
    """Sentences for the formats of a campaign whose library is not installed."""
    libraries = {
        entry.campaign_name: entry.library
        for entry in FORMATS.values()
        if isinstance(entry, FolderFormat) and entry.library
    }
    return [
        f"export.formats: {name} needs {libraries[name]}: pip install 'labelwright[{name}]', or remove it"
        for name in campaign_names
        if name in libraries and find_spec(libraries[name]) is None
    ]


def output_names(campaign_names: Iterable[str], schema: LabelSchema, split: Split | None = None) -> list[str]:
    """The outputs of a campaign's formats: ``coco``, with a split ``coco:train`` etc., and ``split`` for the list.

    A format that the schema has no labels for is left out.
    """
    export = Export("", schema, split)
    names: list[str] = []
    for campaign_name in campaign_names:
        for name, entry in FORMATS.items():
            if entry.campaign_name == campaign_name and entry.suits(export):
                names += [name, *(f"{name}:{part}" for part in entry.parts(export))]
    return names if split is None else [*names, "split"]


def find_output(name: str, export: Export) -> OutputName:
    """Looks up ``coco`` or, with a split, ``coco:train``. Raises UnknownFormat."""
    format_name, colon, part = name.partition(":")
    entry = FORMATS.get(format_name)
    if entry is None:
        raise UnknownFormat(f"unknown format '{format_name}'; known: {', '.join(FORMATS)}")
    if colon and part not in entry.parts(export):
        parts = ", ".join(entry.parts(export)) or "none"
        raise UnknownFormat(f"the format '{format_name}' has no part '{part}' in this export; parts: {parts}")
    return OutputName(entry, part or WHOLE)
