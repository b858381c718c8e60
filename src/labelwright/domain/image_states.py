"""The state of an image in a campaign, and images and shapes that are in no dataset."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ImageState(StrEnum):
    """State of one image of a campaign on its platform: the words for it in all layers, and in the ledger."""

    NOT_LABELED = "not labeled"
    DRAFT = "draft"
    LABELED = "labeled"
    EMPTY = "empty"
    """Labeled, without any object: a negative example."""
    SKIPPED = "skipped"
    """Skipped by a labeler: nothing is known about its content."""
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    GONE = "gone from the platform"
    """Deleted on the platform after it was uploaded."""
    FAILED = "failed on the platform"
    """The platform could not process it."""
    CANCELLED = "cancelled on the platform"
    """Work on it was cancelled on the platform."""


@dataclass(frozen=True, slots=True)
class ExcludedImage:
    """An image of the campaign that is in no dataset although work on it is over."""

    name: str
    state: ImageState
    """SKIPPED, REJECTED or GONE."""
    detail: str = ""
    """What the platform says about it, for people: where it was skipped or deleted."""
    remote_id: str = ""
    """The platform's id; empty when the image has none any more."""


@dataclass(frozen=True, slots=True)
class ShapeNotice:
    """A shape on the platform that is not in the dataset, or not as it was drawn."""

    reason: str
    """Short and the same for all shapes of a kind, so that they can be counted: "polyline", "crosses itself"."""
    image: str
    detail: str
    """Which shape and where on the platform, for people."""
    dropped: bool = True
    """False when the shape is in the dataset in a changed form, for example cut to its image."""
