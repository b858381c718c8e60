"""The last columns of CSV files: a frame's place in its video, and the path by which a store lists the image."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from labelwright.datasets.spool.batch import Batch, StockedImage
from labelwright.datasets.spool.columns import repeat_by_count
from labelwright.domain.spreadsheets import csv_cell

from .records import FRAME_COLUMNS


class LineEnds:
    """The end of every line of an image, with the cells of these columns where there are any."""

    def __init__(self, path_column: str, *, videos: bool = False) -> None:
        self._column, self._videos = path_column, videos

    @property
    def head(self) -> bytes:
        frames = b"," + ",".join(FRAME_COLUMNS).encode() if self._videos else b""
        return frames + (b"," + csv_cell(self._column) + b"\r\n" if self._column else b"\r\n")

    def of(self, image: StockedImage) -> bytes:
        frames = _frame_cells(image) if self._videos else b""
        return frames + (b"," + csv_cell(image.store_path) + b"\r\n" if self._column else b"\r\n")

    def of_objects(self, batch: Batch) -> bytes | Iterator[bytes]:
        """Those of every object, or the one that all of them have."""
        if not self._column and not self._videos:
            return b"\r\n"
        return repeat_by_count(map(self.of, batch.images), batch.counts)


def _frame_cells(image: StockedImage) -> bytes:
    frame = image.frame
    if frame is None:
        return b",,,"
    return b",%b,%d,%b" % (csv_cell(frame.video), frame.number, orjson.dumps(frame.seconds))
