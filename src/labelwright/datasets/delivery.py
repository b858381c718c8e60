"""Which images of a campaign a delivery takes, and the reason why it does not take each of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import orjson

from labelwright.domain import ImageState, ShapeNotice
from labelwright.domain.geometry import CROSSES_ITSELF, MALFORMED, NO_AREA, OUTSIDE
from labelwright.domain.spreadsheets import csv_cell

from .files import whole_file

REJECTED_CSV = "rejected.csv"
"""Images of the campaign that are not in a dataset, beside its files; its columns are `REJECTED_COLUMNS`."""

REJECTED_COLUMNS = ("image", "reason", "place")
"""`place` says what is wrong where in the image, or what the platform says about the image."""

DRAWN_WRONG = frozenset({CROSSES_ITSELF, OUTSIDE, NO_AREA, MALFORMED})
"""Reasons of shapes that an adapter dropped because of how they are drawn. Other shapes are dropped because no dataset
can hold them (polylines, points); their images are delivered."""

_MAX_PLACES = 5


class Reason(StrEnum):
    """Why an image is not in a delivery."""

    NOT_LABELED = "not labeled"
    DRAFT = "draft"
    IN_REVIEW = "in review"
    """Labeled, and not accepted yet where the campaign waits for that."""
    SKIPPED = "skipped"
    REJECTED = "rejected"
    DELETED = "deleted on the platform"
    SHAPE_REFUSED = "shape refused"
    """A label that the schema does not have, a forbidden geometry, a shape outside its image or one that crosses
    itself."""
    WRONG_SIZE = "wrong size"
    FAILED = "failed on the platform"


SETTLED = frozenset({Reason.SKIPPED, Reason.REJECTED, Reason.DELETED})
"""Reasons that people gave on the platform: no delivery waits for these images."""

REASONS = {
    ImageState.NOT_LABELED: Reason.NOT_LABELED,
    ImageState.DRAFT: Reason.DRAFT,
    ImageState.LABELED: Reason.IN_REVIEW,
    ImageState.SKIPPED: Reason.SKIPPED,
    ImageState.REJECTED: Reason.REJECTED,
    ImageState.GONE: Reason.DELETED,
    ImageState.FAILED: Reason.FAILED,
    ImageState.CANCELLED: Reason.FAILED,
}
"""By the state of an image that is excluded or not labeled."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image of the campaign that is not in a delivery."""

    name: str
    reason: Reason
    place: str = ""
    can_change: bool = False
    """Rejected by a review of its labels, so that they are corrected; other rejected images are rejected for good."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a delivery takes: every image of the manifest that is not listed."""

    images: int
    """Images of the manifest."""
    listed: tuple[ListedImage, ...] = ()
    """In the order of the manifest."""
    empty: int = 0
    """Images of the delivery that were labeled as having nothing in them (negative examples)."""
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    """Of the listed images."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(image.name for image in self.listed))

    @property
    def delivered(self) -> int:
        return self.images - len(self.listed)

    @property
    def complete(self) -> bool:
        """Whether no listed image can still be labeled or corrected."""
        return all(image.reason in SETTLED and not image.can_change for image in self.listed)

    def by_reason(self) -> dict[str, int]:
        """The number of listed images for each reason, the most frequent one first."""
        counts = Counter(image.reason for image in self.listed)
        order = list(Reason)
        return {reason.value: counts[reason] for reason in sorted(counts, key=lambda r: (-counts[r], order.index(r)))}

    def sentence(self) -> str:
        """For people: "60 of 100 images are ready; the other 40: 35 not labeled, 3 skipped, 2 shape refused"."""
        ready = f"{self.delivered:,} of {self.images:,} images are ready"
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.by_reason().items())
        return f"{ready}; the other {len(self.listed):,}: {reasons}" if self.listed else ready

    def to_dict(self, most: int = 1000, source_names: Mapping[str, str] = MappingProxyType({})) -> dict[str, object]:
        """For receipts: the counts, and up to `most` of the listed images."""
        return {
            "images": self.images,
            "delivered": self.delivered,
            "empty": self.empty,
            "by_reason": self.by_reason(),
            "listed": [
                {
                    "image": source_names.get(image.name, image.name),
                    "reason": image.reason.value,
                    "place": image.place,
                }
                for image in self.listed[:most]
            ],
        }

    def write(self, path: Path) -> None:
        """Keeps the delivery for the steps that write and register it."""
        listed = [[image.name, image.reason.value, image.place, image.can_change] for image in self.listed]
        with whole_file(path, lasting=True) as file:
            file.write(orjson.dumps({"images": self.images, "empty": self.empty, "listed": listed}))


def read_delivery(path: Path) -> Delivery | None:
    """The delivery that was kept at the path; None when there is none."""
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    listed = tuple(ListedImage(name, Reason(reason), *rest) for name, reason, *rest in document["listed"])
    return Delivery(document["images"], listed, document["empty"])


def write_rejected(path: Path, images: Iterable[ListedImage]) -> None:
    """Writes a row of `REJECTED_COLUMNS` for each image. RFC 4180 with CR LF, in UTF-8, texts as they are."""
    with whole_file(path) as file:
        file.write(",".join(REJECTED_COLUMNS).encode() + b"\r\n")
        for image in images:
            cells = (csv_cell(image.name), csv_cell(image.reason.value), csv_cell(image.place))
            file.write(b",".join(cells) + b"\r\n")


def images_drawn_wrong(notices: Iterable[ShapeNotice]) -> dict[str, str]:
    """Images of which a shape was dropped because of how it is drawn, with the place."""
    places: dict[str, list[str]] = {}
    for notice in notices:
        if notice.dropped and notice.reason in DRAWN_WRONG:
            places.setdefault(notice.image, []).append(f"{notice.reason}: {notice.detail}")
    return {name: joined_places(texts) for name, texts in places.items()}


def joined_places(places: Sequence[str]) -> str:
    """Several places of one image as one text."""
    more = f"; and {len(places) - _MAX_PLACES} more" if len(places) > _MAX_PLACES else ""
    return "; ".join(places[:_MAX_PLACES]) + more
