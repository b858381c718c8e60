"""Counts the labels of a dataset while it is written."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from labelwright.domain import LabelSchema

from .spool.batch import Batch, Delivered

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS_PER_DOUBLING = 8


class Statistics:
    """Counts per label of the schema, and of images with nothing in them.

    A watcher of `write_many`: it needs no pass of its own. Sizes of objects are kept as a histogram of their area (in
    pixels of their box) with eight steps per doubling, so quantiles are right within 5 percent and memory stays small.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self._names = schema.names
        self._objects: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()
        self._images: Counter[str] = Counter()
        self._areas: Counter[int] = Counter()
        self.images = 0
        self.images_without_objects = 0
        """Images without any label, neither of an object nor of the whole image."""

    def add(self, batch: Batch) -> None:
        self.images += len(batch.images)
        kinds = len(batch.names)
        self._objects.update(_counts_by_name(batch, np.bincount(batch.codes, minlength=kinds)))
        owners = np.repeat(np.arange(len(batch.images)), batch.counts)
        pairs = np.unique(owners * kinds + batch.codes)  # each label of each image once
        self._images.update(_counts_by_name(batch, np.bincount(pairs % kinds if kinds else pairs, minlength=kinds)))
        empty = np.array(batch.counts) == 0
        for index, tags in batch.tags.items():
            empty[index] = False
            self._whole.update(tag.label for tag in tags)
            drawn = {batch.names[pair % kinds] for pair in pairs[pairs // kinds == index].tolist()} if kinds else set()
            self._images.update({tag.label for tag in tags} - drawn)
        self.images_without_objects += int(empty.sum())
        if batch.objects:
            areas = np.prod(batch.corners[:, 2:] - batch.corners[:, :2], axis=1)
            steps = np.rint(np.log2(np.maximum(areas, 1e-9)) * _STEPS_PER_DOUBLING).astype(int)
            values, counts = np.unique(steps, return_counts=True)
            self._areas.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    @property
    def objects(self) -> int:
        return self._objects.total()

    @property
    def whole_image_labels(self) -> int:
        return self._whole.total()

    @property
    def labels(self) -> dict[str, dict[str, int]]:
        """Label -> ``{"objects", "images"}``, in the order of the schema, those that were never used too."""
        names = [*self._names, *sorted((self._objects | self._whole).keys() - set(self._names))]
        return {
            name: {"objects": self._objects[name] + self._whole[name], "images": self._images[name]} for name in names
        }

    def area_quantiles(self, fractions: tuple[float, ...] = (0.05, 0.5, 0.95)) -> dict[float, float]:
        """Square pixels of the objects' boxes, within 5 percent; empty without objects."""
        if not self._areas:
            return {}
        steps = sorted(self._areas)
        cumulative = np.cumsum([self._areas[step] for step in steps])
        indices = [int(np.searchsorted(cumulative, fraction * cumulative[-1])) for fraction in fractions]
        return {
            fraction: float(2 ** (steps[min(index, len(steps) - 1)] / _STEPS_PER_DOUBLING))
            for fraction, index in zip(fractions, indices, strict=True)
        }

    def to_table(self) -> list[dict[str, Any]]:
        """One row per label, as Prefect's table artifacts and rich take it."""
        return [{"label": name, **counts} for name, counts in self.labels.items()]

    def to_dict(self) -> dict[str, Any]:
        """For receipts."""
        return {
            "images": self.images,
            "images_without_objects": self.images_without_objects,
            "objects": self.objects,
            "whole_image_labels": self.whole_image_labels,
            "labels": self.labels,
        }


def _counts_by_name(batch: Batch, counts: NDArray[np.intp]) -> dict[str, int]:
    return {name: number for name, number in zip(batch.names, counts.tolist(), strict=True) if number}


def count(labels: Delivered, schema: LabelSchema) -> Statistics:
    """Counts labels in a pass of its own."""
    statistics = Statistics(schema)
    for batch in labels.batches():
        statistics.add(batch)
    return statistics
