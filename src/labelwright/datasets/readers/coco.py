"""The one reader of COCO files: each annotation becomes one object, whatever the file has it drawn with.

An object of one ring is a polygon. One of several rings, one of run lengths (compressed or not, a crowd or not) and one
whose ring crosses itself are masks, with just the pixels that pycocotools gives them. One without a segmentation is a
box. What cannot be an object of its image is an InvalidShape that says why.
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
"""Pixels that a shape may reach beyond its image without a word: models round."""

FARTHEST = 1e15
"""Pixels from the image. Beyond, doubles cannot tell neighbouring pixels apart."""

_LONGEST = 1e7
"""Pixels. pycocotools takes 80 bytes for each pixel of an outline, and crashes the process beyond some 100 million."""


class CocoRefused(ValueError):
    """An annotation file that cannot be used, or not with these categories: why."""


@dataclass(frozen=True, slots=True)
class CocoShape:
    """An annotation's shape, within its image."""

    shape: Box | Polygon | Mask
    box: Box
    """The file's own box where it has one, else the one around the shape."""
    cut: bool = False
    """Whether it reached beyond the image by more than a rounding, and was cut to it."""


class CocoFile:
    """A COCO file: images, categories and annotations, as they are said. Raises CocoRefused."""

    def __init__(self, file: Path) -> None:
        self.file = Path(file)
        self.coco = _opened(self.file)
        self.categories: dict[int, str] = {int(one["id"]): str(one["name"]) for one in self.coco.dataset["categories"]}

    def images(self) -> Iterator[Mapping[str, Any]]:
        """In the order of the file."""
        return iter(self.coco.dataset["images"])

    def annotations(self, image_id: int) -> Sequence[Mapping[str, Any]]:
        return self.coco.imgToAnns.get(image_id, ())  # type: ignore[no-any-return]

    def strays(self) -> Iterator[Mapping[str, Any]]:
        """Annotations on images that the file does not have."""
        return (one for one in self.coco.dataset["annotations"] if one.get("image_id") not in self.coco.imgs)

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
            whole = box_of(box)
            shape, cut = whole.clamp(size), not nearly_inside(whole, size)
        else:
            return None
        around = box_of(box).clamp(size) if box and segmentation else shape.box
        return CocoShape(shape, around, cut)


def segmented(segmentation: Any, size: Size) -> tuple[Polygon | Mask, bool]:
    """The shape of a segmentation, and whether it was cut to its image. Raises InvalidShape."""
    if isinstance(segmentation, Mapping):
        return _mask(run_lengths(segmentation, size)), False
    rings = [ring_of(one) for one in segmentation] if isinstance(segmentation, list) else []
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
    """A ring as numbers. Raises InvalidShape for what is none."""
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2:
        count = len(values) if isinstance(values, list) else 0
        raise InvalidShape(f"a ring of {count} numbers; it takes an even number from 6")
    if not all(_is_number(one) for one in values):
        raise InvalidShape("a ring with something in it that is no number")
    return [float(one) for one in values]


def box_of(values: Any) -> Box:
    """Raises InvalidShape."""
    if not isinstance(values, list) or len(values) != 4 or not all(_is_number(one) for one in values):
        raise InvalidShape("its bbox is not four numbers")
    return Box.from_xywh(*(float(one) for one in values))


def run_lengths(segmentation: Mapping[str, Any], size: Size) -> np.ndarray[Any, Any]:
    """Which pixels of the image are set (rows from the top)."""
    from pycocotools import mask

    said, counts = segmentation.get("size"), segmentation.get("counts")
    if said != [size.height, size.width]:
        raise InvalidShape(f"its run lengths are of {said} pixels (height, width), not {[size.height, size.width]}")
    if isinstance(counts, str):
        counts = _uncompressed(counts)
    if not isinstance(counts, list):
        raise InvalidShape("its run lengths cannot be read: they are neither a list nor a text")
    # pycocotools leaves pixels behind the last run as they were in memory.
    whole = all(isinstance(one, int) and one >= 0 for one in counts)
    if not whole or sum(counts) != size.width * size.height:
        raise InvalidShape("its run lengths do not make up the image")
    try:
        return np.asarray(mask.decode(mask.frPyObjects({"size": said, "counts": counts}, size.height, size.width)))
    except Exception as fault:  # noqa: BLE001 - pycocotools raises what its C code happens to
        raise InvalidShape(f"its run lengths cannot be read ({type(fault).__name__})") from None


def _uncompressed(text: str) -> list[int]:
    """The run lengths in COCO's compressed form: five bits a character, from the third on as differences to the last
    but one. Raises InvalidShape for a text that breaks off."""
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
    except ValueError as fault:
        raise InvalidShape(f"a ring that cannot be cut to its image: {fault}") from None
    if not all(map(_is_short, parts)):
        raise InvalidShape(f"a ring of more than {_LONGEST:,.0f} pixels' length")
    return parts


def _is_short(ring: list[float]) -> bool:
    values = np.asarray(ring)
    edges = np.abs(values.reshape(-1, 2) - np.roll(values.reshape(-1, 2), 1, axis=0))
    return bool(np.abs(values).max() <= _LONGEST and edges.max(axis=1).sum() <= _LONGEST)


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
    """In pairs; a corner said twice in a row counts once."""
    pairs = list(zip(ring[::2], ring[1::2], strict=True))
    return tuple(pair for pair, before in zip(pairs, [None, *pairs], strict=False) if pair != before)


def nearly_inside(box: Box, size: Size) -> bool:
    return (
        box.xmin >= -ROUNDING
        and box.ymin >= -ROUNDING
        and box.xmax <= size.width + ROUNDING
        and box.ymax <= size.height + ROUNDING
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _opened(file: Path) -> Any:
    """pycocotools' index of the file. Annotations without an id, as models write them, get one."""
    from pycocotools.coco import COCO

    try:
        told = json.loads(file.read_text(encoding="utf-8-sig"))
        if not isinstance(told, dict) or not {"images", "annotations", "categories"} <= set(told):
            raise CocoRefused(f"{file} has no images, annotations and categories: is it a COCO instances file?")
        unused = max((one["id"] for one in told["annotations"] if isinstance(one.get("id"), int)), default=0) + 1
        for one in told["annotations"]:
            if "id" not in one:
                one["id"], unused = unused, unused + 1
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
            coco = COCO()
            coco.dataset = told
            coco.createIndex()
    except FileNotFoundError:
        raise CocoRefused(f"{file}: there is no such file") from None
    except (OSError, ValueError, AssertionError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        if isinstance(fault, CocoRefused):
            raise
        raise CocoRefused(f"{file} cannot be read as COCO: {fault!r}") from None
    return coco
