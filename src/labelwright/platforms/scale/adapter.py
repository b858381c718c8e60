"""Platform adapter for Scale AI: a campaign is a batch of tasks, an image is a task, and every task costs money.

See docs/scale-ai.md. The batch's name is the campaign's title; its metadata holds the definition of its tasks. A task
has the unique_id `<campaign>/<image>`, which is unique in the whole account for ever: when a response is lost, the next
request is refused as a duplicate and the existing task is found, so that no task is billed twice.

Scale's own workforce labels the images: a campaign's labeler is only recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from labelwright.domain import LabeledImage
from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import (
    Bill,
    BillsTasks,
    CampaignOrder,
    FailedImage,
    FindsDeletedImages,
    ImageToSend,
    LabelsPage,
    ListsLabels,
    ListsUnlabeledImages,
    OpensWebhooks,
    Platform,
    PlatformLabels,
    RecallsImages,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    ResendsImages,
    Secret,
    SetState,
    TakesImages,
    TellsReviews,
    UnlabeledImage,
    WebhookNote,
)
from labelwright.platforms.shape_notices import ShapeNotices

from . import inspection
from .client import Json, ScaleClient, fetch_json
from .errors import Duplicate
from .failed_tasks import FailedTasks
from .listing import TaskListing
from .models import (
    DEAD,
    HEIGHT,
    STAGING,
    WIDTH,
    Counts,
    counts_from,
    has_image_id,
    image_name,
    labeled_from,
    metadata_of,
    status_of,
)
from .options import Options, describe_key, mode_of
from .order import ACTIVATED, KEY, SETTLED, Shapes, TaskOrder, order_from, order_in
from .pace import pace_for
from .sending import Sender
from .webhooks import note_from

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

__all__ = ["NAME", "Options", "Scale", "connect"]

NAME = "scale"
REVIEWS = ("pending", "accepted", "fixed", "rejected", "commented")
_NO_SUCH_CALL = (400, 404, 405)


def connect(connection: Connection) -> Scale:
    """The adapter for a connection whose options are those above. The connection's secret is the callback key.

    Raises PlatformRefused when only keys for testing are wanted and this is none.
    """
    options = Options.model_validate(dict(connection.options))
    if connection.requests_per_second is not None:  # this machine knows better than the campaign
        options = options.model_copy(update={"requests_per_second": connection.requests_per_second})
    return Scale(connection.url, connection.key, connection.secret, options)


class Scale(
    Platform,
    TakesImages,
    BillsTasks,
    ResendsImages,
    FindsDeletedImages,
    ListsLabels,
    ListsUnlabeledImages,
    RecallsImages,
    TellsReviews,
    OpensWebhooks,
):
    """Campaigns as projects, batches and tasks of one account.

    `client` has every other call of Scale's.

    `url` is https://api.scale.com/v1.
    """

    name = NAME

    def __init__(self, url: str, key: str, callback_key: Secret | None = None, options: Options | None = None) -> None:
        self._options = options = options or Options()
        self._mode, self._callback_key = mode_of(key), callback_key
        if options.only_test and self._mode != "test":
            message = f"the option 'only_test' refuses {describe_key(self._mode)}"
            raise PlatformRefused(NAME, "connect", message=message, advice="Use a key that begins with test_.")
        self._timeout = (options.connect_seconds, options.timeout_seconds)
        self.client = ScaleClient(
            url,
            key,
            pace=pace_for(url, key, options.requests_per_second, options.back_off_seconds),
            timeout=self._timeout,
            patience=options.patience_seconds,
            storm=options.storm_seconds,
            threads=options.threads,
        )

    def __repr__(self) -> str:
        return f"Scale({self.client.base_url!r}, {self._mode})"

    def close(self) -> None:
        self.client.close()

    # Platform

    def check(self) -> str:
        try:
            self.client.list_batches(limit=1)
        except AccessDenied as denied:
            advice = "Copy the key again, and check whether it is the live or the test key."
            raise AccessDenied(
                NAME, denied.operation, status=denied.status, message=denied.message, advice=advice
            ) from None
        return f"Scale at {self.client.base_url} with {describe_key(self._mode)}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        try:
            return self.read_campaign(title)
        except NotFound:
            return None

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        task_order, operation = self._order_from(order), f"create campaign '{order.title}'"
        metadata = {**order.metadata, KEY: task_order.as_text(), ACTIVATED: "no"}
        try:
            batch = self.client.create_batch(
                order.title, task_order.project, callback=self._options.callback_url, metadata=metadata
            )
        except Duplicate as duplicate:
            batch = self.client.get_batch(order.title)
            if order_in(batch.get("metadata")) != task_order:
                message = f"another batch has that name: {duplicate.message}"
                advice = "Names of batches are unique in an account: give the campaign another title."
                raise PlatformRefused(NAME, operation, status=409, message=message, advice=advice) from None
        _refuse_other_name(Fields(NAME, operation, batch), order.title)
        return self.read_campaign(order.title)

    def activate_campaign(self, campaign: str) -> None:
        batch, counts = self._read(campaign)
        if not counts.total:
            message = "it has no images, and Scale does not define when an empty batch is completed"
            raise PlatformRefused(
                NAME, f"activate campaign '{campaign}'", message=message, advice="Send its images first."
            )
        metadata = metadata_of(batch)
        if counts.state != STAGING and metadata.get(ACTIVATED) == "yes":
            return
        try:
            self.client.finalize_batch(campaign)
        except PlatformRefused:
            if self._read(campaign)[1].state == STAGING:
                raise
        try:
            self.client.set_batch_metadata(campaign, metadata | {ACTIVATED: "yes"})
        except PlatformRefused as refused:
            # The batch is finalized; the mark only helps to tell its state.
            if refused.status not in _NO_SUCH_CALL:
                raise

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        batch, counts = self._read(campaign)
        metadata = metadata_of(batch)
        failed, cancelled = counts.error, counts.cancelled
        if counts.dead and metadata.get(SETTLED) == "yes":
            failed, cancelled = self._failed_tasks(campaign).count()
        total = counts.pending + counts.completed + failed + cancelled
        return RemoteCampaign(
            id=campaign,
            title=campaign,
            state=_state(counts, total, metadata.get(ACTIVATED) == "no"),
            done=counts.completed,
            total=total,
            failed=failed,
            cancelled=cancelled,
        )

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        operation = f"read the labels of campaign '{campaign}'"
        docs, next_cursor = self._listing(campaign, status="completed").page(cursor)

        def read(doc: Json) -> tuple[LabeledImage, ShapeNotices] | None:
            task, notices = Fields(NAME, operation, doc, f"task {doc.get('task_id')}"), ShapeNotices()
            name = image_name(task, campaign)
            if name is None or status_of(task) != "completed":
                return None
            fetch = partial(fetch_json, timeout=self._timeout)
            return labeled_from(task, name, fetch, notices), notices

        images, all_notices = [], ShapeNotices()
        for result in for_each(read, docs, self._options.threads):
            if result is not None:
                image, notices = result
                images.append(image)
                all_notices.add(notices)
        return LabelsPage(tuple(images), next_cursor, all_notices.checked())

    # TakesImages

    def batch_size(self) -> int | None:
        return None

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        """Includes failed and cancelled images, which are only sent again on request. Tasks that somebody else put into
        the batch are listed under their ids."""
        operation = f"list the images of campaign '{campaign}'"
        for doc in self._listing(campaign):
            task = Fields(NAME, operation, doc, f"task {doc.get('task_id')}")
            if status_of(task) in DEAD and not has_image_id(task, campaign):
                continue  # replaced or dropped
            id, metadata = task.id("task_id"), metadata_of(doc)
            width, height = (value if isinstance(value := metadata.get(key), int) else 0 for key in (WIDTH, HEIGHT))
            yield RemoteImage(id, image_name(task, campaign) or id, width, height)

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        if images:
            self._sender(campaign).send(images)

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        """Always finished: a task exists as soon as it is created. Failed attachments count in the campaign."""
        return RemoteBatch(SetState.FINISHED)

    # BillsTasks

    def bill(self, images: int) -> Bill:
        live = self._mode != "test"
        return Bill(images if live else 0, live, self._options.max_tasks, describe_key(self._mode))

    # ResendsImages

    def list_failed_images(self, campaign: str) -> Iterator[FailedImage]:
        return self._failed_tasks(campaign).images()

    def send_again(self, campaign: str, images: Sequence[ImageToSend]) -> Sequence[tuple[str, str]]:
        if not images:
            return []
        sender = self._sender(campaign)
        self._failed_tasks(campaign).mark_settled()
        return sender.send_again(images)

    def leave_out(self, campaign: str, images: Sequence[str]) -> None:
        self._failed_tasks(campaign).drop(images)

    # FindsDeletedImages, ListsLabels

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        return inspection.deleted_images(self.client, campaign, images, self._options.threads)

    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        return inspection.unlabeled_images(self._listing(campaign), campaign)

    def list_labels(self, campaign: str) -> PlatformLabels | None:
        return inspection.offered_labels(self.client, campaign)

    # RecallsImages

    def recall_days(self) -> float:
        return self._options.watch_days

    # TellsReviews

    def count_reviews(self, campaign: str) -> dict[str, int]:
        counts = {}
        for review in REVIEWS:
            total = self.client.tasks(batch=campaign, customer_review_status=review, limit=1).total
            if total is None:
                total = sum(1 for _ in self.client.all_tasks(batch=campaign, customer_review_status=review))
            counts[review] = total
        return counts

    # OpensWebhooks

    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        return note_from(headers, body, self._callback_key)

    # Helpers

    def _read(self, campaign: str) -> tuple[Json, Counts]:
        operation = f"read campaign '{campaign}'"
        batch = self.client.get_batch(campaign)
        _refuse_other_name(Fields(NAME, operation, batch), campaign)
        return batch, counts_from(Fields(NAME, operation, self.client.batch_status(campaign)))

    def _order_from(self, order: CampaignOrder) -> TaskOrder:
        shapes = Shapes(
            self._options.rotated_boxes,
            self._options.smallest,
            self._options.most_corners,
            self._options.several_categories,
        )
        task_order = order_from(order, "", shapes, rapid=False, callback_url=self._options.callback_url)
        name = self._options.project or f"labelwright-{task_order.type}"
        project = self._get_or_create_project(name, task_order.type, order.instructions)
        rapid = project.get("rapid") is True or (self._options.kind == "rapid" and "rapid" not in project)
        return order_from(order, name, shapes, rapid=rapid, callback_url=self._options.callback_url)

    def _get_or_create_project(self, name: str, type: str, instructions: str) -> Json:
        try:
            project = self.client.get_project(name)
        except NotFound:
            kind = self._options.kind
            params = {"instruction": instructions} if instructions else {}
            try:
                project = self.client.create_project(name, type, params, rapid=kind == "rapid", studio=kind == "studio")
            except Duplicate:  # created by somebody else in between
                project = self.client.get_project(name)
        if project.get("type", type) != type:
            message = f"project '{name}' is of type {project['type']}, and the campaign's labels need {type}"
            raise PlatformRefused(NAME, f"read project '{name}'", message=message, advice="Name another project.")
        return project

    def _sender(self, campaign: str) -> Sender:
        batch = self.client.get_batch(campaign)
        order = order_in(batch.get("metadata"))
        if order is None:
            message = f"batch '{campaign}' was not created by Labelwright: its metadata has no task definition"
            advice = "Give the campaign another title, so that a new batch is created."
            raise PlatformRefused(NAME, f"send images into '{campaign}'", message=message, advice=advice)
        return Sender(self.client, campaign, order, self._options.attachments, self._options.threads)

    def _failed_tasks(self, campaign: str) -> FailedTasks:
        def list_tasks(status: str | None) -> TaskListing:
            return self._listing(campaign) if status is None else self._listing(campaign, status=status)

        return FailedTasks(self.client, campaign, list_tasks)

    def _listing(self, campaign: str, **filters: Any) -> TaskListing:
        options = self._options
        return TaskListing(
            self.client,
            campaign,
            page_size=options.page_size,
            threads=options.threads,
            parallel_from=options.parallel_from,
            **filters,
        )


def _refuse_other_name(batch: Fields, name: str) -> None:
    if batch.text("name") != name:
        batch.refuse("name", f"is '{batch.text('name')}', expected '{name}'")


def _state(counts: Counts, total: int, waiting: bool) -> RemoteState:
    """Computes the state from the counts: Scale calls a batch with errors completed, and recalled tasks are pending.

    In enterprise projects batches are in progress from the start: a batch that was not activated counts as created
    until a task of it has ended.
    """
    if counts.state == STAGING or not total or (waiting and not counts.completed + counts.dead):
        return RemoteState.CREATED
    return RemoteState.COMPLETED if counts.completed == total else RemoteState.ACTIVE
