"""Adapter for Sonoma Creek 1.x and Intel Geti 2.x: a campaign is a project, its images are in the first dataset.

The servers have no campaigns, so the state is derived from the project. A campaign is created with its project; active
once auto-train is off (models are trained on complete labels, not while they come in); completed when every image is
annotated for every task; and finished when auto-train is on again, where the options ask for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, field_validator

from labelwright.domain import ImageState, LabeledImage
from labelwright.platforms.batches import for_each
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.logins import shared_login
from labelwright.platforms.protocol import (
    CampaignOrder,
    DeletesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    ImageToSend,
    LabelsPage,
    ListsLabels,
    ListsUnlabeledImages,
    Platform,
    PlatformLabels,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    Secret,
    SetState,
    TakesImages,
    UnlabeledImage,
    WithdrawsImages,
)
from labelwright.platforms.shape_notices import ShapeNotices

from .client import GetiClient
from .duplicates import is_annotated, remove_duplicates
from .labels import image_name, kind_for, labeled_image_from, tasks_for, upload_name
from .models import GetiMedium, GetiProject
from .projects import InvalidProject, NewTask, normal_kind
from .session import NAME, GetiSession

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

ACCEPTED_SUFFIXES = frozenset({".jpg", ".jpeg", ".bmp", ".png", ".tif", ".tiff", ".jfif", ".webp"})
"""Suffixes of images that the servers accept (documented)."""
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}
_NOT_ACCEPTED = (400, 413, 415)
_LABELS_PAGE = 500


class Options(BaseModel):
    """Options of a Geti connection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str | None = Field(
        None,
        title="Kind of project",
        description="Such as classification or 'detection -> segmentation'; by default what the labels need.",
    )
    auto_train_at_finish: bool = Field(
        False, title="Auto-train at the end", description="Switch auto-train on when the campaign is finished."
    )
    workspace: str = Field("", title="Workspace", description="Id or name; needed where there are several.")
    organization: str = Field("", title="Organization", description="Id; by default the token's oldest.")
    timeout_seconds: float = Field(60.0, gt=0, le=600, title="Seconds to wait for the next bytes of a response")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    page_size: int | None = Field(
        None, ge=1, le=100_000, title="Media per response", description="By default 100,000 (SC) or 100 (Geti)."
    )
    threads: int = Field(8, ge=1, le=64, title="Requests at a time")

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str | None) -> str | None:
        return None if kind is None else normal_kind(kind)


def connect(connection: Connection) -> Geti:
    """The adapter for a connection whose options are those above.

    Key and secret are user and password of Sonoma Creek; a key alone, or a secret alone, is a personal access token.
    """
    options = Options.model_validate(dict(connection.options))
    secret = connection.secret.value if connection.secret is not None else ""
    user, hidden = (connection.key, secret) if connection.key and secret else ("", connection.key or secret)
    session = GetiSession(
        connection.url,
        user,
        Secret(hidden),
        timeout=(options.connect_seconds, options.timeout_seconds),
        patience=options.patience_seconds,
        threads=options.threads,
        login=shared_login(NAME, connection.url, user, Secret(hidden)),
    )
    return Geti(session, options)


class Geti(
    Platform,
    TakesImages,
    WithdrawsImages,
    FinishesCampaigns,
    FindsDeletedImages,
    ListsLabels,
    ListsUnlabeledImages,
    DeletesCampaigns,
):
    """Campaigns as projects of one server.

    `client` has every call of the servers.
    """

    name = NAME

    def __init__(self, session: GetiSession, options: Options | None = None) -> None:
        self.options = options or Options()
        self.client = GetiClient(
            session,
            workspace=self.options.workspace,
            organization=self.options.organization,
            page_size=self.options.page_size,
        )

    def __repr__(self) -> str:
        return f"Geti({self.client.session.host!r})"

    def close(self) -> None:
        self.client.session.close()

    # Platform

    def check(self) -> str:
        version = self.client.connect_platform()
        return f"{self.client.api_version.name} {version} at {self.client.session.host}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        project = self.client.find_project(title)
        return None if project is None else self._campaign(self.client.project(project.id))

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        # Names are not unique, so after a lost response the project may already exist.
        project = self.client.find_project(order.title) or self.client.create_project(order.title, self._tasks(order))
        self.client.wait_until_ready(project.id)
        return self._campaign(self.client.project(project.id))

    def _tasks(self, order: CampaignOrder) -> list[NewTask]:
        try:
            return tasks_for(order.labels, self.options.kind or kind_for(order.labels))
        except InvalidProject as error:
            refused = PlatformRefused(NAME, f"create campaign '{order.title}'", message=str(error))
        raise refused

    def activate_campaign(self, campaign: str) -> None:
        project = self.client.project(campaign)
        if self._campaign(project).state is RemoteState.CREATED:
            remove_duplicates(self.client, project)
            self.client.set_auto_train(project, False)

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        return self._campaign(self.client.project(campaign))

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        project = self.client.project(campaign)
        tasks, size = project.trained, self.options.page_size or min(_LABELS_PAGE, self.client.api_version.page)
        media, following = self.client.media_after(project, cursor or "", size)

        def read(medium: GetiMedium) -> tuple[LabeledImage | None, ShapeNotices]:
            notices = ShapeNotices()
            if not medium.done(tasks):
                return None, notices
            scene = self.client.scene(project, medium, lenient=True)
            if scene is None:  # must not pass for an image without objects
                message = f"image '{medium.name}' ({medium.id}) is annotated, but the server returns no annotations"
                raise PlatformRefused(NAME, f"read the labels of campaign {campaign}", status=200, message=message)
            return labeled_image_from(project, medium, scene, notices), notices

        images, notices = [], ShapeNotices()
        for image, image_notices in for_each(read, media, self.options.threads):
            images += [image] if image is not None else []
            notices.add(image_notices)
        return LabelsPage(tuple(images), following or None, notices.checked())

    # TakesImages

    def batch_size(self) -> int | None:
        return None

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        """The campaign's images; of duplicates (see `duplicates`) the oldest."""
        project = self.client.project(campaign)
        oldest: dict[str, str] = {}
        for medium in self.client.media(project):
            if oldest.setdefault(medium.name, medium.id) < medium.id:
                continue
            oldest[medium.name] = medium.id
            yield RemoteImage(medium.id, image_name(medium.name), medium.width, medium.height)

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        """Uploads the images that the project lacks. An upload whose response was lost is found by its name.

        A transport error costs one image: the others are sent, then the failed ones are looked for and sent again.
        Raises PlatformUnavailable for those that fail again, and PlatformRefused that names the images which the
        server does not accept, after all others were sent.
        """
        project = self.client.project(campaign)
        retried = False

        def missing_after_errors(failed: list[ImageToSend]) -> list[ImageToSend]:
            nonlocal retried
            retried = True
            return self._missing(project, failed)

        def send(item: ImageToSend) -> str:
            return self._upload(project, item)

        missing = self._missing(project, images)
        results = for_each(send, missing, self.options.threads, before_retry=missing_after_errors)
        if retried:
            remove_duplicates(self.client, project)
        rejected = [reason for reason in results if reason]
        if rejected:
            message = f"{len(rejected)} images are not accepted: {'; '.join(rejected[:10])}"
            advice = "Geti accepts JPEG, PNG, BMP, TIFF and WebP of 32 to 20,000 pixels a side: leave the others out."
            raise PlatformRefused(NAME, f"take in batch {batch}", status=415, message=message, advice=advice)

    def _missing(self, project: GetiProject, images: Sequence[ImageToSend]) -> list[ImageToSend]:
        """Those of the images whose names the project lacks."""
        by_name = {item.image.name: item for item in images}
        for medium in self.client.media(project):
            by_name.pop(image_name(medium.name), None)
        return list(by_name.values())

    def _upload(self, project: GetiProject, item: ImageToSend) -> str:
        """Uploads an image. Returns "", or the image's name with the reason when the server rejects it."""
        suffix = PurePosixPath(item.image.name).suffix
        if suffix.lower() not in ACCEPTED_SUFFIXES:
            suffix = _SUFFIXES.get(item.image.format, suffix or ".jpg")
        try:
            self.client.upload(project, upload_name(item.image.name, suffix), item.open)
        except PlatformRefused as refused:
            if refused.status not in _NOT_ACCEPTED:
                raise
            return f"{item.image.name}: {refused.message or refused.status}"
        return ""

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        # An image is in the project when its upload returns.
        return RemoteBatch(SetState.FINISHED)

    # Optional protocols

    def withdraw_images(self, campaign: str, images: Sequence[str]) -> None:
        project = self.client.project(campaign)
        requested = set(images)
        media = [medium for medium in self.client.media(project) if medium.id in requested]
        annotated = [medium.name for medium in media if set(medium.states.values()) - {"none"}]
        if annotated:
            message = f"annotating has begun on {len(annotated)} of them: {', '.join(annotated[:10])}"
            raise PlatformRefused(NAME, f"take images out of campaign {campaign}", message=message)
        for medium in media:
            self.client.delete_medium(project, medium)

    def finish_campaign(self, campaign: str) -> None:
        project = self.client.project(campaign)
        current = self._campaign(project)
        if current.state not in (RemoteState.COMPLETED, RemoteState.FINISHED):
            message = f"{current.done} of {current.total} images are annotated for every task"
            advice = "Annotate the others first."
            raise PlatformRefused(NAME, f"finish campaign {campaign}", message=message, advice=advice)
        if self.options.auto_train_at_finish and current.state is RemoteState.COMPLETED:
            self.client.set_auto_train(project, True)

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        """The deleted ones of these images. An image that the listing lacks is looked up by its id."""
        project = self.client.project(campaign)
        listed = {medium.id for medium in self.client.media(project)}
        unlisted = [image for image in images if image not in listed]
        deleted = for_each(lambda image: not self.client.has_image(project, image), unlisted, self.options.threads)
        detail = f"deleted from project '{project.name}' in {self.client.api_version.name}"
        return {image: detail for image, is_deleted in zip(unlisted, deleted, strict=True) if is_deleted}

    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        project = self.client.project(campaign)
        for medium in self.client.media(project):
            if not medium.done(project.trained):
                states = [medium.states.get(task.id, "none") for task in project.trained]
                state = ImageState.DRAFT if is_annotated(medium) else ImageState.NOT_LABELED
                yield UnlabeledImage(medium.id, image_name(medium.name), state, f"annotations: {', '.join(states)}")

    def list_labels(self, campaign: str) -> PlatformLabels:
        return _labels_of(self.client.project(campaign))

    def delete_campaign(self, campaign: str) -> None:
        self.client.delete_project(campaign)

    # State

    def _campaign(self, project: GetiProject) -> RemoteCampaign:
        done, total = self._progress(project)
        state = self._state(project, done, total)
        return RemoteCampaign(project.id, project.name, state, done, total, labels=_labels_of(project))

    def _state(self, project: GetiProject, done: int, total: int) -> RemoteState:
        if not total:
            return RemoteState.CREATED
        try:
            training = self.client.auto_train(project)
        except NotFound:  # a server without this configuration: only the images decide
            training = False
        if done == total:
            return RemoteState.FINISHED if training else RemoteState.COMPLETED
        return RemoteState.CREATED if training else RemoteState.ACTIVE

    def _progress(self, project: GetiProject) -> tuple[int, int]:
        """Images that are annotated for every task, and all images.

        Uses the server's counts where it has them; when they say that all are done, every image is checked.
        """
        total = self.client.count_images(project)
        done = self.client.count_images(project, "annotated") if total is not None else None
        if total is not None and done is not None and done < total:
            return done, total
        tasks, done, total = project.trained, 0, 0
        for medium in self.client.media(project):
            total += 1
            done += medium.done(tasks)
        return done, total


def _labels_of(project: GetiProject) -> PlatformLabels:
    """Labels of all tasks, without empty labels.

    Marked as shared: the project may be older than the campaign, and some kinds have labels of their own.
    """
    names = [label.name for task in project.trained for label in task.labels if not label.is_empty]
    return PlatformLabels(tuple(dict.fromkeys(names)), shared=True)
