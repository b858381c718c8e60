"""Training, validation and test images, assigned by the hash of the image or of the group that it belongs to.

The part of an image depends on nothing but its own bytes, or its group's name: when images are added, none of the
others changes its part, and two copies of one image, or two images of one group, are always in the same part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .split_groups import BY_IMAGE, Grouping
from .spool.batch import Batch

PARTS = ("train", "validation", "test")
_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Split:
    """Percentages of the three parts; together 100. Raises ValueError.

    The percentages hold for many images, or many groups: each is assigned as a whole, whatever its size.
    """

    train: float
    validation: float
    test: float = 0.0
    grouping: Grouping = BY_IMAGE

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) < 0 or abs(sum(shares) - 100) > 1e-6:
            raise ValueError(f"the percentages of a split must add up to 100, not {sum(shares):g}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts with more than 0 percent."""
        return tuple(part for part in PARTS if getattr(self, part))

    def part_of_image(self, name: str, sha256: str, group: str | None = None) -> str:
        """The part of an image by its name, hash, and group in the manifest."""
        return self.part_of(self.grouping.digest_of(name, sha256, group))

    def part_of(self, sha256: str) -> str:
        """The part of an image or a group by its hash."""
        percent = int(sha256[:15], 16) % _STEPS * 100 / _STEPS
        if percent < self.train:
            return "train"
        return "validation" if percent < self.train + self.validation else "test"


def split_batch(batch: Batch, split: Split) -> dict[str, Batch]:
    """The batch of each part, images in the same order; parts without an image are not there."""
    assigned = [split.part_of_image(image.name, image.sha256, image.group) for image in batch.images]
    return {part: select_images(batch, [name == part for name in assigned]) for part in split.parts if part in assigned}


def select_images(batch: Batch, selected: list[bool]) -> Batch:
    """The batch with some of its images and their objects, in the same order."""
    if all(selected):
        return batch
    mask = np.repeat(np.array(selected, dtype=bool), batch.counts)
    objects = np.flatnonzero(mask).tolist()
    images = [index for index, keep in enumerate(selected) if keep]
    return replace(
        batch,
        images=[batch.images[index] for index in images],
        sizes=[batch.sizes[index] for index in images],
        remote_ids=[batch.remote_ids[index] for index in images],
        counts=[batch.counts[index] for index in images],
        codes=batch.codes[mask],
        confidences=batch.confidences[mask],
        corners=batch.corners[mask],
        drawings={new: batch.drawings[old] for new, old in enumerate(objects) if old in batch.drawings},
        tags={new: batch.tags[old] for new, old in enumerate(images) if old in batch.tags},
        provenance=None if batch.provenance is None else batch.provenance.select(mask),
    )
