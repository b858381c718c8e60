"""`<title>_yolo/`, `<title>_yolo_segment/`: datasets for Ultralytics, detection and instance segmentation.

``images/<part>/``, ``labels/<part>/`` and `data.yaml`. A label file has a line for each object, with the index of its
label in the schema (from 0) and fractions of the image's width and height: center and size of the box, or the corners
of the outline. An image without objects has an empty file. Fractions have nine digits: six lose a hundredth of a pixel
in large images.

The parts of a split are `train`, `val` and `test`; without a split all images are in `train`. Ultralytics needs images
to validate with: when there are none, `val` names the training images, and `data.yaml` says so.

Outlines of several parts are joined by lines of no width, as Ultralytics' own converter does. Holes of masks are cut
open in the same way. Boxes are outlines of four corners.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson

from labelwright.datasets.spool.batch import Batch, Drawing, StockedImage
from labelwright.datasets.spool.columns import interleave, joined_by_image, rows, take
from labelwright.domain import Geometry

from .formats import Export, FolderFormat
from .image_files import PART_NAMES, holds_images, image_address, place_images, stems_of
from .losses import Content
from .records import outlines_of
from .small_files import write_small_files

if TYPE_CHECKING:
    from labelwright.datasets.spool.batch import Floats

_DIGITS = 9


class Yolo:
    def __init__(self, export: Export, folder: Path, *, outlines: bool) -> None:
        self._export, self._folder, self._outlines = export, folder, outlines
        self._ids = {name: b"%d " % number for number, name in enumerate(export.schema.names)}
        self._counts = dict.fromkeys((PART_NAMES[part] for part in export.parts or ("",)), 0)

    def add(self, part: str, batch: Batch) -> None:
        part = PART_NAMES[part]
        self._counts[part] += len(batch.images)
        labels = self._folder / "labels" / part
        labels.mkdir(parents=True, exist_ok=True)
        names = [f"{stem}.txt" for stem in batch.shared(stems_of)]
        write_small_files(labels, zip(names, joined_by_image(self._lines(batch), batch.counts), strict=True))
        access = self._export.images
        if holds_images(access):
            place_images(batch, self._folder / "images" / part, access)
        else:
            self._list(part, names, batch.images)

    def finish(self) -> None:
        names = "".join(
            f"  {number}: {orjson.dumps(name).decode()}\n" for number, name in enumerate(self._export.schema.names)
        )
        (self._folder / "data.yaml").write_text(
            (self._places() if holds_images(self._export.images) else "") + f"names:\n{names}",
            encoding="utf-8",
            newline="\n",
        )

    def _lines(self, batch: Batch) -> list[bytes]:
        """The line of every object."""
        if not batch.objects:
            return []
        ids = take([self._ids[name] for name in batch.names], batch.codes)
        sizes = batch.sizes_of_objects()
        places = _corners_around(batch.corners, sizes) if self._outlines else _centers(batch.corners, sizes)
        text = interleave(batch.objects, ids, [row.replace(b",", b" ") for row in rows(places)], b"\n")
        lines = text.splitlines(keepends=True)
        if self._outlines:
            for index, drawing in batch.drawings.items():
                if drawing.outlined:
                    lines[index] = ids[index] + _outline(drawing, sizes[index]) + b"\n"
        return lines

    def _list(self, part: str, names: list[str], images: list[StockedImage]) -> None:
        with (self._folder / f"{part}.txt").open("a", encoding="utf-8", newline="\n") as file:
            for name, image in zip(names, images, strict=True):
                file.write(f"{image_address(image, self._export.images)}\tlabels/{part}/{name}\n")

    def _places(self) -> str:
        lines = [f"{part}: images/{part}\n" for part in self._counts if part != "val"]
        if self._counts.get("val"):
            lines.insert(1, "val: images/val\n")
        else:
            lines.insert(1, "val: images/train  # no images are set aside for validation: the training images\n")
        for part, count in self._counts.items():
            if not count:  # an empty folder is not kept by every store
                lines = [line for line in lines if not line.startswith(f"{part}: images/{part}\n")]
        return "".join(lines)


def _centers(corners: Floats, sizes: Floats) -> Floats:
    """Center and size of boxes (n x 4, pixels) as fractions of the images' sizes (n x 2)."""
    low, high = corners[:, :2] / sizes, corners[:, 2:] / sizes
    return _rounded(np.hstack([(low + high) / 2, high - low]))


def _corners_around(corners: Floats, sizes: Floats) -> Floats:
    """The four corners of boxes (n x 4, pixels) as fractions (n x 8)."""
    return _rounded(corners[:, [0, 1, 2, 1, 2, 3, 0, 3]] / np.tile(sizes, 4))


def _rounded(fractions: Floats) -> Floats:
    rounded: Floats = np.clip(fractions, 0.0, 1.0).round(_DIGITS)
    return rounded


def _outline(drawing: Drawing, size: Floats) -> bytes:
    """One outline around all parts of an object: from the first part to each other one and back."""
    parts = [np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in outlines_of(drawing)]
    corners = [parts[0]]
    for part in parts[1:]:
        corners += [parts[0][:1], part, part[:1]]
    if len(parts) > 1:
        corners.append(parts[0][:1])
    fractions = _rounded(np.concatenate(corners) / size)
    return orjson.dumps(fractions.reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].replace(b",", b" ")


_DRAWN = frozenset({Geometry.BOX, Geometry.POLYGON, Geometry.ANY})
_LOST = {
    Content.ATTRIBUTES: "not in the files",
    Content.WHOLE_IMAGE: "not in the files",
    Content.CONFIDENCE: "not in the files",
    Content.PROVENANCE: "not in the files",
}

YOLO = FolderFormat(
    "_yolo",
    lambda export, folder: Yolo(export, folder, outlines=False),
    "yolo",
    _DRAWN,
    {Content.OUTLINES: "the box around each", Content.PARTS: "one box around all parts"} | _LOST,
)
YOLO_SEGMENT = FolderFormat(
    "_yolo_segment",
    lambda export, folder: Yolo(export, folder, outlines=True),
    "yolo_segment",
    _DRAWN,
    {
        Content.PARTS: "one outline, its parts joined by lines of no width",
        Content.HOLES: "outlines of their pixels, with holes cut open by lines of no width",
    }
    | _LOST,
)
