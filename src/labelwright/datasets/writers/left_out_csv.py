"""`left-out.csv`: every shape of a campaign that is not in its dataset, or not as it is on the platform.

RFC 4180 with CR LF, UTF-8: `image`, `what` (shape left out, shape changed), `reason` as it is counted,
and `place`: which shape, and where on the platform.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from labelwright.datasets.files import whole_file
from labelwright.domain import ShapeNotice

from .spreadsheet_safety import cell

LEFT_OUT_CSV = "left-out.csv"
"""Its name in the campaign's folder."""

COLUMNS = ("image", "what", "reason", "place")


def left_out_rows(notices: Iterable[ShapeNotice]) -> Iterator[tuple[str, ...]]:
    """A row of `COLUMNS` for each shape."""
    for notice in notices:
        yield notice.image, "shape left out" if notice.dropped else "shape changed", notice.reason, notice.detail


def write_left_out(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """Replaces the file. Without rows it has its header only."""
    with whole_file(path) as file:
        file.write(",".join(COLUMNS).encode() + b"\r\n")
        for row in rows:
            file.write(b",".join(map(cell, row)) + b"\r\n")
