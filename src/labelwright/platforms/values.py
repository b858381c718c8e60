"""Values that adapters take and return: what a campaign, an image or a batch is on its platform.

What a platform does not tell is None (or empty, where the field says so).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO

from labelwright.domain import ExcludedImage, Geometry, Image, ImageState, LabeledImage, LabelSchema, ShapeNotice
from labelwright.security.masking import mask, remember


class RemoteState(StrEnum):
    """State of a campaign on its platform."""

    CREATED = "created"
    ACTIVE = "active"
    COMPLETED = "completed"
    FINISHED = "finished"


class SetState(StrEnum):
    """State of an image set, or of a batch of images, on its platform."""

    CREATED = "created"
    FINISHING = "finishing"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is never shown: it is masked in every text from the moment it is created."""

    value: str

    def __post_init__(self) -> None:
        if "://" not in self.value:  # signed URLs of images are many, and their signatures are masked by their shape
            remember(self.value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class LabelerAccess:
    """What a labeler needs to log in. `secret` is None when the platform already knew the labeler."""

    email: str
    key: str
    secret: Secret | None


@dataclass(frozen=True, slots=True)
class CampaignOrder:
    """A campaign to create. `title` is its natural key: it is found again by that."""

    title: str
    labels: LabelSchema
    labeler: str
    """E-mail address, or whatever the platform identifies labelers by."""
    instructions: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    ignore_unsupported: bool = False
    """Leave out what the server cannot show to labelers, instead of refusing the campaign."""


@dataclass(frozen=True, slots=True)
class LabelerNote:
    """What a labeler wrote to whoever ordered the labels, about an image or a shape on it."""

    id: str
    image: str
    """Name of the image."""
    text: str
    author: str
    written_at: str
    """As the platform writes it."""
    label: str = ""
    """Of the shape that it is about; empty for a note about the image."""
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class LabelerProgress:
    """Progress of one labeler, where the platform reports it."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RemoteCampaign:
    """State and progress of a campaign on its platform."""

    id: str
    title: str
    state: RemoteState
    done: int
    """Images that are labeled."""
    total: int
    """Images in the campaign."""
    access: LabelerAccess | None = None
    """Only in the result of `create_campaign`."""
    labelers: tuple[LabelerProgress, ...] = ()
    """Empty where the platform does not report progress per labeler."""
    failed: int = 0
    """Images that are not labeled because the platform could not process them."""
    cancelled: int = 0
    """Images that are not labeled because work on them was cancelled."""
    skipped: int = 0
    """Images counted in `done` that labelers skipped."""
    gone: int = 0
    """Images counted in `done` and `total` that were deleted on the platform. Where the platform keeps no trace of a
    deleted image, `total` is smaller instead."""
    lost_with_tasks: bool = False
    """True: images missing from `total` belonged to deleted tasks, and are sent again. False: single images were
    deleted."""
    labels: PlatformLabels | None = None
    """Where the response that tells the state has them too; None: use `ListsLabels`."""
    unanswered_notes: int = 0
    """Notes of labelers without an answer, where the response that tells the state counts them."""


@dataclass(frozen=True, slots=True)
class RemoteImageSet:
    """A set of images that exists on the platform independently of campaigns."""

    id: str
    title: str
    state: SetState
    rejected: tuple[tuple[str, str], ...] = ()
    """Name and reason of each file that the platform rejected."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rejected", tuple((name, mask(reason)) for name, reason in self.rejected))


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image on its platform."""

    id: str
    name: str
    """The name under which it was uploaded."""
    width: int
    height: int
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ImageToSend:
    """An image to upload into a campaign."""

    image: Image
    open: Callable[[], BinaryIO] = field(repr=False)
    """Opens the file at its start; the caller closes it. May be called more than once."""
    url: Secret | None = None
    """A URL at which the platform can read it while labeling may last; None when the image is only on this machine."""


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """State of a batch of images that was sent into a campaign."""

    state: SetState
    """CREATED: nothing of the batch is on the platform."""
    rejected: tuple[tuple[str, str], ...] = ()
    """Name and reason of each image that the platform rejected for good."""
    message: str = ""
    """The platform's error message when the batch failed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rejected", tuple((name, mask(reason)) for name, reason in self.rejected))
        object.__setattr__(self, "message", mask(self.message))


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image of a campaign that is not labeled and will not be, unless it is sent again."""

    id: str
    name: str
    """The name under which it was sent."""
    reason: str
    """The platform's error message, without signed URLs."""
    cancelled: bool = False
    """True when work on it was cancelled, False when it failed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", mask(self.reason))


@dataclass(frozen=True, slots=True)
class UnlabeledImage:
    """An image of a campaign whose labels `read_labels` does not return yet."""

    id: str
    name: str
    """The name under which it was sent; empty where the platform does not tell it with the state."""
    state: ImageState
    """NOT_LABELED, DRAFT, LABELED (it waits for its review), REJECTED, FAILED or CANCELLED."""
    detail: str = ""
    """Where it is on the platform, or what is wrong with it, for people."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", mask(self.detail))


@dataclass(frozen=True, slots=True)
class PlatformLabels:
    """Labels that labelers can choose from in a campaign."""

    names: tuple[str, ...]
    """In the campaign's own spelling, where the platform changes the spelling of labels."""
    attributes: Mapping[str, frozenset[str]] | None = None
    """Attribute names per label; None where the platform does not list them."""
    geometries: Mapping[str, Geometry] | None = None
    """Geometry per label; None where the platform does not list it."""
    shared: bool = False
    """True when other campaigns use the same list, which then may hold labels that this campaign does not have."""


@dataclass(frozen=True, slots=True)
class Bill:
    """How many tasks of a campaign will be billed."""

    tasks: int
    """Number of billed tasks: 0 with a test key."""
    live: bool
    """True when the key is a live key, whose tasks cost money."""
    most: int | None = None
    """Limit of billed tasks per campaign; None: no limit."""
    message: str = ""
    """Kind of key, for people."""


@dataclass(frozen=True, slots=True)
class WebhookNote:
    """A webhook request of a platform. Only causes a look at the campaign: what it claims is not used."""

    id: str
    """Equal for repeated deliveries of the same event."""
    kind: str
    """The platform's name of the event."""
    campaign: str | None = None
    """The platform's id of the campaign; None when the request does not say."""


@dataclass(frozen=True, slots=True)
class LabelsPage:
    """A page of a campaign's labels. Holds only images that are finished; `next` is None on the last page."""

    images: tuple[LabeledImage, ...]
    next: str | None
    left_out: tuple[ShapeNotice, ...] = ()
    """Shapes of these images that were dropped or changed."""
    excluded: tuple[ExcludedImage, ...] = ()
    """Images of the campaign that were skipped, rejected or deleted. They are not in `images`."""
    following: tuple[str, ...] = ()
    """Cursors of all pages after this one as far as they are known now, `next` first: these may be read side by side.
    Empty where a cursor is known only from the page before."""
