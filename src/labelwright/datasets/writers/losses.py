"""What a delivery holds beyond boxes, and how much of it each format loses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import numpy as np

from labelwright.datasets.spool.batch import Batch


class Content(StrEnum):
    """Kinds of content that some formats cannot hold. The values stand in receipts."""

    OUTLINES = "outlines of polygons, ellipses and rotated boxes"
    PARTS = "objects of several parts"
    HOLES = "masks"
    ATTRIBUTES = "objects with attributes"
    WHOLE_IMAGE = "labels of whole images"
    CONFIDENCE = "confidences below 1"
    PROVENANCE = "labelers, times and origins"
    FRACTIONS = "objects with corners between pixels"


class ContentCounts:
    """Counts each kind of content. A watcher of `write_many`."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Content, 0)

    def add(self, batch: Batch) -> None:
        counts = self.counts
        for drawing in batch.drawings.values():
            counts[Content.OUTLINES] += drawing.outlined
            counts[Content.PARTS] += drawing.polygons is not None and len(drawing.polygons) > 1
            counts[Content.HOLES] += drawing.mask is not None
            counts[Content.ATTRIBUTES] += bool(drawing.attributes)
        for tags in batch.tags.values():
            counts[Content.WHOLE_IMAGE] += len(tags)
        counts[Content.CONFIDENCE] += int(np.count_nonzero(batch.confidences != 1))
        counts[Content.PROVENANCE] += batch.objects if batch.provenance is not None else 0
        counts[Content.FRACTIONS] += int(np.count_nonzero((batch.corners % 1).any(axis=1)))

    def lost_by(self, formats: Iterable[tuple[str, Mapping[Content, str]]]) -> dict[str, dict[str, str]]:
        """What each format, by its name, cannot hold of these labels; formats that hold all are left out."""
        lost = {
            name: {
                str(content): f"{self.counts[content]}: {consequence}"
                for content, consequence in cannot_hold.items()
                if self.counts[content]
            }
            for name, cannot_hold in formats
        }
        return {name: contents for name, contents in lost.items() if contents}
