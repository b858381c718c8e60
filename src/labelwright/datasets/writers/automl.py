"""JSON Lines for AutoML for Images (Azure ML): a line an image, coordinates as fractions of its width and height.

One file a task, since a `polygon` key would override the keys of a box. The consumer silently skips objects that are
not within 0..1 or not strictly growing, so fractions are rounded to 7 digits, clamped, and a side that the rounding
closed is opened by one step. An image in which nothing is to be seen keeps its line, with ``"label": []``: it is
background.

- detection: boxes, and the boxes around polygons;
- segmentation: polygons (one for each part of an object), masks (as the polygons that cover their pixels), and boxes of
  labels that may be drawn either way (as four corners);
- classification: labels of whole images: a string a line when every image has exactly one, else a list a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
import orjson

from labelwright.datasets.masks import polygons_of
from labelwright.datasets.spool.batch import Batch, Drawing, StockedImage
from labelwright.datasets.spool.columns import interleave, lists, numbers, take
from labelwright.domain import Geometry, LabelSchema, Size

if TYPE_CHECKING:
    from labelwright.datasets.spool.batch import Floats

_DIGITS = 7
_STEPS = 10**_DIGITS
_PLAIN_URL = re.compile(r"[A-Za-z0-9/:._~@!$&'()*+,;=-]*")
_PLAIN_URLS = re.compile(_PLAIN_URL.pattern.replace("[", "[\n"))
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SIGNATURE = re.compile(r"(?:^|&)(?:sig|X-Amz-Signature|Signature|X-Goog-Signature)=", re.IGNORECASE)


def lasting_url(url: str) -> str:
    """The URL as it may stand in a dataset: percent-encoded (what is encoded already stays), without a signature.

    A signature lets everybody read who has the dataset, runs out, and would make every export another content.
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


class Detection:
    def head(self) -> bytes:
        return b""

    def body(self, batch: Batch) -> bytes:
        total = batch.objects
        labels = [b'{"label":%b,"topX":' % orjson.dumps(name) for name in batch.names]
        corners = numbers(growing_fractions(batch.corners, _sizes(batch)))
        before, last = lists(_openings(batch.images), batch.counts, total, b"]}\n")
        names = ("topX", "topY", "bottomX", "bottomY")
        columns: list[bytes | list[bytes]] = [before, take(labels, batch.codes), corners[::4]]
        for place, name in enumerate(names[1:], 1):
            columns += [b',"%b":' % name.encode(), corners[place::4]]
        return interleave(total, *columns, b',"isCrowd":0}') + last

    def tail(self) -> Iterator[bytes]:
        return iter(())


class Segmentation:
    def __init__(self, schema: LabelSchema) -> None:
        self._either = {label.name for label in schema.labels if label.geometry is Geometry.ANY}

    def head(self) -> bytes:
        return b""

    def body(self, batch: Batch) -> bytes:
        objects: list[list[bytes]] = [[] for _ in batch.images]
        for image, place in batch.owners():
            drawing = batch.drawings.get(place)
            label = batch.label(place)
            if drawing is not None and drawing.outlined:
                polygons = _polygons(drawing)
            elif label in self._either:
                xmin, ymin, xmax, ymax = batch.corners[place].tolist()
                polygons = [[xmin, ymin, xmax, ymin, xmax, ymax, xmin, ymax]]
            else:
                continue
            size = batch.images[image].size
            told = [_fractions(polygon, size) for polygon in polygons]
            objects[image].append(orjson.dumps({"label": label, "isCrowd": 0, "polygon": told}))
        pairs = zip(_openings(batch.images), objects, strict=True)
        return b"".join([opening + b",".join(some) + b"]}\n" for opening, some in pairs])

    def tail(self) -> Iterator[bytes]:
        return iter(())


class Classification:
    """Whether lines hold strings or lists is known after the last image: until then they wait in a temporary file."""

    def __init__(self) -> None:
        self._lines = SpooledTemporaryFile(max_size=4 << 20)  # noqa: SIM115 - closed in tail, or by losing it
        self._one_each = True

    def head(self) -> bytes:
        return b""

    def body(self, batch: Batch) -> bytes:
        for place, opening in enumerate(_openings(batch.images)):
            labels = list(dict.fromkeys(tag.label for tag in batch.tags.get(place, ())))
            self._one_each &= len(labels) == 1
            self._lines.write(opening + orjson.dumps(labels)[1:-1] + b"]}\n")
        return b""

    def tail(self) -> Iterator[bytes]:
        self._lines.seek(0)
        for line in self._lines:
            if self._one_each:
                start, _, label = line.rpartition(b'"label":[')
                yield start + b'"label":' + label[:-3] + b"}\n"
            else:
                yield line
        self._lines.close()


def _openings(images: list[StockedImage]) -> list[bytes]:
    """The line of every image up to its label's opening bracket."""
    urls = [image.url for image in images]
    together = "\n".join(urls)
    if together.count("\n") != len(urls) - 1 or not _PLAIN_URLS.fullmatch(together):
        urls = list(map(lasting_url, urls))
    found = []
    for image, url in zip(images, urls, strict=True):
        before, _, kind = image.name.rpartition(".")
        if not before or "/" in kind:  # no dot, or one in a folder's name
            kind = ""
        size = image.size
        # A percent-encoded URL has nothing that JSON would escape.
        found.append(f'{{"image_url":"{url}{_details(kind, size.width, size.height)}'.encode())
    return found


@lru_cache(maxsize=1024)
def _details(kind: str, width: int, height: int) -> str:
    details = orjson.dumps({"format": kind.lower(), "width": width, "height": height})
    return f'","image_details":{details.decode()},"label":['


def _sizes(batch: Batch) -> Floats:
    sizes = np.array([(one.size.width, one.size.height) for one in batch.images], dtype=np.float64).reshape(-1, 2)
    repeated: Floats = np.repeat(sizes, batch.counts, axis=0)
    return repeated


def _polygons(drawing: Drawing) -> list[list[float]]:
    if drawing.mask:
        return [[value for corner in loop for value in corner] for loop in polygons_of(drawing.mask)]
    return drawing.polygons or []


def _fractions(polygon: list[float], size: Size) -> list[float]:
    fractions = [0.0] * len(polygon)
    fractions[::2] = [_fraction(x, size.width) for x in polygon[::2]]
    fractions[1::2] = [_fraction(y, size.height) for y in polygon[1::2]]
    return fractions


def _fraction(value: float, extent: int) -> float:
    return round(min(max(value / extent, 0.0), 1.0), _DIGITS)
