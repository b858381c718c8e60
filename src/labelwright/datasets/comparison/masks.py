"""Masks of a version: its CSV has the boxes around them, its COCO file the run lengths of their pixels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import orjson

from labelwright.datasets.masks import run_length_polygons

from .labels import LabelColumns

Outline = list[list[tuple[float, float]]]
"""The rings of an object."""

_MASK = b'"segmentation":{'
"""Of an annotation, which is a line of our COCO files. No text in it can match: its quotes are escaped."""


class MasksUnreadable(ValueError):
    """A COCO file that is not that of the version's CSV."""


def with_masks(labels: LabelColumns, coco: Path) -> LabelColumns:
    """The labels, with the run lengths of masks as their polygons. Raises MasksUnreadable.

    The file is read line by line: one of a million boxes without a mask takes a second and no memory.
    """
    details, drawn = dict(labels.details), labels.drawn()
    with coco.open("rb") as file:
        for line in file:
            if _MASK not in line:
                continue
            try:
                annotation = orjson.loads(line.rstrip().rstrip(b","))
                place, text = int(drawn[annotation["id"] - 1]), orjson.dumps(annotation["segmentation"]).decode()
            except (ValueError, LookupError, TypeError):
                raise MasksUnreadable(f"{coco.name} is not the COCO file of these labels: export them again") from None
            details[place] = (text, details.get(place, ("", ""))[1])
    return replace(labels, details=details)


def without_masks(labels: LabelColumns) -> LabelColumns:
    """The labels, with masks as the boxes around them."""
    details = {place: ("" if is_mask(text) else text, rest) for place, (text, rest) in labels.details.items()}
    return replace(labels, details={place: one for place, one in details.items() if any(one)})


def is_mask(text: str) -> bool:
    return text.startswith("{")


def outline_of(text: str) -> Outline:
    """The rings of a polygon or a mask."""
    if is_mask(text):
        mask = json.loads(text)
        return run_length_polygons(mask["size"], mask["counts"])
    rings = json.loads(text)
    return [[(x, y) for x, y in ring] for ring in (rings if isinstance(rings[0][0], list) else [rings])]
