"""`<title>_split.csv`: which image is in which part of a split, one row per image.

The column `group` is there when the split keeps groups of images together; it is empty for an image without one.
"""

from __future__ import annotations

from collections.abc import Iterator

from labelwright.datasets.split_groups import SplitBy
from labelwright.datasets.splits import Split
from labelwright.datasets.spool.batch import Batch
from labelwright.domain.spreadsheets import csv_cell

from .formats import Export, FileFormat
from .store_paths import LineEnds


class SplitCsv:
    def __init__(self, split: Split, path_column: str = "") -> None:
        self._split = split
        self._ends = LineEnds(path_column)
        self._grouped = split.grouping.by is not SplitBy.IMAGE

    def head(self) -> bytes:
        return b"image_id,file_name,sha256,part" + (b",group" if self._grouped else b"") + self._ends.head

    def body(self, batch: Batch) -> bytes:
        lines = []
        for image in batch.images:
            part = self._split.part_of_image(image.name, image.sha256, image.group)
            cells = [b"%d" % image.position, csv_cell(image.file_name), image.sha256.encode(), part.encode()]
            if self._grouped:
                cells.append(csv_cell(self._split.grouping.group_of(image.name, image.group) or ""))
            lines.append(b",".join(cells) + self._ends.of(image))
        return b"".join(lines)

    def tail(self) -> Iterator[bytes]:
        return iter(())


def _writer(export: Export) -> SplitCsv:
    if export.split is None:
        raise ValueError("this export has no split")
    return SplitCsv(export.split, export.path_column)


SPLIT_CSV = FileFormat("_split.csv", _writer, only_with_split=True)
