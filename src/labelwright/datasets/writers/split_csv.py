"""`<title>_split.csv`: which image is in which part of a split, one row per image."""

from __future__ import annotations

from collections.abc import Iterator

from labelwright.datasets.splits import Split
from labelwright.datasets.spool.batch import Batch
from labelwright.domain.spreadsheets import csv_cell

from .formats import Export, FileFormat


class SplitCsv:
    def __init__(self, split: Split) -> None:
        self._split = split

    def head(self) -> bytes:
        return b"image_id,file_name,sha256,part\r\n"

    def body(self, batch: Batch) -> bytes:
        return b"".join(
            b"%d,%b,%b,%b\r\n"
            % (image.position, csv_cell(image.name), image.sha256.encode(), self._split.part_of(image.sha256).encode())
            for image in batch.images
        )

    def tail(self) -> Iterator[bytes]:
        return iter(())


def _writer(export: Export) -> SplitCsv:
    if export.split is None:
        raise ValueError("this export has no split")
    return SplitCsv(export.split)


SPLIT_CSV = FileFormat("_split.csv", _writer, only_with_split=True)
