"""Pairs the objects of two versions of one image: as many as possible, and of equal labels where there is a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST_OVERLAP = 0.5
"""Intersection over union at which two objects may be the same one."""

_ANOTHER_PAIR, _SAME_LABEL = 100.0, 10.0
"""Weights: another pair counts more than equal labels of all, and these more than overlaps."""


def overlaps(first: Floats, second: Floats) -> Floats:
    """Intersection over union of boxes: n x 4 and m x 4 (xmin, ymin, xmax, ymax) give n x m. Empty boxes have 0."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = _areas(first)[:, None] + _areas(second)[None, :] - shared
    ratios: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratios


def shifts(first: Floats, second: Floats) -> Floats:
    """The largest difference of a corner's coordinate, in pixels, for each two boxes: n x m."""
    largest: Floats = np.abs(first[:, None, :] - second[None, :, :]).max(axis=2)
    return largest


def pair_objects(
    overlap: Floats, is_same_label: NDArray[np.bool_], may_pair: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Pairs of rows and columns, in order of the rows: the assignment of the largest weight.

    Args:
        overlap: of each two objects, n x m, 0 to 1.
        is_same_label, may_pair: of each two objects.
    """
    if may_pair.sum(axis=0).max() <= 1 and may_pair.sum(axis=1).max() <= 1:  # no choice, as in most images
        return [(row, column) for row, column in np.argwhere(may_pair).tolist()]
    pairs: list[tuple[int, int]] = []
    for rows, columns in _components(may_pair):
        block = np.ix_(rows, columns)
        weights = np.where(may_pair[block], _ANOTHER_PAIR + _SAME_LABEL * is_same_label[block] + overlap[block], 0.0)
        pairs += [
            (rows[row], columns[column]) for row, column in assign(weights) if may_pair[rows[row], columns[column]]
        ]
    return sorted(pairs)


def _components(linked: NDArray[np.bool_]) -> list[tuple[list[int], list[int]]]:
    """Rows and columns that are linked with one another, directly or by others."""
    components, left = [], set(np.flatnonzero(linked.any(axis=1)).tolist())
    while left:
        rows, columns, border = {left.pop()}, set[int](), True
        while border:
            columns = set(np.flatnonzero(linked[sorted(rows)].any(axis=0)).tolist())
            reached = set(np.flatnonzero(linked[:, sorted(columns)].any(axis=1)).tolist())
            border = not reached <= rows
            rows |= reached
        left -= rows
        components.append((sorted(rows), sorted(columns)))
    return components


def assign(weights: Floats) -> list[tuple[int, int]]:
    """One column for each row, or one row for each column, so that the sum of weights is largest.

    The Hungarian method with potentials, in n² m steps (Kuhn 1955, Munkres 1957, Jonker and Volgenant 1987).
    """
    if weights.shape[0] > weights.shape[1]:
        return [(row, column) for column, row in assign(weights.T)]
    if weights.shape == (1, 1):
        return [(0, 0)]
    rows, columns = weights.shape
    costs = -weights
    row_potentials, column_potentials = np.zeros(rows + 1), np.zeros(columns + 1)
    owners = np.zeros(columns + 1, dtype=np.int64)  # of each column the row, counted from 1; 0: none
    for row in range(1, rows + 1):
        owners[0], column = row, 0
        least = np.full(columns + 1, np.inf)
        came_from = np.zeros(columns + 1, dtype=np.int64)
        used = np.zeros(columns + 1, dtype=bool)
        while owners[column]:
            used[column] = True
            owner = owners[column]
            reduced = costs[owner - 1] - row_potentials[owner] - column_potentials[1:]
            better = ~used[1:] & (reduced < least[1:])
            least[1:][better] = reduced[better]
            came_from[1:][better] = column
            column = int(np.argmin(np.where(used, np.inf, least)[1:])) + 1
            step = least[column]
            row_potentials[owners[used]] += step
            column_potentials[used] -= step
            least[1:][~used[1:]] -= step
        while column:
            owners[column] = owners[came_from[column]]
            column = int(came_from[column])
    return sorted((int(owner) - 1, column - 1) for column, owner in enumerate(owners) if column and owner)


def _areas(boxes: Floats) -> Floats:
    areas: Floats = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    return areas
