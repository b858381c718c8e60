"""Training, validation and test images, told apart by their SHA-256.

An image belongs to the part that its own bytes say, whatever else is in the dataset: when images are added, none that
was there changes sides, and two copies of one image are never on both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .spool.batch import Batch
from .writers.spreadsheet_safety import cell

if TYPE_CHECKING:
    from .writers.registry import Writer

PARTS = ("train", "validation", "test")
_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Split:
    """Percentages of the three parts; together 100. Raises ValueError."""

    train: float
    validation: float
    test: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) < 0 or abs(sum(shares) - 100) > 1e-6:
            raise ValueError(f"the parts of a split are percentages that make 100 together, not {sum(shares):g}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Those that are to hold anything."""
        return tuple(part for part in PARTS if getattr(self, part))

    def part_of(self, sha256: str) -> str:
        place = int(sha256[:15], 16) % _STEPS * 100 / _STEPS
        if place < self.train:
            return "train"
        return "validation" if place < self.train + self.validation else "test"


class OnlyPart:
    """What a writer makes of the images of one part."""

    def __init__(self, writer: Writer, split: Split, part: str) -> None:
        self._writer, self._split, self._part = writer, split, part

    def head(self) -> bytes:
        return self._writer.head()

    def body(self, batch: Batch) -> bytes:
        kept = [self._split.part_of(image.sha256) == self._part for image in batch.images]
        return self._writer.body(selected(batch, kept)) if any(kept) else b""

    def tail(self) -> Iterator[bytes]:
        return self._writer.tail()


class SplitCsv:
    """`<title>_split.csv`: which image is in which part, for whoever reads the CSV or the COCO file."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def head(self) -> bytes:
        return b"image_id,file_name,sha256,part\r\n"

    def body(self, batch: Batch) -> bytes:
        return b"".join(
            b"%d,%b,%b,%b\r\n"
            % (image.position, cell(image.name), image.sha256.encode(), self._split.part_of(image.sha256).encode())
            for image in batch.images
        )

    def tail(self) -> Iterator[bytes]:
        return iter(())


def selected(batch: Batch, kept: list[bool]) -> Batch:
    """The batch with some of its images and their objects, in the same order."""
    if all(kept):
        return batch
    objects = np.repeat(np.array(kept, dtype=bool), batch.counts)
    places = np.flatnonzero(objects).tolist()
    images = [place for place, one in enumerate(kept) if one]
    drawings = {new: batch.drawings[old] for new, old in enumerate(places) if old in batch.drawings}
    return replace(
        batch,
        images=[batch.images[place] for place in images],
        sizes=[batch.sizes[place] for place in images],
        remote_ids=[batch.remote_ids[place] for place in images],
        counts=[batch.counts[place] for place in images],
        codes=batch.codes[objects],
        confidences=batch.confidences[objects],
        corners=batch.corners[objects],
        drawings=drawings,
        tags={new: batch.tags[old] for new, old in enumerate(images) if old in batch.tags},
    )
