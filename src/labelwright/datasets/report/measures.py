"""Counts, sizes and positions of the objects of a version, and objects that a person should look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from labelwright.datasets.comparison.labels import LabelColumns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

WHOLE_SHARE, LEAST_SIDE, LARGEST_ASPECT = 0.95, 4.0, 20.0
"""Of the image's area; pixels; longer by shorter side."""
MEDIANS_APART, LEAST_OBJECTS = 3.0, 10
"""Median absolute deviations that a labeler's median size may be off, and objects that he or she needs for that."""
GRID = 10
"""Rows and columns of the map of positions."""
_QUARTILES = (0, 25, 50, 75, 100)


class Kind(StrEnum):
    """Why somebody should look at an object."""

    WHOLE_IMAGE = "boxes of more than 95 % of the image"
    TINY = "boxes less than 4 pixels wide or high"
    THIN = "boxes more than 20 times as long as wide"
    TWICE = "boxes that are there twice, with the same label"


@dataclass(frozen=True, slots=True)
class Finding:
    """An object that somebody should look at."""

    kind: Kind
    image: str
    label: str
    box: tuple[float, float, float, float]
    labeler: str
    sha256: str = ""
    """Of the image, where the hashes are known."""


@dataclass
class Measures:
    """Of one version. Sizes are square roots of areas of boxes, in pixels."""

    images: int
    images_without_labels: int
    objects: dict[str, int]
    """By label, in the order of the schema, labels that were never used among them."""
    images_by_label: dict[str, int]
    whole_image_labels: dict[str, int]
    sizes: dict[str, list[float]]
    """By label: the smallest, the quartiles, the largest."""
    per_image: dict[int, int]
    """Images by their number of objects."""
    positions: list[list[int]]
    """Objects by where their center is: GRID rows from the top, GRID columns from the left."""
    together: dict[str, dict[str, int]]
    """Images that have both labels, for each two labels."""
    labelers: dict[str, dict[str, float]]
    """Number of objects, and median size."""
    origins: dict[str, dict[str, int]]
    """Number of objects by origin, where it is known, and the version of the model (empty: none, or not known)."""
    unused: list[str]
    """Labels of the schema that nothing has."""
    unusual_labelers: list[str]
    """Whose median size is far from that of all objects."""
    found: dict[str, int] = field(default_factory=dict)
    """Number of findings by kind."""
    findings: list[Finding] = field(default_factory=list)
    """The first of each kind."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        document = asdict(self)
        document["findings"] = [asdict(finding) | {"kind": str(finding.kind)} for finding in self.findings]
        return document

    def sentences(self) -> list[str]:
        """What somebody should look at, for people."""
        return [f"{kind}: {count:,}" for kind, count in self.found.items() if count] + self.remarks()

    def remarks(self) -> list[str]:
        """Those that are not about single objects."""
        return [f"the label '{name}' was never used" for name in self.unused] + [
            f"the objects of {name} are of another size than those of the others" for name in self.unusual_labelers
        ]


def measure(labels: LabelColumns, schema: Sequence[str], *, most: int = 100) -> Measures:
    """Measures a version. `schema`: names of its labels; `most`: findings that are listed of each kind."""
    drawn = ~np.isnan(labels.corners[:, 0])
    names = [*schema, *(name for name in labels.labels if name not in schema)]
    order = {name: number for number, name in enumerate(names)}
    codes = (
        np.array([order[name] for name in labels.labels], dtype=np.int64)[labels.codes]
        if labels.labels
        else labels.codes
    )
    with_labels = np.zeros((len(labels.sha256), len(names)), dtype=bool)
    with_labels[labels.images, codes] = True
    corners, images, drawn_codes = labels.corners[drawn], labels.images[drawn], codes[drawn]
    sides = corners[:, 2:] - corners[:, :2]
    sizes = np.sqrt(np.clip(sides, 0, None).prod(axis=1))
    objects = np.bincount(drawn_codes, minlength=len(names)).tolist()
    whole = np.bincount(codes[~drawn], minlength=len(names)).tolist()
    counts, frequencies = np.unique(np.bincount(images, minlength=len(labels.sha256)), return_counts=True)
    labelers, unusual = _labelers(labels, drawn, sizes)
    result = Measures(
        images=len(labels.sha256),
        images_without_labels=int((~with_labels.any(axis=1)).sum()),
        objects=dict(zip(names, objects, strict=True)),
        images_by_label=dict(zip(names, with_labels.sum(axis=0).tolist(), strict=True)),
        whole_image_labels={name: number for name, number in zip(names, whole, strict=True) if number},
        sizes={
            name: np.percentile(sizes[drawn_codes == number], _QUARTILES).round(1).tolist()
            for number, name in enumerate(names)
            if objects[number]
        },
        per_image=dict(zip(counts.tolist(), frequencies.tolist(), strict=True)),
        positions=_positions(corners, labels.sizes[images]),
        together=_together(names, with_labels),
        labelers=labelers,
        origins=_origins(labels),
        unused=[name for number, name in enumerate(names) if not with_labels[:, number].any()],
        unusual_labelers=unusual,
    )
    for kind, places in _unusual_objects(labels, np.flatnonzero(drawn)):
        result.found[str(kind)] = len(places)
        result.findings += [_finding(labels, kind, place) for place in places[:most].tolist()]
    return result


def _positions(corners: Floats, sizes: Floats) -> list[list[int]]:
    grid = np.zeros((GRID, GRID), dtype=np.int64)
    if len(corners):
        centers = (corners[:, :2] + corners[:, 2:]) / 2 / np.maximum(sizes, 1)
        cells = np.clip((centers * GRID).astype(np.int64), 0, GRID - 1)
        np.add.at(grid, (cells[:, 1], cells[:, 0]), 1)
    counts: list[list[int]] = grid.tolist()
    return counts


def _together(names: list[str], with_labels: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    numbers = with_labels.astype(np.float64)
    pairs = (numbers.T @ numbers).astype(np.int64)
    return {
        name: {
            other: int(pairs[row, column]) for column, other in enumerate(names) if column != row and pairs[row, column]
        }
        for row, name in enumerate(names)
        if pairs[row].sum() > pairs[row, row]
    }


def _labelers(
    labels: LabelColumns, drawn: NDArray[np.bool_], sizes: Floats
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Objects and median size of each labeler who is known, and those whose median is far from that of all."""
    codes, measured, unusual = labels.labeled_by[drawn], dict[str, dict[str, float]](), list[str]()
    if not len(sizes):
        return measured, unusual
    middle = float(np.median(sizes))
    deviation = float(np.median(np.abs(sizes - middle)))
    for number, name in enumerate(labels.labelers):
        own = sizes[codes == number]
        if not name or not len(own):
            continue
        median = float(np.median(own))
        measured[name] = {"objects": len(own), "median_size": round(median, 1)}
        if len(own) >= LEAST_OBJECTS and len(own) < len(sizes) and abs(median - middle) > MEDIANS_APART * deviation:
            unusual.append(name)
    return measured, unusual


def _origins(labels: LabelColumns) -> dict[str, dict[str, int]]:
    """Of all objects, labels of whole images among them."""
    counts: dict[str, dict[str, int]] = {}
    pairs, numbers = np.unique(np.column_stack([labels.origin_of, labels.model_of]), axis=0, return_counts=True)
    for (origin, model), number in zip(pairs.tolist(), numbers.tolist(), strict=True):
        if labels.origins[origin]:
            counts.setdefault(labels.origins[origin], {})[labels.models[model]] = number
    return counts


def _unusual_objects(labels: LabelColumns, places: Places) -> Iterator[tuple[Kind, Places]]:
    corners, images = labels.corners[places], labels.images[places]
    sides = np.clip(corners[:, 2:] - corners[:, :2], 0, None)
    areas = labels.sizes[images].prod(axis=1)
    yield Kind.WHOLE_IMAGE, places[sides.prod(axis=1) > WHOLE_SHARE * np.maximum(areas, 1)]
    shorter, longer = sides.min(axis=1), sides.max(axis=1)
    yield Kind.TINY, places[shorter < LEAST_SIDE]
    yield Kind.THIN, places[(shorter >= LEAST_SIDE) & (longer > LARGEST_ASPECT * shorter)]
    keys = np.column_stack([images, labels.codes[places], corners])
    _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
    candidates = np.sort(first[counts > 1])
    yield Kind.TWICE, places[[place for place in candidates.tolist() if _is_plain(labels, int(places[place]))]]


def _is_plain(labels: LabelColumns, place: int) -> bool:
    """Whether the object is a box: two outlines may have one box around them."""
    return not labels.details.get(place, ("", ""))[0]


def _finding(labels: LabelColumns, kind: Kind, place: int) -> Finding:
    left, top, right, bottom = labels.corners[place].tolist()
    return Finding(
        kind,
        labels.names[int(labels.images[place])],
        labels.labels[int(labels.codes[place])],
        (left, top, right, bottom),
        labels.labelers[int(labels.labeled_by[place])],
        labels.sha256[int(labels.images[place])],
    )


def by_kind(findings: Iterable[Finding]) -> dict[Kind, list[Finding]]:
    grouped: dict[Kind, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.kind, []).append(finding)
    return grouped
