"""`<title>_voc/`: Pascal VOC: `Annotations/`, `JPEGImages/`, the lists of `ImageSets/Main/`, and `labelmap.txt`.

Corners are whole pixels counted from 1, as the devkit of VOC has them: `xmin` and `ymin` are the first pixel of the
object, `xmax` and `ymax` the last one. Readers that count from 0 see `xmin` and `ymin` one pixel too far to the right
and to the bottom. The parts of a split are `train`, `val` and `test`; `trainval` has the first two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from labelwright.datasets.spool.batch import Batch
from labelwright.datasets.spool.columns import interleave, joined_by_image, numbers, take
from labelwright.domain import Geometry

from .formats import Export, FolderFormat
from .image_files import PART_NAMES, holds_images, image_address, image_suffix, place_images, stems_of
from .losses import Content
from .small_files import write_small_files

_LISTS = {"train": ("train", "trainval"), "val": ("val", "trainval"), "test": ("test",)}
_NO_LABELMAP = re.compile(r"^#|:|[\r\n]")
"""Its lines cannot hold such a name."""
_ILLEGAL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")
"""Characters that XML cannot hold."""
_ENDS_OF_LINES = {"\n": "&#10;", "\r": "&#13;"}
"""Readers of XML change them, unless they are written so; and every object is one line."""
_POSE = b"</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox><xmin>"
_CLOSING = b"</ymax></bndbox></object>\n"
_END = b"</annotation>\n"


class Voc:
    def __init__(self, export: Export, folder: Path) -> None:
        self._export, self._folder = export, folder
        self._annotations, self._lists = folder / "Annotations", folder / "ImageSets" / "Main"
        self._annotations.mkdir()
        self._lists.mkdir(parents=True)
        for part in export.parts or ("",):
            for name in _LISTS[PART_NAMES[part]]:
                (self._lists / f"{name}.txt").touch()

    def add(self, part: str, batch: Batch) -> None:
        stems = batch.shared(stems_of)
        objects = joined_by_image(_objects(batch), batch.counts)
        documents = (head + text + _END for head, text in zip(self._heads(batch, stems), objects, strict=True))
        write_small_files(self._annotations, zip([f"{stem}.xml" for stem in stems], documents, strict=True))
        for name in _LISTS[PART_NAMES[part]]:
            with (self._lists / f"{name}.txt").open("a", newline="\n") as file:
                file.write("".join(f"{stem}\n" for stem in stems))
        access = self._export.images
        if holds_images(access):
            place_images(batch, self._folder / "JPEGImages", access)

    def finish(self) -> None:
        """Writes `labelmap.txt`: Datumaro and CVAT know only the twenty labels of VOC without it."""
        names = self._export.schema.names
        if not any(_NO_LABELMAP.search(name) for name in names):
            (self._folder / "labelmap.txt").write_text(
                "# label:color_rgb:parts:actions\n" + "".join(f"{name}:::\n" for name in names),
                encoding="utf-8",
                newline="\n",
            )

    def _heads(self, batch: Batch, stems: list[str]) -> Iterator[bytes]:
        access, title = self._export.images, _text(self._export.title)
        for image, stem in zip(batch.images, stems, strict=True):
            path = "" if holds_images(access) else f"<path>{_text(image_address(image, access))}</path>"
            head = (
                f"<annotation><folder>JPEGImages</folder><filename>{stem}{image_suffix(image)}</filename>{path}"
                f"<source><database>{title}</database><image>{_text(image.file_name)}</image></source>"
                f"<size><width>{image.size.width}</width><height>{image.size.height}</height><depth>3</depth></size>"
                "<segmented>0</segmented>\n"
            )
            yield head.encode()


def _objects(batch: Batch) -> list[bytes]:
    """The element of every object, one line each."""
    if not batch.objects:
        return []
    limits = batch.sizes_of_objects().astype(np.int64)
    corners = np.rint(batch.corners).astype(np.int64)
    low = np.clip(corners[:, :2] + 1, 1, limits)
    high = np.clip(np.maximum(corners[:, 2:], low), 1, limits)
    x1, y1, x2, y2 = (numbers(column) for column in (*low.T, *high.T))
    names = take([f"<object><name>{_text(name)}".encode() for name in batch.names], batch.codes)
    columns = (names, _POSE, x1, b"</xmin><ymin>", y1, b"</ymin><xmax>", x2, b"</xmax><ymax>", y2, _CLOSING)
    return interleave(batch.objects, *columns).splitlines(keepends=True)


def _text(value: str) -> str:
    return escape(value.translate(_ILLEGAL), _ENDS_OF_LINES)


VOC = FolderFormat(
    "_voc",
    Voc,
    "voc",
    frozenset({Geometry.BOX, Geometry.POLYGON, Geometry.ANY}),
    {
        Content.OUTLINES: "the box around each",
        Content.PARTS: "one box around all parts",
        Content.HOLES: "the box around each",
        Content.FRACTIONS: "rounded to whole pixels",
        Content.ATTRIBUTES: "not in the files",
        Content.WHOLE_IMAGE: "not in the files",
        Content.CONFIDENCE: "not in the files",
        Content.PROVENANCE: "not in the files",
    },
    convention="whole pixels counted from 1, as VOC's devkit has them: xmin and ymin are the object's first pixel, "
    "xmax and ymax its last one",
)
