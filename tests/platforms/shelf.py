"""A platform in memory that takes images into campaigns: what the recipe and the contract are tried on first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from labelwright.domain import Annotation, ExcludedImage, ImageState, LabeledImage, Size
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import (
    CampaignOrder,
    DeletesCampaigns,
    FailedImage,
    FindsDeletedImages,
    FinishesCampaigns,
    ImageToSend,
    LabelerProgress,
    LabelsPage,
    ListsLabels,
    Platform,
    PlatformLabels,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    ResendsImages,
    SetState,
    TakesImages,
)
from labelwright.platforms.registry import Adapter, Connection, Credential, PlatformEntry


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    images_a_batch: int | None = None


@dataclass
class Kept:
    """A campaign on the shelf."""

    order: CampaignOrder
    state: RemoteState = RemoteState.CREATED
    images: dict[str, tuple[str, ImageToSend]] = field(default_factory=dict)
    """By id: the name that the platform shows, and what was sent."""
    batches: dict[int, RemoteBatch] = field(default_factory=dict)
    labels: dict[str, tuple[Annotation, ...]] = field(default_factory=dict)
    excluded: dict[str, tuple[ImageState, str]] = field(default_factory=dict)
    """By id: images that were skipped, or deleted in a way that leaves a mark, and what the platform says."""
    offered: list[str] | None = None
    """Labels that labelers can choose from; None: as they were ordered."""
    failed: dict[str, str] = field(default_factory=dict)
    """By id: images that could not be labeled, and why."""


@dataclass
class Store:
    """What one server holds, and what goes wrong on it."""

    campaigns: dict[str, Kept] = field(default_factory=dict)
    sent: list[tuple[int, list[str]]] = field(default_factory=list)
    lists: int = 0
    before_answer: Callable[[int], None] = lambda batch: None
    """Called when a batch is in, before the answer leaves."""
    take: Callable[[int, str], str | None] = lambda batch, name: None
    """Answers why an image of a batch is left out, or None."""
    fails: Callable[[int], str | None] = lambda batch: None
    """Answers why a batch fails as a whole, or None."""
    lost_with_tasks: bool = False
    """Whether images that are not there any more were deleted with a task, as on CVAT."""


STORES: dict[str, Store] = {}


def load() -> Adapter:
    return Adapter(Shelf, Options, connect)


ENTRY = PlatformEntry("shelf", "a platform in memory", load, (Credential.URL, Credential.KEY))


def connect(connection: Connection) -> Shelf:
    return Shelf(connection.url, connection.key, Options.model_validate(dict(connection.options)))


class Shelf(Platform, TakesImages, FinishesCampaigns, DeletesCampaigns, FindsDeletedImages, ListsLabels, ResendsImages):
    """The platform of one URL; its key is 'good'."""

    name = "shelf"

    def __init__(self, url: str, key: str, options: Options | None = None, page_size: int = 1000) -> None:
        self._url, self._key, self._options, self._page = url, key, options or Options(), page_size

    @property
    def _store(self) -> Store:
        if self._key != "good":
            raise AccessDenied(self.name, "enter", status=401)
        return STORES.setdefault(self._url, Store())

    def _kept(self, campaign: str) -> Kept:
        try:
            return self._store.campaigns[campaign]
        except KeyError:
            raise NotFound(self.name, "find the campaign", status=404) from None

    def check(self) -> str:
        return f"a shelf of {len(self._store.campaigns)} campaigns"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        matches = [id for id, kept in self._store.campaigns.items() if kept.order.title == title]
        return self.read_campaign(matches[0]) if matches else None

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        existing = self.find_campaign(order.title)
        if existing is not None:
            return existing
        id = f"c{len(self._store.campaigns) + 1}"
        self._store.campaigns[id] = Kept(order)
        return self.read_campaign(id)

    def activate_campaign(self, campaign: str) -> None:
        kept = self._kept(campaign)
        if kept.state is RemoteState.CREATED:
            kept.state = RemoteState.ACTIVE

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        kept = self._kept(campaign)
        done, total, who = len(kept.labels | kept.excluded), len(kept.images), kept.order.labeler
        states = [state for state, _ in kept.excluded.values()]
        state = kept.state
        if state is RemoteState.ACTIVE and done == total > 0:
            state = RemoteState.COMPLETED
        return RemoteCampaign(
            campaign,
            kept.order.title,
            state,
            done,
            total,
            labelers=(LabelerProgress(who, done, total),),
            failed=len(kept.failed),
            skipped=states.count(ImageState.SKIPPED),
            gone=states.count(ImageState.GONE),
            lost_with_tasks=self._store.lost_with_tasks,
        )

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        kept, first = self._kept(campaign), int(cursor or 0)
        ids = [id for id in kept.images if id in kept.labels or id in kept.excluded]
        these = ids[first : first + self._page]
        page = tuple(
            LabeledImage(kept.images[id][0], Size(40, 30), kept.labels[id], id)
            for id in these
            if id not in kept.excluded
        )
        excluded = tuple(
            ExcludedImage(kept.images[id][0], *kept.excluded[id], id) for id in these if id in kept.excluded
        )
        following = str(first + self._page) if len(ids) > first + self._page else None
        return LabelsPage(page, following, excluded=excluded)

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        kept = self._kept(campaign)
        return {id: "deleted from the shelf" for id in images if id not in kept.images}

    def list_labels(self, campaign: str) -> PlatformLabels:
        kept = self._kept(campaign)
        return PlatformLabels(tuple(kept.order.labels.names if kept.offered is None else kept.offered))

    def list_failed_images(self, campaign: str) -> Iterator[FailedImage]:
        kept = self._kept(campaign)
        for id, why in kept.failed.items():
            shown, sent = kept.images[id]
            yield FailedImage(id, sent.image.name if sent else shown, why)

    def send_again(self, campaign: str, images: Sequence[ImageToSend]) -> Sequence[tuple[str, str]]:
        kept = self._kept(campaign)
        names = {image.image.name for image in images}
        again = [id for id in kept.failed if kept.images[id][1].image.name in names]
        for id in again:
            del kept.failed[id]
        return [(kept.images[id][1].image.name, id) for id in again]

    def leave_out(self, campaign: str, images: Sequence[str]) -> None:
        kept = self._kept(campaign)
        for id in images:
            kept.failed.pop(id, None)
            kept.images.pop(id, None)

    def finish_campaign(self, campaign: str) -> None:
        if self.read_campaign(campaign).state not in (RemoteState.COMPLETED, RemoteState.FINISHED):
            raise PlatformRefused(self.name, "finish", message="it is not completed")
        self._kept(campaign).state = RemoteState.FINISHED

    def delete_campaign(self, campaign: str) -> None:
        self._store.campaigns.pop(campaign, None)

    def batch_size(self) -> int | None:
        return self._options.images_a_batch

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        self._store.lists += 1
        for id, (_, sent) in self._kept(campaign).images.items():
            yield RemoteImage(id, sent.image.name, sent.image.size.width, sent.image.size.height)

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        kept, store = self._kept(campaign), self._store
        store.sent.append((batch, [image.image.name for image in images]))
        existing = {sent.image.name for _, sent in kept.images.values()}
        reason = store.fails(batch)
        if reason is not None:
            kept.batches[batch] = RemoteBatch(SetState.FAILED, message=reason)
            return
        rejected: list[tuple[str, str]] = []
        for image in images:
            why = store.take(batch, image.image.name)
            if why:
                rejected.append((image.image.name, why))
            elif image.image.name not in existing:
                with image.open() as file:
                    assert len(file.read()) == image.image.bytes
                kept.images[f"i{len(kept.images) + 1}"] = (f"shelf name {len(kept.images)}", image)
        kept.batches[batch] = RemoteBatch(SetState.FINISHED, tuple(rejected))
        store.before_answer(batch)

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        return self._kept(campaign).batches.get(batch, RemoteBatch(SetState.CREATED))

    def label(self, campaign: str, objects: dict[str, Sequence[Annotation]]) -> None:
        """What labelers do."""
        self._kept(campaign).labels.update({id: tuple(annotations) for id, annotations in objects.items()})


def lose_the_answer_once() -> Callable[[int], None]:
    """The first batch is taken in, and nobody is told."""
    lost: list[int] = []

    def before_answer(batch: int) -> None:
        if not lost:
            lost.append(batch)
            raise PlatformUnavailable("shelf", "send images", message="the connection broke")

    return before_answer
