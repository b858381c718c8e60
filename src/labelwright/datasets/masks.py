"""Masks for those who read them: COCO's run lengths, and polygons that cover the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from labelwright.domain import Size

from .outlines import Loop, outlines


def coco_runs(flat: Sequence[int], size: Size) -> dict[str, Any]:
    """A mask (`Mask.flat`) as COCO's uncompressed run lengths: of the whole image, column after column, first those
    that are not set."""
    bits, left, top = _bits(flat)
    x, y = np.nonzero(bits.T)
    places = (x + left) * size.height + y + top
    gaps = np.flatnonzero(np.diff(places) != 1)
    starts, ends = places[np.r_[0, gaps + 1]], places[np.r_[gaps, len(places) - 1]] + 1
    borders = np.r_[0, np.stack((starts, ends), axis=1).reshape(-1), size.height * size.width]
    counts = np.diff(borders).tolist()
    return {"size": [size.height, size.width], "counts": counts if counts[-1] else counts[:-1]}


def polygons_of(flat: Sequence[int]) -> list[Loop]:
    """Polygons that together cover just the pixels of a mask; see `outlines`."""
    bits, left, top = _bits(flat)
    return [[(x + left, y + top) for x, y in loop] for loop in outlines(bits)]


def _bits(flat: Sequence[int]) -> tuple[np.ndarray[Any, Any], int, int]:
    """The pixels in the smallest box around them, its left and its top."""
    runs = np.asarray(flat, dtype=np.int64).reshape(-1, 3)
    left, top = int(runs[:, 1].min()), int(runs[:, 0].min())
    bits = np.zeros((int(runs[:, 0].max()) - top + 1, int(runs[:, 2].max()) - left), dtype=bool)
    for y, start, end in runs.tolist():
        bits[y - top, start - left : end - left] = True
    return bits, left, top
