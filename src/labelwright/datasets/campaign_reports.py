"""CSV files in a campaign's folder that say what is not in its datasets: `excluded.csv` and `left-out.csv`.

Both are RFC 4180 with CR LF, in UTF-8. They are for people: texts that a spreadsheet would run as a formula begin with
an apostrophe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from labelwright.domain import ExcludedImage, ShapeNotice
from labelwright.domain.spreadsheets import defused_cell

from .files import whole_file

EXCLUDED_CSV = "excluded.csv"
"""Images of a campaign that are in none of its datasets: `image`, `state`, `reason`."""

LEFT_OUT_CSV = "left-out.csv"
"""Shapes that are not in the dataset, or not as they are on the platform; its columns are `LEFT_OUT_COLUMNS`."""

LEFT_OUT_COLUMNS = ("image", "what", "reason", "place")
"""`what` is "shape left out" or "shape changed"; `place` says which shape, and where on the platform."""


def write_excluded(path: Path, images: Iterable[ExcludedImage]) -> int:
    """Writes a row for each image, in the order of names. Returns the number of rows.

    Without any image there is no file: that of an earlier delivery is deleted.
    """
    lines = [
        b"%b,%b,%b\r\n" % (defused_cell(image.name), defused_cell(image.state.value), defused_cell(image.detail))
        for image in sorted(images, key=lambda image: image.name)
    ]
    if not lines:
        path.unlink(missing_ok=True)
        return 0
    with whole_file(path) as file:
        file.write(b"image,state,reason\r\n")
        file.writelines(lines)
    return len(lines)


def left_out_rows(notices: Iterable[ShapeNotice]) -> Iterator[tuple[str, ...]]:
    """Yields a row of `LEFT_OUT_COLUMNS` for each shape."""
    for notice in notices:
        yield notice.image, "shape left out" if notice.dropped else "shape changed", notice.reason, notice.detail


def write_left_out(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """Replaces the file. Without rows it has its header only."""
    with whole_file(path) as file:
        file.write(",".join(LEFT_OUT_COLUMNS).encode() + b"\r\n")
        for row in rows:
            file.write(b",".join(map(defused_cell, row)) + b"\r\n")
