"""`excluded.csv`: images of a campaign that are in none of its datasets, and why."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labelwright.datasets.files import whole_file
from labelwright.domain import ExcludedImage

from .spreadsheet_safety import cell

FILE = "excluded.csv"


def write_excluded(path: Path, images: Iterable[ExcludedImage]) -> int:
    """Write image, state and reason, a line each, in the order of names. Returns how many there are.

    Without any there is no file: that of an earlier delivery is deleted.
    """
    lines = [
        b"%b,%b,%b\r\n" % (cell(one.name), cell(one.state.value), cell(one.detail))
        for one in sorted(images, key=lambda image: image.name)
    ]
    if not lines:
        path.unlink(missing_ok=True)
        return 0
    with whole_file(path) as file:
        file.write(b"image,state,reason\r\n")
        file.writelines(lines)
    return len(lines)
