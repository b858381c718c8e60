"""The objects of each image as plain dictionaries, for formats that hold everything that is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from labelwright.datasets.masks import mask_polygons
from labelwright.datasets.spool.batch import Batch, Drawing, StockedImage, Tag

from .provenance import json_object

if TYPE_CHECKING:
    from labelwright.datasets.spool.batch import Floats


FRAME_COLUMNS = ("video", "frame", "time_seconds")
"""Fields of images that are frames of videos, in every format that has fields for images."""


def frame_record(image: StockedImage) -> dict[str, Any]:
    """The fields of FRAME_COLUMNS; none of an image that is no frame of a video."""
    frame = image.frame
    return {} if frame is None else dict(zip(FRAME_COLUMNS, (frame.video, frame.number, frame.seconds), strict=True))


def outlines_of(drawing: Drawing) -> list[list[float]]:
    """Polygons (``[x1, y1, x2, y2, ...]`` in pixels) that together cover the object; empty for a box."""
    if drawing.mask:
        return [[value for corner in loop for value in corner] for loop in mask_polygons(drawing.mask)]
    return drawing.polygons or []


def extents_and_areas(batch: Batch) -> tuple[Floats, Floats]:
    """Width and height of the boxes; areas of the boxes, or of the polygons and masks where there are any."""
    extents = batch.corners[:, 2:] - batch.corners[:, :2]
    areas = extents[:, 0] * extents[:, 1]
    for index, drawing in batch.drawings.items():
        if drawing.outlined:
            areas[index] = drawing.area
    return extents, areas


def object_records(batch: Batch, platform: str = "") -> list[list[dict[str, Any]]]:
    """For each image a record for each of its objects.

    `label`, `bbox` (``[x, y, width, height]`` in pixels), `area`; where there are any also `segmentation` (polygons),
    `attributes`, `confidence` below 1, `labeler`, `labeled_at`, `origin`, `model_version` and `platform`.
    """
    extents, areas = (column.tolist() for column in batch.shared(extents_and_areas))
    boxes = [[*corners[:2], *extent] for corners, extent in zip(batch.corners.tolist(), extents, strict=True)]
    confidences, codes = batch.confidences.tolist(), batch.codes.tolist()
    records: list[dict[str, Any]] = []
    for index, box in enumerate(boxes):
        record: dict[str, Any] = {"label": batch.names[codes[index]], "bbox": box, "area": areas[index]}
        drawing = batch.drawings.get(index)
        if drawing is not None:
            if drawing.outlined:
                record["segmentation"] = outlines_of(drawing)
            if drawing.attributes:
                record["attributes"] = drawing.attributes
        if confidences[index] != 1:
            record["confidence"] = confidences[index]
        records.append(record)
    if batch.provenance is not None:
        reader = batch.provenance.reader()
        for record, row in zip(records, batch.provenance.rows.tolist(), strict=True):
            record.update(json_object(reader.of(row), platform))
    elif platform:
        for record in records:
            record["platform"] = platform
    ends = np.cumsum(batch.counts).tolist()
    return [records[end - count : end] for end, count in zip(ends, batch.counts, strict=True)]


def tag_record(tag: Tag, platform: str = "") -> dict[str, Any]:
    """The record of a label of a whole image."""
    record: dict[str, Any] = {"label": tag.label}
    record |= {"attributes": tag.attributes} if tag.attributes else {}
    record |= {"confidence": tag.confidence} if tag.confidence != 1 else {}
    return record | json_object(tag.provenance, platform)
