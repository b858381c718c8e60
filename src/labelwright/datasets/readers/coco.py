"""Reads COCO files: each annotation becomes one shape.

One ring becomes a polygon, or a box when it is the four corners of its `bbox`: Labelwright, pycocotools and others
write boxes so, for readers that expect a segmentation. Several rings, run lengths (compressed or not, a crowd or not)
and a ring that crosses itself become a mask, with exactly the pixels that pycocotools gives them. An annotation without
a segmentation becomes a box. An annotation that is no shape within its image raises InvalidShape with the reason.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from labelwright.domain import Box, InvalidShape, Mask, Polygon, Size
from labelwright.domain.planar import clip_ring, distinct

ROUNDING = 1.0
"""Pixels that a shape may reach beyond its image without being reported as cut: models round."""

FARTHEST = 1e15
"""Pixels from the image. Beyond, doubles cannot tell neighbouring pixels apart."""

_SAME = 1e-6
"""Pixels by which the corner of a ring may differ from that of its bbox: sums of doubles are rounded."""

_MAX_OUTLINE = 1e7
"""Pixels. pycocotools takes 80 bytes for each pixel of an outline, and crashes the process beyond some 100 million."""


class CocoRefused(ValueError):
    """An annotation file that cannot be used, or not with these categories; the message says why."""


@dataclass(frozen=True, slots=True)
class CocoShape:
    """An annotation's shape, within its image."""

    shape: Box | Polygon | Mask
    box: Box
    """The file's own box where it has one, else the one around the shape."""
    cut: bool = False
    """Whether it reached beyond the image by more than ROUNDING, and was cut to it."""
    outline: Polygon | None = None
    """The ring of a box that is in the file as its four corners: for labels that are drawn as polygons."""


class CocoFile:
    """A COCO file: images, categories and annotations as they are in the file. Raises CocoRefused."""

    def __init__(self, file: Path) -> None:
        self.file = Path(file)
        self.coco = _load(self.file)
        self.categories: dict[int, str] = {
            int(category["id"]): str(category["name"]) for category in self.coco.dataset["categories"]
        }

    def images(self) -> Iterator[Mapping[str, Any]]:
        """In the order of the file."""
        return iter(self.coco.dataset["images"])

    def annotations(self, image_id: int) -> Sequence[Mapping[str, Any]]:
        return self.coco.imgToAnns.get(image_id, ())  # type: ignore[no-any-return]

    def strays(self) -> Iterator[Mapping[str, Any]]:
        """Annotations on images that the file does not have."""
        annotations = self.coco.dataset["annotations"]
        return (annotation for annotation in annotations if annotation.get("image_id") not in self.coco.imgs)

    def shape_of(self, annotation: Mapping[str, Any], size: Size) -> CocoShape | None:
        """The annotation's shape in an image of this size; None for one that has neither segmentation nor box.

        Raises InvalidShape.
        """
        segmentation, box = annotation.get("segmentation"), annotation.get("bbox")
        shape: Box | Polygon | Mask
        cut = False
        if segmentation:
            shape, cut = segmented(segmentation, size)
        elif box:
            unclamped = box_of(box)
            shape, cut = unclamped.clamp(size), not nearly_inside(unclamped, size)
        else:
            return None
        bounding_box = box_of(box).clamp(size) if box and segmentation else shape.box
        if box and isinstance(shape, Polygon) and _is_its_box(segmentation, box_of(box)):
            return CocoShape(bounding_box, bounding_box, cut, outline=shape)
        return CocoShape(shape, bounding_box, cut)


def _is_its_box(segmentation: Any, box: Box) -> bool:
    """Whether the segmentation is one ring of the box's four corners, in any order around it."""
    if not isinstance(segmentation, list) or len(segmentation) != 1:
        return False
    ring = _corners(ring_of(segmentation[0]))
    ring = ring[:-1] if len(ring) == 5 and ring[0] == ring[-1] else ring
    corners = {(x, y) for x in (box.xmin, box.xmax) for y in (box.ymin, box.ymax)}
    matched = [(a, b) for x, y in ring for a, b in corners if abs(x - a) + abs(y - b) < _SAME]
    return len(ring) == 4 and len(matched) == 4 and set(matched) == corners


def segmented(segmentation: Any, size: Size) -> tuple[Polygon | Mask, bool]:
    """The shape of a segmentation, and whether it was cut to its image. Raises InvalidShape."""
    if isinstance(segmentation, Mapping):
        return _mask(run_lengths(segmentation, size)), False
    rings = [ring_of(values) for values in segmentation] if isinstance(segmentation, list) else []
    if not rings:
        raise InvalidShape("its segmentation is neither rings nor run lengths")
    flat = np.concatenate([np.asarray(ring, dtype=float) for ring in rings])
    xs, ys = flat[::2], flat[1::2]
    near = xs.min() >= -ROUNDING and ys.min() >= -ROUNDING
    near = near and xs.max() <= size.width + ROUNDING and ys.max() <= size.height + ROUNDING
    if len(rings) == 1:
        with contextlib.suppress(InvalidShape):
            polygon = Polygon(_corners(rings[0])).clamp(size)
            if isinstance(polygon, Polygon):
                return polygon, not near
    parts = [part for ring in rings for part in _bounded(ring, size)]
    if not parts:
        raise InvalidShape("it covers no pixel of its image")
    return _mask(_rasterized(parts, size)), not near


def ring_of(values: Any) -> list[float]:
    """The numbers of a ring: x1, y1, x2, y2, ... Raises InvalidShape."""
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2:
        count = len(values) if isinstance(values, list) else 0
        raise InvalidShape(f"a ring of {count} numbers; it takes an even number from 6")
    if not all(map(_is_number, values)):
        raise InvalidShape("a ring with something in it that is no number")
    return list(map(float, values))


def box_of(values: Any) -> Box:
    """The box of ``[x, y, width, height]``. Raises InvalidShape."""
    if not isinstance(values, list) or len(values) != 4 or not all(map(_is_number, values)):
        raise InvalidShape("its bbox is not four numbers")
    return Box.from_xywh(*map(float, values))


def run_lengths(segmentation: Mapping[str, Any], size: Size) -> np.ndarray[Any, Any]:
    """Decodes run lengths: height x width, not zero where a pixel is set. Raises InvalidShape."""
    from pycocotools import mask

    shape, counts = segmentation.get("size"), segmentation.get("counts")
    if shape != [size.height, size.width]:
        raise InvalidShape(f"its run lengths are of {shape} pixels (height, width), not {[size.height, size.width]}")
    if isinstance(counts, str):
        counts = _uncompressed(counts)
    if not isinstance(counts, list):
        raise InvalidShape("its run lengths cannot be read: they are neither a list nor a text")
    # pycocotools leaves pixels behind the last run as they were in memory.
    valid = all(isinstance(count, int) and count >= 0 for count in counts)
    if not valid or sum(counts) != size.width * size.height:
        raise InvalidShape("its run lengths do not add up to the image")
    try:
        return np.asarray(mask.decode(mask.frPyObjects({"size": shape, "counts": counts}, size.height, size.width)))
    except Exception as error:  # noqa: BLE001 - pycocotools raises what its C code happens to
        raise InvalidShape(f"its run lengths cannot be read ({type(error).__name__})") from None


def _uncompressed(text: str) -> list[int]:
    """Decodes COCO's compressed run lengths. Raises InvalidShape for a text that breaks off.

    Five bits per character; from the third count on, differences to the last but one.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise InvalidShape("its run lengths break off")
    return counts


def _bounded(ring: list[float], size: Size) -> list[list[float]]:
    """The ring as it is; of one whose outline is too long for pycocotools, what lies in the image."""
    if _is_short(ring):
        return [ring]
    if max(map(abs, ring)) > FARTHEST:
        raise InvalidShape(f"a ring with a corner more than {FARTHEST:g} pixels from its image")
    corners = distinct(zip(ring[::2], ring[1::2], strict=True))
    try:
        parts = [[value for corner in part for value in corner] for part in clip_ring(corners, size.width, size.height)]
    except ValueError as error:
        raise InvalidShape(f"a ring that cannot be cut to its image: {error}") from None
    if not all(map(_is_short, parts)):
        raise InvalidShape(f"a ring of more than {_MAX_OUTLINE:,.0f} pixels' length")
    return parts


def _is_short(ring: list[float]) -> bool:
    values = np.asarray(ring)
    edges = np.abs(values.reshape(-1, 2) - np.roll(values.reshape(-1, 2), 1, axis=0))
    return bool(np.abs(values).max() <= _MAX_OUTLINE and edges.max(axis=1).sum() <= _MAX_OUTLINE)


def _rasterized(rings: Sequence[Sequence[float]], size: Size) -> np.ndarray[Any, Any]:
    """The pixels of all rings together, as pycocotools sets them."""
    from pycocotools import mask

    encoded = mask.merge(mask.frPyObjects([list(ring) for ring in rings], size.height, size.width))
    return np.asarray(mask.decode(encoded))


def _mask(bits: np.ndarray[Any, Any]) -> Mask:
    if not bits.any():
        raise InvalidShape("it covers no pixel of its image")
    edges = np.diff(np.pad(bits != 0, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    return Mask(tuple(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)))


def _corners(ring: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """The corners as pairs, without repetitions in a row."""
    pairs = list(zip(ring[::2], ring[1::2], strict=True))
    return tuple(pair for pair, previous in zip(pairs, [None, *pairs], strict=False) if pair != previous)


def nearly_inside(box: Box, size: Size) -> bool:
    return (
        box.xmin >= -ROUNDING
        and box.ymin >= -ROUNDING
        and box.xmax <= size.width + ROUNDING
        and box.ymax <= size.height + ROUNDING
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _load(file: Path) -> Any:
    """Loads the file into pycocotools' index. Annotations without an id, as models write them, get one."""
    from pycocotools.coco import COCO

    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        if not isinstance(document, dict) or not {"images", "annotations", "categories"} <= set(document):
            raise CocoRefused(f"{file} has no images, annotations and categories: is it a COCO instances file?")
        annotations = document["annotations"]
        ids = (annotation["id"] for annotation in annotations if isinstance(annotation.get("id"), int))
        unused_id = max(ids, default=0) + 1
        for annotation in annotations:
            if "id" not in annotation:
                annotation["id"], unused_id = unused_id, unused_id + 1
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
            coco = COCO()
            coco.dataset = document
            coco.createIndex()
    except FileNotFoundError:
        raise CocoRefused(f"{file}: there is no such file") from None
    except (OSError, ValueError, AssertionError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, CocoRefused):
            raise
        raise CocoRefused(f"{file} cannot be read as COCO: {error!r}") from None
    return coco
