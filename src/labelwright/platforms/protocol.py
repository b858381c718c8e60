"""What platforms can do, in small protocols: an absent verb is an absent method, an absent value is None.

Every platform is a `Platform`. What only some can do is a protocol of its own; `isinstance` tells who can.
All verbs raise the errors of `labelwright.platforms.errors` and nothing else; a verb that changes something may be
said twice, and says so where it takes a look first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, Protocol, runtime_checkable

from labelwright.domain import ExcludedImage, Image, LabeledImage, LabelSchema, ShapeNotice
from labelwright.security.masking import mask, remember


class RemoteState(StrEnum):
    """Where the platform says that a campaign stands."""

    CREATED = "created"
    ACTIVE = "active"
    COMPLETED = "completed"
    FINISHED = "finished"


class SetState(StrEnum):
    """Where the platform says that an image set stands."""

    CREATED = "created"
    FINISHING = "finishing"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is used and never shown: texts that repeat it are masked from now on."""

    value: str

    def __post_init__(self) -> None:
        if "://" not in self.value:  # signed URLs of images are many, and their signatures are masked by their shape
            remember(self.value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class LabelerAccess:
    """What a labeler needs to work. `secret` is None when the platform knew the labeler already."""

    email: str
    key: str
    secret: Secret | None


@dataclass(frozen=True, slots=True)
class CampaignOrder:
    """What a platform is asked to create. `title` is the natural key by which it is found again."""

    title: str
    labels: LabelSchema
    labeler: str
    """E-mail address, or what the platform takes for one."""
    instructions: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelerProgress:
    """How far one labeler is, where the platform can tell."""

    name: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RemoteCampaign:
    """A campaign as the platform has it."""

    id: str
    title: str
    state: RemoteState
    done: int
    """Images that are labeled."""
    total: int
    """Images in the campaign."""
    access: LabelerAccess | None = None
    """Told only when the campaign was just created."""
    labelers: tuple[LabelerProgress, ...] = ()
    """Empty where the platform does not tell them apart."""
    failed: int = 0
    """Of the images that are not labeled: those that the platform could not take."""
    cancelled: int = 0
    """Of the images that are not labeled: those on which work was called off."""
    skipped: int = 0
    """Of the images counted in `done`: those that labelers passed over."""
    gone: int = 0
    """Of the images counted in `done` and `total`: those that were deleted on the platform. Where the platform keeps
    nothing of a deleted image, `total` is smaller instead."""
    lost_with_tasks: bool = False
    """Images missing from `total` are those of deleted tasks, which are sent again; else single images were deleted."""
    labels: PlatformLabels | None = None
    """Where the same answers tell them; None: ask by `ListsLabels`."""


@dataclass(frozen=True, slots=True)
class RemoteImageSet:
    """A set of images that the platform keeps apart from campaigns."""

    id: str
    title: str
    state: SetState
    rejected: tuple[tuple[str, str], ...] = ()
    """Name and reason of each file that the platform left out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rejected", tuple((name, mask(reason)) for name, reason in self.rejected))


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image as the platform has it."""

    id: str
    name: str
    """The name under which it was uploaded."""
    width: int
    height: int
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ImageToSend:
    """An image on its way into a campaign."""

    image: Image
    open: Callable[[], BinaryIO] = field(repr=False)
    """The file from its start; the caller closes it. May be called again."""
    url: Secret | None = None
    """Where anybody can read it for as long as labeling may take; None when it lies where nobody else comes."""


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch of images that was sent into a campaign."""

    state: SetState
    """CREATED: nothing of it is there."""
    rejected: tuple[tuple[str, str], ...] = ()
    """Name and reason of each image that the platform left out for good."""
    message: str = ""
    """Why it failed, in the platform's words."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rejected", tuple((name, mask(reason)) for name, reason in self.rejected))
        object.__setattr__(self, "message", mask(self.message))


@dataclass(frozen=True, slots=True)
class FailedImage:
    """An image of a campaign from which nothing more comes, though it is not labeled."""

    id: str
    name: str
    """The name that was sent."""
    reason: str
    """In the platform's words, without signed addresses."""
    cancelled: bool = False
    """Whether work on it was called off, rather than having failed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", mask(self.reason))


@dataclass(frozen=True, slots=True)
class PlatformLabels:
    """The labels of a campaign as its platform has them."""

    names: tuple[str, ...]
    """In the campaign's own spelling where the platform spells labels in its own way."""
    attributes: Mapping[str, frozenset[str]] | None = None
    """Names of each label's attributes; None where the platform does not tell them."""
    shared: bool = False
    """Whether other campaigns use the same list: then labels that this campaign does not have are no surprise."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a campaign will cost."""

    tasks: int
    """How many tasks will be billed: none with a key for testing."""
    live: bool
    """Whether the key is one that costs money."""
    most: int | None = None
    """How many billed tasks a campaign may have; None: as many as it likes."""
    message: str = ""
    """What kind of key it is."""


@dataclass(frozen=True, slots=True)
class WebhookNote:
    """What a platform told on its own. It is never believed: whoever gets it looks for himself."""

    id: str
    """The same for the same note told twice."""
    kind: str
    """The platform's word for what happened."""
    campaign: str | None = None
    """The platform's id of the campaign, where the note tells it."""


@dataclass(frozen=True, slots=True)
class LabelsPage:
    """Part of a campaign's labels: only images on which work is over. `next` is None on the last page."""

    images: tuple[LabeledImage, ...]
    next: str | None
    left_out: tuple[ShapeNotice, ...] = ()
    """Shapes of these images that are dropped or changed."""
    excluded: tuple[ExcludedImage, ...] = ()
    """Images of the campaign that were skipped, rejected or deleted: not in `images`."""


@runtime_checkable
class Platform(Protocol):
    """What every platform can do."""

    name: str

    def check(self) -> str:
        """Reach the server with the credential; answers what it says it is. Changes nothing."""

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        """The campaign of that title, or None. Two of one title raise PlatformRefused."""

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        """Create it. The caller has looked for the title before: two calls may make two campaigns elsewhere.
        Where the platform can tell, the very same order said again answers the campaign that it made."""

    def activate_campaign(self, campaign: str) -> None:
        """Let labelers work. Said to an active campaign it does nothing."""

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        """State and progress."""

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        """A page of the labels, from the start or from an earlier page's `next`. While labelers work an image may
        come twice; of a completed campaign each comes once."""


@runtime_checkable
class KeepsImageSets(Protocol):
    """Images are uploaded into a set first; campaigns then refer to them."""

    def find_image_set(self, title: str) -> RemoteImageSet | None: ...
    def create_image_set(self, title: str, metadata: dict[str, Any]) -> RemoteImageSet:
        """Create it. A title that exists raises PlatformRefused with status 409, unless it was made by these very words
        just now, as after a lost answer: then it is answered again."""

    def dropbox(self, image_set: str) -> Secret:
        """A container URL with a signature that takes images until the set is sealed; each call may give a new one."""

    def seal_image_set(self, image_set: str) -> None:
        """No more images: take in what is there. Said twice it does no harm."""

    def read_image_set(self, image_set: str) -> RemoteImageSet: ...
    def list_images(self, image_set: str) -> Iterator[RemoteImage]:
        """Every image of a sealed set, page after page."""

    def add_images(self, campaign: str, images: Sequence[str]) -> None:
        """Put images (by the platform's ids) into the campaign; those that are in it already stay once."""


@runtime_checkable
class TakesImages(Protocol):
    """Images are sent into a campaign that exists, batch by batch."""

    def batch_size(self) -> int | None:
        """How many images make a batch; never changes for a campaign. None: the platform does not mind."""

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        """Every image that the campaign has taken in, under the name that was sent, page after page. None for images
        of a batch that is still being taken in, or failed."""

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        """Send the images of a batch (numbered from 1) that the campaign lacks; the caller has listed what is there.
        What a failed or broken earlier try of the same batch left behind is found and made good: no image comes twice.
        """

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        """Whether a batch that was sent has been taken in."""


@runtime_checkable
class DeletesCampaigns(Protocol):
    """A campaign can be taken off the platform with all that is in it."""

    def delete_campaign(self, campaign: str) -> None:
        """Delete it. Of a campaign that is gone it does nothing."""


@runtime_checkable
class TakesPredictions(Protocol):
    """Labels can be put into a campaign for labelers to correct."""

    def put_predictions(self, campaign: str, images: Sequence[LabeledImage]) -> None:
        """Put them on images by `remote_id`, in place of what was put before. Nothing counts as labeled by that."""


@runtime_checkable
class BillsTasks(Protocol):
    """Every image of a campaign costs money."""

    def bill(self, images: int) -> Bill:
        """What a campaign of so many images will cost. Asks the platform nothing."""


@runtime_checkable
class ResendsImages(Protocol):
    """Images that the platform could not take stay in the campaign until somebody decides what becomes of them."""

    def list_failed_images(self, campaign: str) -> Iterator[FailedImage]:
        """Those from which nothing more comes, and that were neither sent again nor left out."""

    def send_again(self, campaign: str, images: Sequence[ImageToSend]) -> Sequence[tuple[str, str]]:
        """Put new ones in place of failed images; those that are at work or labeled stay as they are. Said twice it
        does no harm. Answers name and id of each."""

    def leave_out(self, campaign: str, images: Sequence[str]) -> None:
        """Take failed images (by the platform's ids) out of the campaign: they count no longer. Said twice it does no
        harm; an image that has not failed is refused."""


@runtime_checkable
class FindsDeletedImages(Protocol):
    """It can be told which images of a campaign are no longer on the platform."""

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        """Those of these images (by the platform's ids) that are gone from the campaign, each with what the platform
        says of it, for people.

        A listing that lacks an image may have been cut off. An image counts as gone when the platform says so of that
        image (it is asked for by its id and is not there, or its deletion is marked), or when a listing lacks it that
        is as long as the platform counts.
        """


@runtime_checkable
class ListsLabels(Protocol):
    """The labels that labelers can choose from are told."""

    def list_labels(self, campaign: str) -> PlatformLabels | None:
        """The labels of the campaign as they are on the platform now; None where it does not tell them."""


@runtime_checkable
class WithdrawsImages(Protocol):
    """Images can be taken out of a campaign again before its labelers begin."""

    def withdraw_images(self, campaign: str, images: Sequence[str]) -> None:
        """Take images (by the platform's ids) out of the campaign. Others may go with them, which are to be sent again:
        the caller lists what is there. Said twice it does no harm. Raises PlatformRefused, with nothing taken out, when
        somebody has begun to label them."""


@runtime_checkable
class RecallsImages(Protocol):
    """The platform takes single images back to have them labeled better, even after all were labeled."""

    def recall_days(self) -> float:
        """For how many days after its export a campaign is still looked at."""


@runtime_checkable
class TellsReviews(Protocol):
    """The customer can look at what labelers delivered, and say what he thinks of it."""

    def count_reviews(self, campaign: str) -> dict[str, int]:
        """How many images stand where in the customer's review, by the platform's words. Those never reviewed may be
        missing."""


@runtime_checkable
class OpensWebhooks(Protocol):
    """The platform tells of changes by HTTP requests that can be told from forged ones."""

    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        """Check its signature, then read it. Header names are in lower case. Asks the platform nothing.
        Raises AccessDenied for a forged one, PlatformRefused for one that cannot be read."""


@runtime_checkable
class ShowsCampaigns(Protocol):
    """Campaigns have pages for people."""

    def campaign_page(self, campaign: str) -> str:
        """The URL of its page; holds no credential."""


@runtime_checkable
class FinishesCampaigns(Protocol):
    """A campaign can be closed."""

    def finish_campaign(self, campaign: str) -> None:
        """Close it. Said to a finished campaign it does nothing."""


@runtime_checkable
class ReopensCampaigns(Protocol):
    """A completed campaign can be given back to its labelers."""

    def reopen_campaign(self, campaign: str) -> None:
        """Back to active. Said to an active campaign it does nothing; one that was never completed is refused."""


@runtime_checkable
class RotatesLabelerKeys(Protocol):
    """A labeler's key can be replaced when it was lost."""

    def rotate_labeler_key(self, email: str) -> LabelerAccess:
        """A new pair; the old one is dead. Said again it makes another one: after a lost answer that is the way."""


@runtime_checkable
class RecoversAccess(Protocol):
    """What a new labeler was told once can be had again when the answer was lost on its way."""

    def recover_access(self, order: CampaignOrder) -> LabelerAccess | None:
        """The access that creating the campaign by this very order gave; None when it is too late for that."""


@runtime_checkable
class ServesImages(Protocol):
    """Images have URLs on the platform."""

    def image_url(self, image: str) -> str:
        """Where the image is; needs the platform's credential, holds none."""
