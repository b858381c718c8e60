"""Counts what a campaign's split would put into each part, for its plan."""

from __future__ import annotations

from collections import Counter

from labelwright.datasets.split_groups import SplitBy
from labelwright.datasets.splits import Split
from labelwright.ingest import InventoryItem

_SHOWN = 5


class SplitPreview:
    """Images and groups of each part."""

    def __init__(self, split: Split) -> None:
        self._split, self._by = split, split.grouping.by
        self._images: Counter[str] = Counter()
        self._groups: dict[str, str] = {}
        """By group, its part."""
        self._alone: list[str] = []
        self._alone_count = 0

    def add(self, item: InventoryItem) -> None:
        image = item.image
        part = self._split.part_of_image(image.name, image.sha256, item.group)
        self._images[part] += 1
        group = self._split.grouping.group_of(image.name, item.group)
        if group is not None:
            self._groups[group] = part
        elif self._by is not SplitBy.IMAGE:
            self._alone_count += 1
            if len(self._alone) < _SHOWN:
                self._alone.append(image.name)

    def counts(self) -> dict[str, dict[str, int]]:
        """By part: `images`, and `groups` where groups are kept together."""
        groups = Counter(self._groups.values())
        grouped = self._by is not SplitBy.IMAGE
        return {
            part: {"images": self._images[part]} | ({"groups": groups[part]} if grouped else {})
            for part in self._split.parts
        }

    def sentences(self) -> list[str]:
        """One for each part: "train: 80 images of 4 folders"."""
        return [
            f"{part}: {count['images']:,} images"
            + (f" of {count['groups']:,} {self._by.plural}" if "groups" in count else "")
            for part, count in self.counts().items()
        ]

    def warnings(self) -> list[str]:
        """What is probably not meant."""
        found = []
        if self._alone_count:
            more = f" and {self._alone_count - _SHOWN:,} more" if self._alone_count > _SHOWN else ""
            why = "do not match export.split.pattern" if self._by is SplitBy.NAME_PATTERN else "have no group"
            found.append(
                f"{self._alone_count:,} images {why}, and are assigned to a part of the split one by one: "
                f"{', '.join(self._alone)}{more}"
            )
        empty = [part for part in self._split.parts if not self._images[part]]
        if empty and self._images:
            few = (
                "" if self._by is SplitBy.IMAGE else f": there are {len(self._groups):,} {self._by.plural}, each whole"
            )
            found.append(f"no image falls into {' and '.join(empty)} of the split{few}")
        return found
