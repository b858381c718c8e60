"""Finds near-duplicates: images whose perceptual hashes differ in few bits.

A group is an image and those that are near it. Each image is compared with the first ones of the groups before it, not
with every member: so a slow change over many frames of a video ends in several groups, none of which holds an image
that its first one does not look like.

Every hash is compared with those of all groups so far, which takes the same time whatever the hashes are: 100,000
images, no two alike, take seconds and 8 bytes and a name each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labelwright.domain import Reject

from .inventory import InventoryItem

MOST_BITS = 10
"""Bits of 64 that differ at most between near-duplicates. Different photographs differ in 20 and more."""


class NearImage(NamedTuple):
    """An image by its name in the source, and the location by which its source opens it."""

    name: str
    location: str


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """A group: the image that came first, and the others in the order of their source."""

    first: NearImage
    others: list[NearImage]


class NearDuplicateSearch:
    """Groups images in the order in which they come. Images without a hash are in no group."""

    def __init__(self, *, skip: bool = False) -> None:
        """`skip`: all images of a group but its first become rejects."""
        self._skip = skip
        self._hashes = np.empty(1024, np.uint64)
        self._firsts: list[NearImage] = []
        self._groups: dict[int, NearDuplicates] = {}

    def check(self, items: Iterable[InventoryItem | Reject]) -> Iterator[InventoryItem | Reject]:
        """Yields the items; with `skip`, near-duplicates of an image before them as rejects."""
        for item in items:
            if isinstance(item, Reject) or item.image.perceptual_hash is None:
                yield item
                continue
            image = NearImage(item.source_name or item.image.name, item.location)
            near = self._add(image, item.image.perceptual_hash)
            if near is None:
                yield item
                continue
            number, bits = near
            group = self._groups.setdefault(number, NearDuplicates(self._firsts[number], []))
            group.others.append(image)
            yield Reject(image.name, _reason(group.first.name, bits)) if self._skip else item

    def groups(self) -> list[NearDuplicates]:
        """Groups of two images and more, in the order of their first ones."""
        return [self._groups[number] for number in sorted(self._groups)]

    def _add(self, image: NearImage, perceptual_hash: int) -> tuple[int, int] | None:
        """The group whose first image is nearest to this one, and the bits that differ; None when it begins one."""
        value, count = np.uint64(perceptual_hash), len(self._firsts)
        if count:
            bits = np.bitwise_count(self._hashes[:count] ^ value)
            nearest = int(bits.argmin())
            if bits[nearest] <= MOST_BITS:
                return nearest, int(bits[nearest])
        if count == len(self._hashes):
            self._hashes = np.concatenate((self._hashes, np.empty_like(self._hashes)))
        self._hashes[count] = value
        self._firsts.append(image)
        return None


def in_words(groups: Sequence[NearDuplicates]) -> str:
    """How many groups there are, and how many images `skip` leaves out of them."""
    others = sum(len(group.others) for group in groups)
    return (
        f"{len(groups):,} group{'' if len(groups) == 1 else 's'} of near-duplicates: {others:,} "
        f"image{'' if others == 1 else 's'} besides the first of each"
    )


def _reason(first: str, bits: int) -> str:
    return (
        f"is a near-duplicate of '{first}', which is taken: {bits} of 64 bits of their perceptual hashes differ "
        "(images.near_duplicates: skip)"
    )
