"""Scale AI: a campaign is a batch of tasks, an image is a task, and every task costs money.

The contract is docs/scale-ai.md. The batch's name is the campaign's title, by which it is found again; what its tasks
ask stands in its metadata. A task bears the unique_id `<campaign>/<image>`, which is unique in the whole account for
ever: said again after a lost answer, the task is refused and found, never made and billed twice.

Scale's own workforce labels: the labeler of a campaign is only written down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from labelwright.domain import LabeledImage
from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.client import Http
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
    WebhookNote,
)
from labelwright.platforms.shape_notices import ShapeNotices

from . import looks as scale_looks
from .client import Json, ScaleClient
from .errors import Duplicate, InvalidRequest
from .listing import TaskListing
from .models import (
    CANCELLED,
    DEAD,
    ERROR,
    HEIGHT,
    STAGING,
    WIDTH,
    Counts,
    counts_from,
    failed_from,
    holds_its_id,
    image_name,
    labeled_from,
    status_of,
)
from .order import ACTIVATED, KEY, SETTLED, Shapes, TaskOrder, order_from, order_in
from .pace import pace_for
from .sending import Attachments, Sender
from .webhooks import note_from

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

NAME = "scale"
REVIEWS = ("pending", "accepted", "fixed", "rejected", "commented")
_NO_SUCH_CALL = (400, 404, 405)


class Options(BaseModel):
    """What can be set for this platform."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str | None = Field(None, min_length=1, title="Scale's project; by default one for each type of task")
    kind: Literal["enterprise", "rapid", "studio"] = Field("enterprise", title="Of a project that has to be made")
    callback_url: str = Field("", pattern=r"^(https?://.+)?$", title="Where Scale tells of tasks that ended")
    attachments: Attachments = Field("auto", title="auto: by address where there is one, else uploaded to Scale")
    rotated_boxes: bool = Field(False, title="Let boxes be turned; they come back as polygons")
    smallest: int | None = Field(None, ge=1, title="Width and height in pixels below which nothing need be labeled")
    most_corners: int | None = Field(None, ge=3, title="Most corners of a polygon")
    several_categories: bool = Field(False, title="Let an image bear several of the labels for whole images")
    max_tasks: int | None = Field(None, ge=0, title="Most billed tasks of this campaign")
    only_test: bool = Field(False, title="Refuse keys that cost money")
    requests_per_second: float = Field(50.0, ge=0, title="Most requests a second of one process; 0: no limit")
    threads: int = Field(16, ge=1, le=128, title="Requests at once")
    watch_days: float = Field(30.0, ge=0, title="Days after the export during which recalled tasks are looked for")
    page_size: int = Field(2000, ge=1, le=10_000, title="Images a page when labels are read")
    parallel_from: int = Field(2000, ge=1, title="Listings longer than this are read side by side")
    timeout_seconds: float = Field(60.0, gt=0, le=600, title="Seconds to wait for the next bytes of an answer")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    storm_seconds: float = Field(60.0, ge=0, le=600, title="Longest that 429s without Retry-After are waited out")
    back_off_seconds: float = Field(1.0, ge=0, le=60, title="First pause of all threads after such a 429; it doubles")


def connect(connection: Connection) -> Scale:
    """The adapter for a connection whose options are those above. The connection's secret is the callback key.

    Raises PlatformRefused when only keys for testing are wanted and this is none.
    """
    options = Options.model_validate(dict(connection.options))
    if connection.requests_per_second is not None:  # this machine knows better than the campaign
        options = options.model_copy(update={"requests_per_second": connection.requests_per_second})
    return Scale(connection.url, connection.key, connection.secret, options)


def mode_of(key: str) -> Literal["test", "live", "unknown"]:
    """Which of Scale's two worlds a key opens: neither knows the other's projects, batches and tasks."""
    if key.startswith("test_") or key.endswith("|test"):
        return "test"
    return "live" if key.startswith("live_") or key.endswith("|live") else "unknown"


class Scale(
    Platform,
    TakesImages,
    BillsTasks,
    ResendsImages,
    FindsDeletedImages,
    ListsLabels,
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
            told = f"only keys for testing are wanted, and this is {self._words()}"
            raise PlatformRefused(NAME, "connect", message=told, advice="Give a key that begins with test_.")
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
            told = "Copy the key again, and check whether it is the live or the test key."
            raise AccessDenied(
                NAME, denied.operation, status=denied.status, message=denied.message, advice=told
            ) from None
        return f"Scale at {self.client.base_url} with {self._words()}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        try:
            return self.read_campaign(title)
        except NotFound:
            return None

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        wanted, operation = self._order_from(order), f"create campaign '{order.title}'"
        metadata = {**order.metadata, KEY: wanted.as_text(), ACTIVATED: "no"}
        try:
            batch = self.client.create_batch(
                order.title, wanted.project, callback=self._options.callback_url, metadata=metadata
            )
        except Duplicate as duplicate:
            batch = self.client.get_batch(order.title)
            if order_in(batch.get("metadata")) != wanted:
                told = f"there is another batch of that name: {duplicate.message}"
                advice = "Names of batches are unique in an account: give the campaign another title."
                raise PlatformRefused(NAME, operation, status=409, message=told, advice=advice) from None
        made = Fields(NAME, operation, batch)
        if made.text("name") != order.title:
            made.refuse("name", f"is '{made.text('name')}', though '{order.title}' was asked for")
        return self.read_campaign(order.title)

    def activate_campaign(self, campaign: str) -> None:
        batch, counts = self._read(campaign)
        if not _total(counts):
            told, advice = "it holds no image, and nobody knows how an empty batch ends", "Send its images first."
            raise PlatformRefused(NAME, f"activate campaign '{campaign}'", message=told, advice=advice)
        metadata = _metadata(batch)
        if counts.state != STAGING and metadata.get(ACTIVATED) == "yes":
            return
        try:
            self.client.finalize_batch(campaign)
        except PlatformRefused:
            if self._read(campaign)[1].state == STAGING:
                raise
        self._mark(campaign, metadata | {ACTIVATED: "yes"})

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        batch, counts = self._read(campaign)
        failed, cancelled = counts.error, counts.cancelled
        if counts.dead and _metadata(batch).get(SETTLED) == "yes":
            failed, cancelled = self._unsettled(campaign)
        total = counts.pending + counts.completed + failed + cancelled
        return RemoteCampaign(
            id=campaign,
            title=campaign,
            state=_state(counts, total, _metadata(batch).get(ACTIVATED) == "no"),
            done=counts.completed,
            total=total,
            failed=failed,
            cancelled=cancelled,
        )

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        operation = f"read the labels of campaign '{campaign}'"
        docs, following = self._listing(campaign, status="completed").page(cursor)

        def read(doc: Json) -> tuple[LabeledImage, ShapeNotices] | None:
            task, noted = Fields(NAME, operation, doc, f"task {doc.get('task_id')}"), ShapeNotices()
            name = image_name(task, campaign)
            if name is None or status_of(task) != "completed":
                return None
            return labeled_from(task, name, self._fetch, noted), noted

        images, notices = [], ShapeNotices()
        for labeled in for_each(read, docs, self._options.threads):
            if labeled is not None:
                images.append(labeled[0])
                notices.add(labeled[1])
        return LabelsPage(tuple(images), following, notices.checked())

    # TakesImages

    def batch_size(self) -> int | None:
        return None

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        """Failed and cancelled ones too: nobody sends them again without being asked to. Tasks that somebody else put
        into the batch are listed under their ids."""
        operation = f"list the images of campaign '{campaign}'"
        for doc in self._listing(campaign):
            task = Fields(NAME, operation, doc, f"task {doc.get('task_id')}")
            if status_of(task) in DEAD and not holds_its_id(task, campaign):
                continue  # replaced, or left out
            id, metadata = task.id("task_id"), _metadata(doc)
            width, height = (value if isinstance(value := metadata.get(key), int) else 0 for key in (WIDTH, HEIGHT))
            yield RemoteImage(id, image_name(task, campaign) or id, width, height)

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        if images:
            self._sender(campaign).send(images)

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        """Tasks are there as soon as they are made. What becomes of their attachments is told by the campaign."""
        return RemoteBatch(SetState.FINISHED)

    # BillsTasks

    def bill(self, images: int) -> Bill:
        live = self._mode != "test"
        return Bill(images if live else 0, live, self._options.max_tasks, self._words())

    # ResendsImages

    def list_failed_images(self, campaign: str) -> Iterator[FailedImage]:
        operation = f"list the failed images of campaign '{campaign}'"
        for task in self._dead(operation, campaign):
            name = image_name(task, campaign)
            if name is not None and holds_its_id(task, campaign):
                yield failed_from(task, name)

    def send_again(self, campaign: str, images: Sequence[ImageToSend]) -> Sequence[tuple[str, str]]:
        if not images:
            return []
        sender = self._sender(campaign)
        self._settling(campaign)
        return sender.send_again(images)

    def leave_out(self, campaign: str, images: Sequence[str]) -> None:
        self._settling(campaign)
        for image in images:
            operation = f"leave image {image} out"
            task = Fields(NAME, operation, self.client.fetch_task(image))
            if task.json.get("batch") not in (None, campaign) or status_of(task) not in DEAD:
                told = f"it is {status_of(task)} in batch '{task.json.get('batch')}'"
                raise PlatformRefused(NAME, operation, message=told, advice="Only failed images can be left out.")
            if holds_its_id(task, campaign):
                self.client.clear_unique_id(image)

    # FindsDeletedImages, ListsLabels

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        return scale_looks.gone_from(self.client, campaign, images, self._options.threads)

    def list_labels(self, campaign: str) -> PlatformLabels | None:
        return scale_looks.labels_of(self.client, campaign)

    # RecallsImages

    def recall_days(self) -> float:
        return self._options.watch_days

    # TellsReviews

    def count_reviews(self, campaign: str) -> dict[str, int]:
        counts = {}
        for review in REVIEWS:
            page = self.client.tasks(batch=campaign, customer_review_status=review, limit=1)
            counts[review] = (
                page.total
                if page.total is not None
                else sum(1 for _ in self.client.all_tasks(batch=campaign, customer_review_status=review))
            )
        return counts

    # OpensWebhooks

    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        return note_from(headers, body, self._callback_key)

    # How it is asked

    def _words(self) -> str:
        return {
            "test": "a test key (nothing is billed, tasks complete at once with made-up labels)",
            "live": "a live key",
            "unknown": "a key that is neither test_ nor live_, taken for a live one",
        }[self._mode]

    def _read(self, campaign: str) -> tuple[Json, Counts]:
        batch = self.client.get_batch(campaign)
        told = Fields(NAME, f"read campaign '{campaign}'", batch)
        if told.text("name") != campaign:
            told.refuse("name", f"is '{told.text('name')}', though '{campaign}' was asked for")
        return batch, counts_from(Fields(NAME, told.operation, self.client.batch_status(campaign)))

    def _order_from(self, order: CampaignOrder) -> TaskOrder:
        shapes = Shapes(
            self._options.rotated_boxes,
            self._options.smallest,
            self._options.most_corners,
            self._options.several_categories,
        )
        wanted = order_from(order, "", shapes, rapid=False, callback_url=self._options.callback_url)
        name = self._options.project or f"labelwright-{wanted.type}"
        project = self._project(name, wanted, order.instructions)
        rapid = project.get("rapid") is True or (self._options.kind == "rapid" and "rapid" not in project)
        return order_from(order, name, shapes, rapid=rapid, callback_url=self._options.callback_url)

    def _project(self, name: str, wanted: TaskOrder, instructions: str) -> Json:
        """The project of that name, made when there is none."""
        try:
            project = self.client.get_project(name)
        except NotFound:
            kind = self._options.kind
            params = {"instruction": instructions} if instructions else {}
            try:
                project = self.client.create_project(
                    name, wanted.type, params, rapid=kind == "rapid", studio=kind == "studio"
                )
            except Duplicate:  # made in between
                project = self.client.get_project(name)
        if project.get("type", wanted.type) != wanted.type:
            told = f"project '{name}' is of type {project['type']}, and the campaign's labels need {wanted.type}"
            raise PlatformRefused(NAME, f"read project '{name}'", message=told, advice="Name another project.")
        return project

    def _sender(self, campaign: str) -> Sender:
        batch = self.client.get_batch(campaign)
        order = order_in(batch.get("metadata"))
        if order is None:
            told = f"batch '{campaign}' does not say what its tasks ask: it was not made by Labelwright"
            advice = "Give the campaign another title, so that a batch of its own is made."
            raise PlatformRefused(NAME, f"send images into '{campaign}'", message=told, advice=advice)
        return Sender(self.client, campaign, order, self._options.attachments, self._options.threads)

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

    def _dead(self, operation: str, campaign: str) -> Iterator[Fields]:
        for filter, states in ((ERROR, {ERROR}), ("canceled", CANCELLED)):
            for doc in self._of_status(campaign, filter):
                task = Fields(NAME, operation, doc, f"task {doc.get('task_id')}")
                if status_of(task) in states:
                    yield task

    def _of_status(self, campaign: str, status: str) -> Iterator[Json]:
        """The tasks of that status, or all of them where the server has no such filter: Scale's client knows none for
        errors."""
        told = False
        try:
            for doc in self._listing(campaign, status=status):
                told = True
                yield doc
        except InvalidRequest:
            if told:
                raise
            yield from self._listing(campaign)

    def _unsettled(self, campaign: str) -> tuple[int, int]:
        """How many failed and cancelled images nobody has decided about."""
        failed = cancelled = 0
        for task in self._dead(f"read campaign '{campaign}'", campaign):
            if holds_its_id(task, campaign):
                failed, cancelled = failed + (status_of(task) == ERROR), cancelled + (status_of(task) in CANCELLED)
        return failed, cancelled

    def _settling(self, campaign: str) -> None:
        """From now on not every failed task of the batch counts as an image."""
        metadata = _metadata(self.client.get_batch(campaign))
        if metadata.get(SETTLED) != "yes":
            self.client.set_batch_metadata(campaign, metadata | {SETTLED: "yes"})

    def _mark(self, campaign: str, metadata: Json) -> None:
        """The batch is finalized: that this was meant is worth a note, and no more."""
        try:
            self.client.set_batch_metadata(campaign, metadata)
        except PlatformRefused as refused:
            if refused.status not in _NO_SUCH_CALL:
                raise

    def _fetch(self, url: str) -> Any:
        """The JSON at an address that an answer named. Our key goes to Scale's API only."""
        operation, parts = "fetch annotations", urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise PlatformRefused(NAME, operation, status=200, message="the answer names no address that can be read")
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        http = Http(NAME, f"{parts.scheme}://{parts.netloc}", timeout=self._timeout)
        try:
            body = http.call(operation, "GET", path, expect="bytes")
        finally:
            http.close()
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            pass
        raise PlatformUnavailable(NAME, operation, status=200, message="it is no valid JSON", advice="Try again.")


def _total(counts: Counts) -> int:
    return counts.pending + counts.completed + counts.dead


def _state(counts: Counts, total: int, waiting: bool) -> RemoteState:
    """By the counts: a batch that Scale calls completed may hold errors, and a recalled task makes it pending again.

    In enterprise projects batches are in progress from the start: one that waits for its activation counts as created
    until somebody has worked on it.
    """
    if counts.state == STAGING or not total or (waiting and not counts.completed + counts.dead):
        return RemoteState.CREATED
    return RemoteState.COMPLETED if counts.completed == total else RemoteState.ACTIVE


def _metadata(thing: Mapping[str, Any]) -> Json:
    metadata = thing.get("metadata")
    return dict(metadata) if isinstance(metadata, Mapping) else {}
