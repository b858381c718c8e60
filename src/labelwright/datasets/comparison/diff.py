"""What changed between two versions: images by their SHA-256, objects by the best assignment within an image.

An object of the second version is the same as one of the first when they overlap by half (intersection over union; of
outlines and masks by their areas), or when no corner moved further than the tolerance. Equal objects are paired first.
Pairs are `unchanged`, `moved`, `relabeled`, or have other `attributes`; what has no partner is `added` or `removed`.
The comparison of two versions the other way round has the same pairs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from labelwright.domain.planar import compare_outlines

from .labels import LabelColumns
from .masks import Outline, outline_of, without_masks
from .matching import LEAST_OVERLAP, overlaps, pair_objects, shifts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_ATTRIBUTES = 1
_NO_DETAILS = ("", "")
_PAIRS = 10_000
"""Images whose objects are compared at once, which takes some 130 bytes an object."""


class Status(StrEnum):
    """What became of an object. Of several, the first one that applies."""

    RELABELED = "relabeled"
    MOVED = "moved"
    ATTRIBUTES = "attributes changed"
    UNCHANGED = "unchanged"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Change:
    """An object that is not as it was."""

    status: Status
    image: str
    """Name in the second version, or in the first one where that has it alone."""
    sha256: str
    before: str | None
    """Label in the first version; None for an added object."""
    after: str | None
    pixels: float
    """How far the farthest corner moved; 0 for what did not move."""
    box: tuple[float, float, float, float] | None
    """In the second version, of a removed object in the first; None for a label of the whole image."""
    labelers: tuple[str, str]
    """Of the first and the second version; empty where they are not known."""


@dataclass
class Comparison:
    """Counts of all objects, and the first changes."""

    tolerance: float
    images: dict[str, int]
    """`compared`, `renamed` of these, `only in the first`, `only in the second`, `changed`."""
    objects: Counter[Status] = field(default_factory=Counter)
    by_label: dict[str, Counter[Status]] = field(default_factory=lambda: defaultdict(Counter))
    """By the label in the second version; of a removed object that in the first."""
    by_labeler: dict[str, Counter[Status]] = field(default_factory=lambda: defaultdict(Counter))
    """In the same way."""
    changes: list[Change] = field(default_factory=list)
    """At most `most` of them, in the order of the images."""
    pixels_moved: list[float] = field(default_factory=list)
    masks_by_boxes: bool = False
    """Whether masks were compared by the boxes around them, since a version does not have their pixels."""

    @property
    def differs(self) -> bool:
        """Whether anything changed, apart from names of images."""
        return any(self.objects[status] for status in Status if status is not Status.UNCHANGED) or bool(
            self.images["only in the first"] or self.images["only in the second"]
        )

    @property
    def agreement(self) -> float | None:
        """Share of the objects of both versions that are unchanged; None without objects."""
        total = self.objects.total()
        return self.objects[Status.UNCHANGED] / total if total else None

    def to_dict(self) -> dict[str, Any]:
        moved = sorted(self.pixels_moved)
        return {
            "differs": self.differs,
            "agreement": None if self.agreement is None else round(self.agreement, 4),
            "tolerance": self.tolerance,
            "masks_by_boxes": self.masks_by_boxes,
            "images": self.images,
            "objects": {str(status): self.objects[status] for status in Status},
            "moved_pixels": {"median": moved[len(moved) // 2], "largest": moved[-1]} if moved else None,
            "by_label": _counts(self.by_label),
            "by_labeler": _counts(self.by_labeler),
            "changes": [
                {
                    "status": str(change.status),
                    "image": change.image,
                    "sha256": change.sha256,
                    "before": change.before,
                    "after": change.after,
                    "pixels": round(change.pixels, 3),
                    "box": change.box,
                    "labelers": change.labelers,
                }
                for change in self.changes
            ],
        }


def compare(first: LabelColumns, second: LabelColumns, *, tolerance: float = 0.0, most: int = 1000) -> Comparison:
    """Compares two versions.

    Args:
        tolerance: pixels that a corner may move without counting as moved.
        most: changes that are listed one by one; all are counted.
    """
    return _Comparer(first, second, tolerance, most).compared()


class _Comparer:
    def __init__(self, first: LabelColumns, second: LabelColumns, tolerance: float, most: int) -> None:
        by_boxes = first.lacks_masks or second.lacks_masks
        self._sides = (without_masks(first), without_masks(second)) if by_boxes else (first, second)
        self._starts = (first.starts(), second.starts())
        self._tolerance, self._most = tolerance, most
        names = {name: number for number, name in enumerate(dict.fromkeys([*first.labels, *second.labels]))}
        self._codes = [
            np.array([names[name] for name in side.labels], dtype=np.int32)[side.codes]
            if len(side.codes)
            else side.codes
            for side in self._sides
        ]
        self._names = list(names)
        self._comparison = Comparison(tolerance, {}, masks_by_boxes=by_boxes)

    def compared(self) -> Comparison:
        first, second = self._sides
        pairs, alone = _paired_images(first, second)
        result = self._comparison
        equal = self._equal_images(pairs)
        changed = 0
        for (one, other), is_equal in zip(pairs, equal, strict=True):
            if is_equal:
                for place in self._objects(1, other):
                    self._count(1, place, Status.UNCHANGED)
            else:
                changed += self._compare_image(one, other)
        for side in (0, 1):
            for image in alone[side]:
                self._record_unpaired(side, self._objects(side, image))
        result.images = {
            "compared": len(pairs),
            "renamed": sum(first.names[one] != second.names[other] for one, other in pairs),
            "changed": changed,
            "only in the first": len(alone[0]),
            "only in the second": len(alone[1]),
        }
        return result

    def _equal_images(self, pairs: list[tuple[int, int]]) -> NDArray[np.bool_]:
        """Of each pair, whether its objects are equal and in the same order, by whole columns."""
        detailed = [np.unique(side.images[list(side.details)]) for side in self._sides]
        return np.concatenate(
            [np.empty(0, dtype=bool)]
            + [
                self._equal_among(np.array(pairs[first : first + _PAIRS]), detailed)
                for first in range(0, len(pairs), _PAIRS)
            ]
        )

    def _equal_among(self, places: NDArray[np.int64], detailed: Sequence[NDArray[np.int32]]) -> NDArray[np.bool_]:
        """Of some pairs. `detailed`: for each version the images that have polygons, masks or attributes."""
        starts = [self._starts[side][places[:, side]] for side in (0, 1)]
        counts = [self._starts[side][places[:, side] + 1] - starts[side] for side in (0, 1)]
        equal: NDArray[np.bool_] = counts[0] == counts[1]
        for side in (0, 1):
            equal &= ~np.isin(places[:, side], detailed[side])
        lengths = np.where(equal, counts[0], 0)
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        one, other = (np.repeat(starts[side], lengths) + offsets for side in (0, 1))
        same = self._codes[0][one] == self._codes[1][other]
        corners = self._sides[0].corners[one], self._sides[1].corners[other]
        same &= ((corners[0] == corners[1]) | (np.isnan(corners[0]) & np.isnan(corners[1]))).all(axis=1)
        equal[np.repeat(np.arange(len(places)), lengths)[~same]] = False
        return equal

    def _objects(self, side: int, image: int) -> range:
        return range(int(self._starts[side][image]), int(self._starts[side][image + 1]))

    def _compare_image(self, one: int, other: int) -> bool:
        """Counts the objects of an image. Returns whether any of them changed."""
        left, changed = (list(self._objects(0, one)), list(self._objects(1, other))), False
        for pair in (self._equal_objects, self._similar_objects):
            for before, after, pixels in list(pair(*left)):
                left[0].remove(before)
                left[1].remove(after)
                status = self._status(before, after, pixels)
                changed |= status is not Status.UNCHANGED
                self._record(status, before, after, pixels)
        for side in (0, 1):
            self._record_unpaired(side, left[side])
        return changed or bool(left[0] or left[1])

    def _record_unpaired(self, side: int, places: Iterable[int]) -> None:
        """Records objects that only the first (0) or the second (1) version has."""
        for place in places:
            if side == 0:
                self._record(Status.REMOVED, place, None)
            else:
                self._record(Status.ADDED, None, place)

    def _status(self, before: int, after: int, pixels: float) -> Status:
        if self._codes[0][before] != self._codes[1][after]:
            return Status.RELABELED
        if pixels > self._tolerance:
            return Status.MOVED
        if self._detail(0, before)[_ATTRIBUTES] != self._detail(1, after)[_ATTRIBUTES]:
            return Status.ATTRIBUTES
        return Status.UNCHANGED

    def _equal_objects(self, before: list[int], after: list[int]) -> Iterator[tuple[int, int, float]]:
        """Pairs of equal label and shape, which moved by 0 pixels; those of equal attributes first."""
        rest = (before, after)
        for parts in (2, 1):  # polygon and attributes; polygon alone
            shelves: dict[Any, list[int]] = defaultdict(list)
            for place in rest[1]:
                shelves[self._key(1, place, parts)].append(place)
            found = []
            for place in rest[0]:
                shelf = shelves.get(self._key(0, place, parts))
                if shelf:
                    found.append((place, shelf.pop(0)))
            yield from ((one, other, 0.0) for one, other in found)
            ones, others = {one for one, _ in found}, {other for _, other in found}
            rest = ([place for place in rest[0] if place not in ones], [one for one in rest[1] if one not in others])

    def _key(self, side: int, place: int, parts: int) -> Any:
        corners = self._sides[side].corners[place].tolist()
        shape = None if corners[0] != corners[0] else tuple(corners)  # NaN: a label of the whole image
        return int(self._codes[side][place]), shape, self._detail(side, place)[:parts]

    def _similar_objects(self, before: list[int], after: list[int]) -> Iterator[tuple[int, int, float]]:
        """Pairs of the others, with the pixels by which they moved."""
        whole = [[place for place in places if np.isnan(self._sides[side].corners[place, 0])]
                 for side, places in enumerate((before, after))]  # fmt: skip
        for one, other in zip(*whole, strict=False):  # another label of the whole image
            yield one, other, 0.0
        drawn = [[place for place in places if place not in whole[side]] for side, places in enumerate((before, after))]
        if not drawn[0] or not drawn[1]:
            return
        # In one order whichever version comes first, so that ties are decided alike.
        for side in (0, 1):
            drawn[side].sort(key=lambda place, side=side: self._order(side, place))  # type: ignore[misc]
        turned = [self._order(0, place) for place in drawn[0]] > [self._order(1, place) for place in drawn[1]]
        overlap, moved = self._measures(*drawn)
        same = self._codes[0][drawn[0]][:, None] == self._codes[1][drawn[1]][None, :]
        may_pair = (overlap >= LEAST_OVERLAP) | (moved <= self._tolerance)
        if turned:
            pairs = [(one, other) for other, one in pair_objects(overlap.T, same.T, may_pair.T)]
        else:
            pairs = pair_objects(overlap, same, may_pair)
        for one, other in pairs:
            yield drawn[0][one], drawn[1][other], float(moved[one, other])

    def _order(self, side: int, place: int) -> tuple[Any, ...]:
        label = self._names[int(self._codes[side][place])]
        return (*self._sides[side].corners[place].tolist(), label, *self._detail(side, place))

    def _measures(self, before: list[int], after: list[int]) -> tuple[Floats, Floats]:
        """Overlaps and moved pixels of each two objects: by their boxes, and by their outlines where one has any."""
        boxes = self._sides[0].corners[before], self._sides[1].corners[after]
        overlap, moved = overlaps(*boxes), shifts(*boxes)
        outlined = [np.array([bool(self._detail(side, place)[0]) for place in places])
                    for side, places in enumerate((before, after))]  # fmt: skip
        for row, column in np.argwhere((outlined[0][:, None] | outlined[1][None, :]) & (overlap > 0)).tolist():
            outlines = self._outline(0, before[row]), self._outline(1, after[column])
            overlap[row, column], distance = compare_outlines(*outlines)
            moved[row, column] = max(moved[row, column], distance)
        return overlap, moved

    def _outline(self, side: int, place: int) -> Outline:
        text = self._detail(side, place)[0]
        if text:
            return outline_of(text)
        left, top, right, bottom = self._sides[side].corners[place].tolist()
        return [[(left, top), (right, top), (right, bottom), (left, bottom)]]

    def _detail(self, side: int, place: int) -> tuple[str, str]:
        """Polygon and attributes."""
        return self._sides[side].details.get(place, _NO_DETAILS)

    def _record(self, status: Status, before: int | None, after: int | None, pixels: float = 0.0) -> None:
        """Counts an object by its places in the two versions, and lists it when it changed."""
        side, place = (1, after) if after is not None else (0, before or 0)
        self._count(side, place, status)
        if status is Status.UNCHANGED:
            return
        if status is Status.MOVED:
            self._comparison.pixels_moved.append(pixels)
        if len(self._comparison.changes) >= self._most:
            return
        labels, shown = self._sides[side], self._sides[side].corners[place]
        image = int(labels.images[place])
        self._comparison.changes.append(
            Change(
                status,
                labels.names[image],
                labels.sha256[image],
                None if before is None else self._names[int(self._codes[0][before])],
                None if after is None else self._names[int(self._codes[1][after])],
                pixels,
                None if np.isnan(shown[0]) else tuple(shown.tolist()),
                (self._labeler(0, before), self._labeler(1, after)),
            )
        )

    def _count(self, side: int, place: int, status: Status) -> None:
        self._comparison.objects[status] += 1
        self._comparison.by_label[self._names[int(self._codes[side][place])]][status] += 1
        self._comparison.by_labeler[self._labeler(side, place)][status] += 1

    def _labeler(self, side: int, place: int | None) -> str:
        return "" if place is None else self._sides[side].labelers[int(self._sides[side].labeled_by[place])]


def _paired_images(
    first: LabelColumns, second: LabelColumns
) -> tuple[list[tuple[int, int]], tuple[list[int], list[int]]]:
    """Pairs of images of equal bytes (of copies, those of equal name), and the images that one version has alone."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, sha256 in enumerate(second.sha256):
        places[sha256].append(place)
    pairs, left = [], []
    for place, sha256 in enumerate(first.sha256):
        match = next((one for one in places.get(sha256, ()) if second.names[one] == first.names[place]), None)
        if match is None:
            left.append(place)
        else:
            places[sha256].remove(match)
            pairs.append((place, match))
    alone = []
    for place in left:
        copies = places.get(first.sha256[place])
        if copies:
            pairs.append((place, copies.pop(0)))
        else:
            alone.append(place)
    return sorted(pairs), (alone, sorted(place for copies in places.values() for place in copies))


def _counts(table: dict[str, Counter[Status]]) -> dict[str, dict[str, int]]:
    return {name: {str(status): counts[status] for status in Status} for name, counts in sorted(table.items())}
