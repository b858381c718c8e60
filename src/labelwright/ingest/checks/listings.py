"""CSV listings of accepted images and of rejects, for spreadsheets: with a byte order mark, and without formulas."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from labelwright.domain import Reject
from labelwright.domain.spreadsheets import defuse

from .inventory import InventoryItem


def write_rejects(path: Path, rejects: Iterable[Reject]) -> int:
    """Writes a CSV file `name,reason` atomically. Returns the number of rejects."""
    return _write(path, ("name", "reason"), ((reject.name, reject.reason) for reject in rejects))


def write_manifest(path: Path, items: Iterable[InventoryItem]) -> int:
    """Writes a CSV file with one line for each image, atomically. Returns the number of images."""
    header = ("name", "location", "bytes", "width", "height", "format", "sha256", "md5")
    rows = (
        (
            image.name,
            item.location,
            str(image.bytes),
            str(image.size.width),
            str(image.size.height),
            image.format,
            image.sha256,
            image.md5,
        )
        for item in items
        for image in (item.image,)
    )
    return _write(path, header, rows)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    count = 0
    try:
        # With a byte order mark, without which Excel shows Cyrillic as noise.
        with unfinished.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for row in rows:
                writer.writerow([defuse(cell) for cell in row])
                count += 1
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count
