"""Counts the labels of a dataset while it is written."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from labelwright.domain import LabelSchema

from .spool.batch import Batch, Delivered

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BatchWatcher(Protocol):
    """Receives every batch of a delivery."""

    def add(self, batch: Batch) -> None: ...


class Statistics:
    """Counts per label of the schema, and of images with nothing in them.

    A watcher of `write_many`: it needs no pass of its own.
    """

    def __init__(self, schema: LabelSchema) -> None:
        self._names = schema.names
        self._objects: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()
        self._images: Counter[str] = Counter()
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


def count(labels: Delivered, schema: LabelSchema, *watchers: BatchWatcher) -> Statistics:
    """Counts labels in a pass of its own. `watchers` are handed every batch, too."""
    statistics = Statistics(schema)
    for batch in labels.batches():
        for watcher in (statistics, *watchers):
            watcher.add(batch)
    return statistics
