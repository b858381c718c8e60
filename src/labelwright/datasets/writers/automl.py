"""JSON Lines and MLTable folders for AutoML for Images (Azure ML).

One line per image, coordinates as fractions of its width and height. One file per task, since a `polygon` key would
override the keys of a box. AutoML silently skips objects that are not within 0..1 or not strictly growing, so fractions
are rounded to 7 digits and clamped, and a side that is zero after rounding is widened by one step. An image without
objects keeps its line, with ``"label": []``: it is background. `format` is that of the content, whatever the name says.

- detection: boxes, and the boxes around polygons;
- segmentation: polygons (one for each part of an object), masks (as the polygons that cover their pixels), and boxes of
  labels that may be drawn either way (as four corners);
- classification: labels of whole images: a string per line when every image has exactly one, else a list per line. No
  file when all labels may be drawn, and no image has a label as a whole.

In detection and segmentation an object also has `confidence` when it is not 1, and `attributes`, `labeler`,
`labeled_at` (UTC), `origin` and `model_version` where they are known. Lines of classification have the labels alone.
Lines of frames of videos have `video`, `frame` and `time_seconds`.

An MLTable folder holds the same lines without these further keys, and the file `MLTable` that tells Azure ML how to
read them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
import orjson

from labelwright.datasets.spool.batch import Batch
from labelwright.datasets.spool.columns import interleave, join_rows, lists, numbers, take
from labelwright.domain import Geometry, LabelSchema, Size

from .automl_formats import ending_of, format_with
from .formats import Export, FileFormat, FileWriter
from .losses import Content
from .provenance import ProvenanceTexts, json_member
from .records import frame_record, outlines_of

if TYPE_CHECKING:
    from labelwright.datasets.spool.batch import Floats

_DIGITS = 7
_LABEL = b'"label":['
_STEPS = 10**_DIGITS
_PLAIN_URL = re.compile(r"[A-Za-z0-9/:._~@!$&'()*+,;=-]*")
_PLAIN_URLS = re.compile(_PLAIN_URL.pattern.replace("[", "[\n"))
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SIGNATURE = re.compile(r"(?:^|&)(?:sig|X-Amz-Signature|Signature|X-Goog-Signature)=", re.IGNORECASE)


def lasting_url(url: str) -> str:
    """The URL for a dataset: percent-encoded (what is encoded already stays), without a signature.

    A signature would give read access to everybody who has the dataset, would expire, and would change the content with
    every export.
    """
    if _PLAIN_URL.fullmatch(url):
        return url
    encoded = quote(_LONE_PERCENT.sub("%25", url), safe="%/:?#[]@!$&'()*+,;=~")
    parts = urlsplit(encoded)
    return urlunsplit(parts._replace(query="")) if _SIGNATURE.search(parts.query) else encoded


def growing_fractions(corners: Floats, sizes: Floats) -> Floats:
    """Corners (n x 4, pixels) as fractions of sizes (n x 2), within 0..1, each pair strictly growing."""
    steps = np.rint(np.clip(corners / sizes[:, [0, 1, 0, 1]], 0.0, 1.0) * _STEPS)
    low, high = steps[:, :2], steps[:, 2:]
    closed = high <= low
    if closed.any():
        low[closed] = np.minimum(low[closed], _STEPS - 1)
        high[closed] = low[closed] + 1
    fractions: Floats = steps / _STEPS
    return fractions


class _Extras:
    """The members of objects beyond what AutoML reads: confidence, attributes, provenance."""

    def __init__(self, platform: str) -> None:
        self._provenance = ProvenanceTexts(json_member, platform)

    def of_batch(self, batch: Batch) -> list[bytes | list[bytes]]:
        """Columns of texts with a comma in front of each member; none when no object has any."""
        columns: list[bytes | list[bytes]] = []
        certain = np.flatnonzero(batch.confidences == 1).tolist()
        if not certain:
            columns = [b',"confidence":', batch.confidence_texts]
        elif len(certain) < batch.objects:
            texts = [b',"confidence":' + text for text in batch.confidence_texts]
            for index in certain:
                texts[index] = b""
            columns = [texts]
        attributes = {index: drawing.attributes for index, drawing in batch.drawings.items() if drawing.attributes}
        if attributes:
            texts = [b""] * batch.objects
            for index, values in attributes.items():
                texts[index] = b',"attributes":' + orjson.dumps(values)
            columns.append(texts)
        known = self._provenance.of_batch(batch)
        return columns if known is None else [*columns, known]


class Detection:
    def __init__(self, extras: _Extras | None = None) -> None:
        self._extras = extras

    def head(self) -> bytes:
        return b""

    def body(self, batch: Batch) -> bytes:
        total = batch.objects
        labels = [b'{"label":%b,"topX":' % orjson.dumps(name) for name in batch.names]
        corners = batch.shared(_corner_fractions)
        openings = batch.shared(_openings if self._extras is None else _openings_with_frames)
        before, last = lists(openings, batch.counts, total, b"]}\n")
        columns: list[bytes | list[bytes]] = [before, take(labels, batch.codes), corners[0]]
        for key, texts in zip((b"topY", b"bottomX", b"bottomY"), corners[1:], strict=True):
            columns += [b',"%b":' % key, texts]
        columns.append(b',"isCrowd":0')
        if self._extras is not None:
            columns += self._extras.of_batch(batch)
        return interleave(total, *columns, b"}") + last

    def tail(self) -> Iterator[bytes]:
        return iter(())


class Segmentation:
    def __init__(self, schema: LabelSchema, extras: _Extras | None = None) -> None:
        self._extras = extras
        self._either = {label.name for label in schema.labels if label.geometry is Geometry.ANY}

    def head(self) -> bytes:
        return b""

    def body(self, batch: Batch) -> bytes:
        objects: list[list[bytes]] = [[] for _ in batch.images]
        columns = self._extras.of_batch(batch) if self._extras is not None else []
        extras = join_rows(batch.objects, *columns) if columns else None
        for image, index in batch.owners():
            drawing = batch.drawings.get(index)
            label = batch.label(index)
            if drawing is not None and drawing.outlined:
                polygons = outlines_of(drawing)
            elif label in self._either:
                xmin, ymin, xmax, ymax = batch.corners[index].tolist()
                polygons = [[xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]]
            else:
                continue
            size = batch.images[image].size
            fractions = [_fractions(polygon, size) for polygon in polygons]
            record = orjson.dumps({"label": label, "isCrowd": 0, "polygon": fractions})
            objects[image].append(record if extras is None else record[:-1] + extras[index] + b"}")
        openings = batch.shared(_openings if self._extras is None else _openings_with_frames)
        lines = zip(openings, objects, strict=True)
        return b"".join([opening + b",".join(texts) + b"]}\n" for opening, texts in lines])

    def tail(self) -> Iterator[bytes]:
        return iter(())


class Classification:
    """Whether lines hold strings or lists depends on all images, so the lines wait in a temporary file."""

    def __init__(self, schema: LabelSchema, *, frames: bool = True) -> None:
        self._openings = _openings_with_frames if frames else _openings
        self._lines = SpooledTemporaryFile(max_size=4 << 20)  # noqa: SIM115 - closed in tail, or by losing it
        self._one_label_each = True
        self.omitted = not any(label.geometry is Geometry.IMAGE for label in schema.labels)
        """Whether there is nothing to write: no label for whole images alone, and none was used for one."""

    def head(self) -> bytes:
        return b""

    def body(self, batch: Batch) -> bytes:
        for index, opening in enumerate(batch.shared(self._openings)):
            labels = list(dict.fromkeys(tag.label for tag in batch.tags.get(index, ())))
            self.omitted &= not labels
            self._one_label_each &= len(labels) == 1
            self._lines.write(opening + orjson.dumps(labels)[1:-1] + b"]}\n")
        return b""

    def tail(self) -> Iterator[bytes]:
        self._lines.seek(0)
        for line in self._lines:
            if self._one_label_each:
                start, _, label = line.rpartition(b'"label":[')
                yield start + b'"label":' + label[:-3] + b"}\n"
            else:
                yield line
        self._lines.close()


def lasting_urls(batch: Batch) -> list[str]:
    """`lasting_url` of every image."""
    urls = [image.url for image in batch.images]
    joined = "\n".join(urls)
    if joined.count("\n") == len(urls) - 1 and _PLAIN_URLS.fullmatch(joined):
        return urls
    return list(map(lasting_url, urls))


def _openings(batch: Batch) -> list[bytes]:
    """The line of every image up to its label's opening bracket."""
    openings = []
    for image, url in zip(batch.images, batch.shared(lasting_urls), strict=True):
        size = image.size
        details = _details(image.format, ending_of(image.name), size.width, size.height)
        # A percent-encoded URL has nothing that JSON would escape.
        openings.append(f'{{"image_url":"{url}{details}')
    return "\n".join(openings).encode().split(b"\n") if openings else []


def _openings_with_frames(batch: Batch) -> list[bytes]:
    """As `_openings`, with the fields of frames of videos."""
    openings = batch.shared(_openings)
    if all(image.frame is None for image in batch.images):
        return openings
    fields = [orjson.dumps(frame_record(image))[1:-1] for image in batch.images]
    return [
        opening.removesuffix(_LABEL) + text + b"," + _LABEL if text else opening
        for opening, text in zip(openings, fields, strict=True)
    ]


@lru_cache(maxsize=1024)
def _details(content: str, ending: str, width: int, height: int) -> str:
    details = orjson.dumps({"format": format_with(content, ending), "width": width, "height": height})
    return f'","image_details":{details.decode()},{_LABEL.decode()}'


def _corner_fractions(batch: Batch) -> tuple[list[bytes], ...]:
    """The texts of xmin, ymin, xmax and ymax as fractions."""
    texts = numbers(growing_fractions(batch.corners, batch.sizes_of_objects()))
    return texts[::4], texts[1::4], texts[2::4], texts[3::4]


def _fractions(polygon: list[float], size: Size) -> list[float]:
    fractions = [0.0] * len(polygon)
    fractions[::2] = [_fraction(x, size.width) for x in polygon[::2]]
    fractions[1::2] = [_fraction(y, size.height) for y in polygon[1::2]]
    return fractions


def _fraction(value: float, extent: int) -> float:
    return round(min(max(value / extent, 0.0), 1.0), _DIGITS)


_LINES_FILE = "labels.jsonl"
_MLTABLE_FILE = f"""\
type: mltable
paths:
  - file: ./{_LINES_FILE}
transformations:
  - read_json_lines:
      encoding: utf8
      invalid_lines: error
      include_path_column: false
  - convert_column_types:
      - columns: image_url
        column_type: stream_info
"""
_DRAWN = frozenset({Geometry.BOX, Geometry.POLYGON, Geometry.ANY})
_OUTLINED = frozenset({Geometry.POLYGON, Geometry.ANY})
_WHOLE_IMAGE = frozenset({Geometry.IMAGE, Geometry.ANY})

_NOT_THERE = "not in the file"
_BOXES = {Content.OUTLINES: "the box around each", Content.HOLES: "the box around each"}
_POLYGONS = {Content.HOLES: "polygons that together cover the pixels"}
_NO_EXTRAS = dict.fromkeys((Content.ATTRIBUTES, Content.CONFIDENCE, Content.PROVENANCE), _NOT_THERE)

DETECTION = FileFormat(
    "_detection{part}.jsonl",
    lambda export: Detection(_Extras(export.platform)),
    "jsonl",
    _DRAWN,
    cannot_hold=_BOXES,
)
SEGMENTATION = FileFormat(
    "_segmentation{part}.jsonl",
    lambda export: Segmentation(export.schema, _Extras(export.platform)),
    "jsonl",
    _OUTLINED,
    cannot_hold=_POLYGONS,
)
CLASSIFICATION = FileFormat(
    "_classification{part}.jsonl", lambda export: Classification(export.schema), "jsonl", _WHOLE_IMAGE
)


def _mltable(lines: FileFormat, writer: Callable[[Export], FileWriter]) -> FileFormat:
    """The folder of an MLTable. `MLTable` comes last: a folder without it is not an MLTable yet."""
    name = f"{lines.name.removesuffix('.jsonl')}_mltable/{_LINES_FILE}"
    return replace(
        lines,
        name=name,
        writer=writer,
        campaign_name="mltable",
        beside={"MLTable": _MLTABLE_FILE.encode()},
        cannot_hold={**lines.cannot_hold, **_NO_EXTRAS},
    )


DETECTION_MLTABLE = _mltable(DETECTION, lambda _: Detection())
SEGMENTATION_MLTABLE = _mltable(SEGMENTATION, lambda export: Segmentation(export.schema))
CLASSIFICATION_MLTABLE = _mltable(CLASSIFICATION, lambda export: Classification(export.schema, frames=False))
