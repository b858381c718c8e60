"""What platforms can do, as small protocols, one per ability.

Every adapter is a `Platform`. What only some platforms can do is a protocol of its own, which adapters name in their
class line; `isinstance` of an adapter and `issubclass` of its class tell what it can do. All methods are abstract: an
adapter that lacks a method of a protocol it names can neither be created nor pass mypy.

All methods raise the errors of `labelwright.platforms.errors` and no others. Methods that change something on the
platform may be repeated after a lost response, unless their docstring says otherwise.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from labelwright.domain import LabeledImage

from .image_limits import ImageLimits
from .values import (
    Bill,
    CampaignOrder,
    FailedImage,
    ImageToSend,
    LabelerAccess,
    LabelerNote,
    LabelerProgress,
    LabelsPage,
    PlatformLabels,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteImageSet,
    RemoteState,
    Secret,
    SetState,
    UnlabeledImage,
    WebhookNote,
)

__all__ = [
    "PROTOCOLS",
    "Bill",
    "BillsTasks",
    "CampaignOrder",
    "ChangesCampaigns",
    "DeletesCampaigns",
    "FailedImage",
    "FindsDeletedImages",
    "FinishesCampaigns",
    "ImageToSend",
    "KeepsImageSets",
    "KeepsNotes",
    "KeepsSnapshots",
    "LabelerAccess",
    "LabelerNote",
    "LabelerProgress",
    "LabelsPage",
    "ListsLabels",
    "ListsUnlabeledImages",
    "OpensWebhooks",
    "Platform",
    "PlatformLabels",
    "RecallsImages",
    "RecoversAccess",
    "RemoteBatch",
    "RemoteCampaign",
    "RemoteImage",
    "RemoteImageSet",
    "RemoteState",
    "ReopensCampaigns",
    "ReopensImages",
    "ResendsImages",
    "RotatesLabelerKeys",
    "Secret",
    "ServesImages",
    "SetState",
    "ShowsCampaigns",
    "TakesImages",
    "TakesPredictions",
    "TellsImageLimits",
    "TellsReviews",
    "UnlabeledImage",
    "WebhookNote",
    "WithdrawsImages",
    "protocols_of",
]


@runtime_checkable
class Platform(Protocol):
    """What every platform can do."""

    name: str

    @abstractmethod
    def check(self) -> str:
        """Returns a description of the server, after a request with the credentials. Changes nothing."""

    @abstractmethod
    def find_campaign(self, title: str) -> RemoteCampaign | None:
        """Returns the campaign with exactly this title, or None.

        Raises PlatformRefused when several campaigns have the title.
        """

    @abstractmethod
    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        """Creates a campaign and returns it.

        The caller has looked for the title before: platforms without unique titles may create a second campaign when
        the call is repeated. The others return the campaign that the same order created before.
        """

    @abstractmethod
    def activate_campaign(self, campaign: str) -> None:
        """Opens the campaign to its labelers. Idempotent."""

    @abstractmethod
    def read_campaign(self, campaign: str) -> RemoteCampaign:
        """Returns state and progress of a campaign."""

    @abstractmethod
    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        """Returns a page of labels: the first one, or the one after the page whose `next` is the cursor.

        While labelers work, an image may come twice; of a completed campaign each image comes once.
        """


@runtime_checkable
class KeepsImageSets(Protocol):
    """Images are uploaded into image sets first; campaigns then refer to images of these sets."""

    @abstractmethod
    def find_image_set(self, title: str) -> RemoteImageSet | None:
        """Returns the image set with exactly this title, or None."""

    @abstractmethod
    def create_image_set(self, title: str, metadata: dict[str, Any]) -> RemoteImageSet:
        """Creates an image set and returns it.

        Raises PlatformRefused with status 409 when the title exists, unless the very same call just created it, as
        after a lost response: then the image set is returned.
        """

    @abstractmethod
    def dropbox(self, image_set: str) -> Secret:
        """Returns a signed container URL for uploads until the set is sealed. May differ from call to call."""

    @abstractmethod
    def seal_image_set(self, image_set: str) -> None:
        """Closes the image set to uploads and starts processing what was uploaded. Idempotent."""

    @abstractmethod
    def read_image_set(self, image_set: str) -> RemoteImageSet:
        """Returns the state of an image set and the files that were rejected."""

    @abstractmethod
    def list_images(self, image_set: str) -> Iterator[RemoteImage]:
        """Yields every image of a sealed set, page by page."""

    @abstractmethod
    def add_images(self, campaign: str, images: Sequence[str]) -> None:
        """Adds images (the platform's ids) to the campaign. Images that are already in it stay in it once."""


@runtime_checkable
class TakesImages(Protocol):
    """Images are sent into an existing campaign, batch by batch."""

    @abstractmethod
    def batch_size(self) -> int | None:
        """Returns the number of images per batch, which never changes for a campaign. None: any number."""

    @abstractmethod
    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        """Yields every image that the campaign has taken in, under the name that was sent, page by page.

        Images of a batch that is still being processed, or that failed, are left out.
        """

    @abstractmethod
    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        """Sends those images of a batch (numbered from 1) that the campaign lacks.

        The caller has listed what is there. Remains of an earlier try that failed or broke off are found and repaired:
        no image is there twice afterwards.
        """

    @abstractmethod
    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        """Returns whether a batch that was sent has been taken in."""


@runtime_checkable
class DeletesCampaigns(Protocol):
    """A campaign can be deleted with everything in it."""

    @abstractmethod
    def delete_campaign(self, campaign: str) -> None:
        """Deletes the campaign. Does nothing when it does not exist."""


@runtime_checkable
class TakesPredictions(Protocol):
    """Predicted labels can be put into a campaign, for labelers to correct."""

    @abstractmethod
    def put_predictions(self, campaign: str, images: Sequence[LabeledImage]) -> None:
        """Replaces the predictions of images (by `remote_id`). An image does not count as labeled by that."""


@runtime_checkable
class BillsTasks(Protocol):
    """The platform bills every image of a campaign."""

    @abstractmethod
    def bill(self, images: int) -> Bill:
        """Returns how many tasks a campaign of that many images will be billed for. Sends no request."""


@runtime_checkable
class ResendsImages(Protocol):
    """Images that the platform could not process stay in the campaign until they are sent again or left out."""

    @abstractmethod
    def list_failed_images(self, campaign: str) -> Iterator[FailedImage]:
        """Yields the failed images that were neither sent again nor left out."""

    @abstractmethod
    def send_again(self, campaign: str, images: Sequence[ImageToSend]) -> Sequence[tuple[str, str]]:
        """Replaces failed images by new ones and returns name and id of each new one. Idempotent.

        Images that are being labeled, or are labeled, stay as they are.
        """

    @abstractmethod
    def leave_out(self, campaign: str, images: Sequence[str]) -> None:
        """Removes failed images (the platform's ids) from the campaign and its counts. Idempotent.

        Raises PlatformRefused for an image that has not failed.
        """


@runtime_checkable
class FindsDeletedImages(Protocol):
    """Images that were deleted from a campaign on the platform can be found out."""

    @abstractmethod
    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        """Returns those of these images (the platform's ids) that are deleted, each with a reason for people.

        A listing that lacks an image may have been cut off. An image counts as deleted when the platform says so of
        that image (a request for its id returns "not found", or its deletion is marked), or when it is missing from a
        listing that is as long as the platform's own count.
        """


@runtime_checkable
class ListsLabels(Protocol):
    """The labels that labelers can choose from can be read."""

    @abstractmethod
    def list_labels(self, campaign: str) -> PlatformLabels | None:
        """Returns the campaign's labels as they are on the platform now; None where it does not list them."""


@runtime_checkable
class ChangesCampaigns(Protocol):
    """Labels, instructions and labeler of a campaign can be changed while labelers work."""

    @abstractmethod
    def change_campaign(self, campaign: str, order: CampaignOrder) -> LabelerAccess | None:
        """Makes the campaign what the order says. Idempotent. Returns the access of a labeler that is new in it.

        The order has every label of the campaign: labels, attributes and their values are added, geometries widened,
        and nothing is removed. Raises PlatformRefused for what the platform cannot change, with nothing changed before.
        """


@runtime_checkable
class ListsUnlabeledImages(Protocol):
    """The states of images that are not labeled yet can be read."""

    @abstractmethod
    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        """Yields every image of the campaign that is not done, with its state. Deleted images are left out."""


@runtime_checkable
class WithdrawsImages(Protocol):
    """Images can be taken out of a campaign before its labelers begin."""

    @abstractmethod
    def withdraw_images(self, campaign: str, images: Sequence[str]) -> None:
        """Takes images (the platform's ids) out of the campaign. Idempotent.

        Other images may go with them; the caller lists what is left and sends those again. Raises PlatformRefused, with
        nothing taken out, when labeling has begun on one of them.
        """


@runtime_checkable
class RecallsImages(Protocol):
    """The platform reopens single images for better labels, even after all images were labeled."""

    @abstractmethod
    def recall_days(self) -> float:
        """Returns for how many days after its export a campaign is still checked."""


@runtime_checkable
class TellsReviews(Protocol):
    """The customer can review the delivered labels on the platform."""

    @abstractmethod
    def count_reviews(self, campaign: str) -> dict[str, int]:
        """Returns the number of images per review state, by the platform's names of these states.

        Images that were never reviewed may be missing.
        """


@runtime_checkable
class OpensWebhooks(Protocol):
    """The platform reports changes by HTTP requests that carry a proof of where they come from."""

    @abstractmethod
    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        """Checks the signature of a webhook request, then parses it. Sends no request.

        `headers` have lower-case names. Raises AccessDenied for a wrong signature, PlatformRefused for a body that
        cannot be parsed.
        """


@runtime_checkable
class ShowsCampaigns(Protocol):
    """Campaigns have web pages."""

    @abstractmethod
    def campaign_page(self, campaign: str) -> str:
        """Returns the URL of the campaign's web page, without credentials."""


@runtime_checkable
class FinishesCampaigns(Protocol):
    """A campaign can be closed."""

    @abstractmethod
    def finish_campaign(self, campaign: str) -> None:
        """Closes the campaign. Idempotent."""


@runtime_checkable
class KeepsSnapshots(Protocol):
    """The platform keeps the labels of a finished campaign in a snapshot with a checksum."""

    @abstractmethod
    def snapshot(self, campaign: str) -> Mapping[str, str]:
        """Returns `id` and `md5` of the snapshot that finishing the campaign made; empty when it is not finished."""


@runtime_checkable
class ReopensCampaigns(Protocol):
    """A completed campaign can be given back to its labelers."""

    @abstractmethod
    def reopen_campaign(self, campaign: str) -> None:
        """Sets the campaign back to active. Does nothing when it is active.

        Raises PlatformRefused for a campaign that was never completed, or that the platform closed for good.
        """


@runtime_checkable
class ReopensImages(Protocol):
    """Single images can be given back to their labelers, also of a completed campaign; all others stay done."""

    @abstractmethod
    def reopen_images(self, campaign: str, reasons: Mapping[str, str], call_id: str) -> str:
        """Reopens images (the platform's ids, each with a reason for its labeler, which may be empty).

        Repeating the call with the same `call_id` does not reopen an image that was submitted again in between, where
        the platform can tell. Images that were never labeled stay as they are. Returns what people have to know, such
        as that reasons are not shown to labelers on this platform; empty for nothing. Raises PlatformRefused.
        """


@runtime_checkable
class RotatesLabelerKeys(Protocol):
    """A labeler's key can be replaced when it was lost."""

    @abstractmethod
    def rotate_labeler_key(self, email: str) -> LabelerAccess:
        """Returns a new key and secret; the old ones stop working.

        Every call makes a new pair: after a lost response, call it again.
        """


@runtime_checkable
class RecoversAccess(Protocol):
    """The access of a new labeler, which is shown once, can be read again after a lost response."""

    @abstractmethod
    def recover_access(self, order: CampaignOrder) -> LabelerAccess | None:
        """Returns the access that creating the campaign by this very order gave; None when it is too late for that."""


@runtime_checkable
class KeepsNotes(Protocol):
    """Labelers write notes to whoever ordered the labels, and see the answers."""

    @abstractmethod
    def list_notes(self, campaign: str) -> Iterator[LabelerNote]:
        """Yields the notes of a campaign, the oldest first."""

    @abstractmethod
    def answer_note(self, campaign: str, note: str, text: str) -> None:
        """Answers a note; another answer replaces the first. Raises NotFound when there is no such note."""


@runtime_checkable
class ServesImages(Protocol):
    """Images have URLs on the platform."""

    @abstractmethod
    def image_url(self, image: str) -> str:
        """Returns the URL of an image. It holds no credential, but needs one to be read."""


@runtime_checkable
class TellsImageLimits(Protocol):
    """The server tells which images it accepts."""

    @abstractmethod
    def image_limits(self) -> ImageLimits:
        """Returns the server's limits, `NO_LIMITS` when it tells none."""


PROTOCOLS: tuple[type, ...] = (
    Platform,
    KeepsImageSets,
    TakesImages,
    DeletesCampaigns,
    TakesPredictions,
    BillsTasks,
    ResendsImages,
    FindsDeletedImages,
    ListsLabels,
    ChangesCampaigns,
    ListsUnlabeledImages,
    WithdrawsImages,
    RecallsImages,
    TellsReviews,
    OpensWebhooks,
    ShowsCampaigns,
    FinishesCampaigns,
    KeepsSnapshots,
    ReopensCampaigns,
    ReopensImages,
    RotatesLabelerKeys,
    RecoversAccess,
    KeepsNotes,
    ServesImages,
    TellsImageLimits,
)
"""All protocols of this module, in the order of the README's table."""


def protocols_of(adapter: type[Platform]) -> frozenset[type]:
    """Returns the protocols that an adapter's class line names."""
    return frozenset(protocol for protocol in PROTOCOLS if protocol in adapter.__mro__)
