"""Reads labels from Remo: downloads the whole export to the disk once, then returns images page by page.

Remo exports an annotation set in one response, by file names and without images that have no objects. Image ids and
statuses come from another call. A temporary database joins both, so that neither a hundred thousand images nor a
million labels are in memory at once.
"""

from __future__ import annotations

import codecs
import json
import re
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from labelwright.domain import (
    Annotation,
    Box,
    ExcludedImage,
    ImageState,
    InvalidShape,
    LabeledImage,
    Polygon,
    Shape,
    Size,
    WholeImage,
)
from labelwright.domain.planar import distinct
from labelwright.platforms.errors import NotFound, PlatformUnavailable
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import RemoteImage
from labelwright.platforms.shape_notices import ShapeNotices

from .calls import RemoCalls, if_known
from .models import ImageStatus, image_from
from .names import Spelling, our_name
from .session import NAME

_LOOKED_AT = (ImageStatus.DONE, ImageStatus.SKIPPED)
_UNKNOWN = "skipped or done"
"""Status of an image without objects, if the server returns only the number of skipped images."""
_SKIPPED = {
    ImageStatus.SKIPPED: "skipped in Remo",
    _UNKNOWN: "skipped, or done without objects: this version of Remo does not tell which images were skipped",
}
_CHUNK = 1 << 20
_NO_BLANK = re.compile(r"[^ \t\r\n]")


class Reading:
    """Snapshot of an annotation set's labels, in a temporary file that is deleted with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Without a name, SQLite keeps the database in a temporary file and only a cache in memory.
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.execute("CREATE TABLE said (name TEXT PRIMARY KEY, item TEXT)")
        self._database.execute(
            "CREATE TABLE images (place INTEGER PRIMARY KEY, id TEXT UNIQUE, name TEXT, width INTEGER, height INTEGER,"
            " skipped TEXT)"
        )

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def keep(self, item: Fields, text: str) -> None:
        """Stores the exported JSON of an image. Raises PlatformRefused for a duplicate file name."""
        try:
            self._database.execute("INSERT INTO said VALUES (?, ?)", (item.text("file_name"), text))
        except sqlite3.IntegrityError:
            item.refuse("file_name", f"is '{item.text('file_name')}' for the second time, and labels go by file names")

    def add(self, image: RemoteImage, skipped: str = "") -> None:
        """Adds an image that is done, or skipped for the reason `skipped`. Duplicates count once."""
        row = (image.id, image.name, image.width, image.height, skipped)
        self._database.execute(
            "INSERT OR IGNORE INTO images (id, name, width, height, skipped) VALUES (?, ?, ?, ?, ?)", row
        )

    def ids(self) -> frozenset[str]:
        """Ids of the images that are done or skipped."""
        with self._lock:
            return frozenset(row[0] for row in self._database.execute("SELECT id FROM images"))

    def has_objects(self, name: str) -> bool:
        row = self._database.execute("SELECT item FROM said WHERE name = ?", (name,)).fetchone()
        item = json.loads(row[0]) if row else {}
        return bool(item.get("annotations") or item.get("classes"))

    def page(
        self, first: int, count: int, spelling: Spelling, notices: ShapeNotices
    ) -> tuple[tuple[LabeledImage, ...], tuple[ExcludedImage, ...], bool]:
        """Returns done images, skipped images, and whether more follow: `count` images after the first `first`.

        Invalid objects are left out and added to `notices`.
        """
        query = (
            "SELECT id, images.name, width, height, item, skipped FROM images LEFT JOIN said ON said.name = images.name"
            " WHERE place > ? ORDER BY place LIMIT ?"
        )
        with self._lock:
            rows = self._database.execute(query, (first, count + 1)).fetchall()
        labeled = tuple(_labeled(row[:-1], spelling, notices) for row in rows[:count] if not row[-1])
        return labeled, tuple(_skipped(row) for row in rows[:count] if row[-1]), len(rows) > count


def read(calls: RemoCalls, dataset: str, annotation_set: str) -> Reading:
    """Downloads the labels of an annotation set and the statuses of its images."""
    operation = f"read the labels of annotation set {annotation_set}"
    reading = Reading()
    with tempfile.TemporaryFile() as file:
        calls.export_annotations(annotation_set, file, "json", coordinates="pixel")
        file.seek(0)
        for number, (item, text) in enumerate(objects_of(file, operation)):
            reading.keep(Fields(NAME, operation, item, f"[{number}]"), text)
    images = if_known(
        _looked_at(calls, dataset, annotation_set, operation),
        lambda: _looked_at_one_by_one(calls, dataset, annotation_set, reading),
    )
    for image, status in images:
        reading.add(image, _SKIPPED.get(status, ""))
    return reading


def _looked_at(
    calls: RemoCalls, dataset: str, annotation_set: str, operation: str
) -> Iterator[tuple[RemoteImage, str]]:
    """Yields the images that are done or skipped, with their status, with or without objects.

    An image that only has objects is not included: they may be predictions.
    """
    session = calls.session
    if session.server().uploads_in_sessions:
        path = f"/api/v1/ui/annotation-sets/{annotation_set}/images/"
        images = session.pages(operation, path, page=calls.page_size)
        for image in images:
            if image.json.get("status") in _LOOKED_AT:
                yield image_from(image), image.text("status")
        return
    # 0.3 fails on that list. Its gallery returns done images first, then skipped ones, then the rest. Pages after the
    # first are requested with the id of a tracker, which remembers the images already returned.
    path, params = f"/api/dataset/{dataset}/annotation-set/{annotation_set}/image/", {"order": "annotated"}
    more: dict[str, str] = {}
    while True:
        limit = {"limit": calls.page_size}
        response = session.fields(operation, "GET", path, params={**params, **limit, **more})
        count = 0
        for image in response.each("results"):
            if image.json.get("status") not in _LOOKED_AT:
                return
            count += 1
            yield image_from(image), image.text("status")
        if not response.has("next") or not count:
            return
        tracker = _parameter(response.text("next"), "tracker_id")
        if not tracker:
            response.refuse("next", "names no tracker")
        more = {"tracker_id": tracker, "direction": "next"}


def _looked_at_one_by_one(
    calls: RemoCalls, dataset: str, annotation_set: str, reading: Reading
) -> Iterator[tuple[RemoteImage, str]]:
    """Yields the same for versions without such a list, with a request per image.

    None is needed for a complete set without skipped images: there every image is done.
    """
    sets = [candidate for candidate in calls.list_annotation_sets(dataset) if candidate.id == annotation_set]
    complete = any(candidate.complete for candidate in sets)
    all_done = complete and not any(candidate.skipped for candidate in sets)
    for image in calls.list_images(dataset):
        status = ImageStatus.DONE if all_done else _status_of(calls, dataset, annotation_set, image, reading)
        if status == _UNKNOWN and not complete:
            continue
        if status in (*_LOOKED_AT, _UNKNOWN):
            yield image, status


def _status_of(calls: RemoCalls, dataset: str, annotation_set: str, image: RemoteImage, reading: Reading) -> str:
    path = f"/api/dataset/{dataset}/annotation-set/{annotation_set}/image/{image.id}/annotation/"
    try:
        return calls.session.fields(f"read image {image.id}", "GET", path).text("status")
    except NotFound:
        return ImageStatus.DONE if reading.has_objects(image.name) else _UNKNOWN


def _parameter(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]


def objects_of(file: BinaryIO, operation: str) -> Iterator[tuple[Any, str]]:
    """Yields the objects of a JSON list, each with its text, without keeping the list in memory.

    Raises PlatformUnavailable for an incomplete list, as of a response that broke off.
    """
    window, decoder = _Window(file), json.JSONDecoder()
    if window.next() != "[":
        raise _broken(operation)
    mark = window.next()
    while mark != "]":
        window.place -= 1
        while True:
            try:
                item, end = decoder.raw_decode(window.text, window.place)
            except (ValueError, RecursionError):
                end = -1
            if 0 <= end < len(window.text):  # a value at the end of the window may continue
                break
            if not window.more():
                raise _broken(operation)
        yield item, window.text[window.place : end]
        window.place = end
        mark = window.next()
        if mark == ",":
            mark = window.next()
            if mark == "]":
                raise _broken(operation)
        elif mark != "]":
            raise _broken(operation)
    if window.next():
        raise _broken(operation)


class _Window:
    """A window of a text file that moves forward and drops the text before it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder("utf-8-sig")("replace")
        self.text, self.place = "", 0

    def more(self) -> bool:
        """Reads the next chunk. Returns False at the end of the file."""
        part = ""
        while not part and (chunk := self._file.read(_CHUNK)):
            part = self._decoder.decode(chunk)
        self.text, self.place = self.text[self.place :] + part, 0
        return bool(part)

    def next(self) -> str:
        """Consumes and returns the next character that is no blank; an empty text at the end."""
        while True:
            match = _NO_BLANK.search(self.text, self.place)
            if match:
                self.place = match.end()
                return match[0]
            self.place = len(self.text)
            if not self.more():
                return ""


def _broken(operation: str) -> PlatformUnavailable:
    return PlatformUnavailable(
        NAME, operation, status=200, message="the export is no whole JSON list", advice="Try again."
    )


def _skipped(row: tuple[str, str, int, int, str | None, str]) -> ExcludedImage:
    """Returns a skipped image as excluded, even if it has objects."""
    image, name, _, _, item, detail = row
    record = json.loads(item) if item else {}
    objects = record.get("annotations") or record.get("classes") or ()
    detail += f", with {len(objects)} label{'' if len(objects) == 1 else 's'} on it" if objects else ""
    return ExcludedImage(our_name(name), ImageState.SKIPPED, detail, image)


def _labeled(row: tuple[str, str, int, int, str | None], spelling: Spelling, notices: ShapeNotices) -> LabeledImage:
    image, name, width, height, item = row
    fields = Fields(NAME, f"read the labels of image '{name}'", json.loads(item) if item else {})
    try:
        size = Size(width, height)
    except InvalidShape as fault:
        fields.refuse("dimensions", f"cannot be: {fault}")
    annotations = tuple(_annotations(fields, our_name(name), size, spelling, notices))
    return LabeledImage(our_name(name), size, annotations, remote_id=image)


def _annotations(
    item: Fields, image: str, size: Size, spelling: Spelling, notices: ShapeNotices
) -> Iterator[Annotation]:
    if item.has("annotations"):
        for item_entry in item.each("annotations"):
            first = notices.keep(
                image, f"{item_entry.where} of image '{image}'", size, partial(_annotation, item_entry)
            )
            if first is not None:  # one annotation per class: in Remo an object may have several
                yield from (Annotation(spelling(name), first.shape) for name in _classes(item_entry))
    elif item.has("classes"):
        yield from (Annotation(spelling(name), WholeImage()) for name in _classes(item))


def _annotation(item: Fields) -> Annotation:
    """Returns an object with the first of its classes. Raises InvalidShape, PlatformRefused."""
    shape, classes = _shape(item), _classes(item)
    if not classes:
        raise InvalidShape("it has no class: give the object a class in Remo", "no class")
    return Annotation(classes[0], shape)


def _classes(item: Fields) -> list[str]:
    classes = item.list("classes")
    if not all(isinstance(name, str) and name for name in classes):
        item.refuse("classes", "holds what is no name")
    return classes


def _shape(item: Fields) -> Shape:
    """Returns a box or a polygon. Remo's corners may come in any order."""
    if item.has("bbox"):
        box = item.inner("bbox")
        xs, ys = (sorted(map(box.number, pair)) for pair in (("xmin", "xmax"), ("ymin", "ymax")))
        return Box(xs[0], ys[0], xs[1], ys[1])
    points = [(point.number("x"), point.number("y")) for point in item.each("segments")]
    if len(points) == 2:  # a rectangle
        (x1, y1), (x2, y2) = points
        return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return Polygon(tuple(distinct(points)))
