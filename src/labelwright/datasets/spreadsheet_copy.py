"""Copies a CSV file of a dataset for people who open it in a spreadsheet."""

from __future__ import annotations

import csv
from pathlib import Path

from labelwright.domain.errors import PathUnusable
from labelwright.domain.spreadsheets import BYTE_ORDER_MARK, defused_cell, large_cells

from .files import whole_file


def write_spreadsheet_copy(source: Path, target: Path) -> int:
    """Writes the rows with a byte order mark, and an apostrophe in front of what would run as a formula.

    Returns the number of rows below the header. Raises CannotRun for a file that cannot be read as CSV in UTF-8.
    """
    count = 0
    try:
        with large_cells(), source.open(encoding="utf-8-sig", newline="") as file, whole_file(target) as copy:
            copy.write(BYTE_ORDER_MARK)
            for cells in csv.reader(file):
                copy.write(b",".join(map(defused_cell, cells)) + b"\r\n")
                count += 1
    except FileNotFoundError:
        raise PathUnusable(f"{source}: there is no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PathUnusable(f"{source} cannot be copied: {error}") from None
    return max(count - 1, 0)
