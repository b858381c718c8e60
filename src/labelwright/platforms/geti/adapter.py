"""Sonoma Creek 1.x and Intel Geti 2.x: a campaign is a project, its images are in the project's first dataset.

The servers know no campaigns. Ours is created when its project is; it is active once auto-train is off (a campaign's
labels are trained on when they are complete, not while they come in); it is completed when every image is annotated for
every task; and it is finished when auto-train is on again, where the options ask for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, field_validator

from labelwright.domain import LabeledImage
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
    Platform,
    PlatformLabels,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    Secret,
    SetState,
    TakesImages,
    WithdrawsImages,
)
from labelwright.platforms.shape_notices import ShapeNotices

from .client import GetiClient
from .duplicates import remove_duplicates
from .labels import kind_for, labeled_from, own_name, sent_name, tasks_for
from .models import GetiMedium, GetiProject
from .projects import CannotBe, NewTask, normal_kind
from .session import NAME, GetiSession

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

TAKEN = frozenset({".jpg", ".jpeg", ".bmp", ".png", ".tif", ".tiff", ".jfif", ".webp"})
"""Endings of images that the servers take (documented)."""
_ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}
_NOT_TAKEN = (400, 413, 415)
_LABELS_PAGE = 500


class Options(BaseModel):
    """What can be set for this platform."""

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
    timeout_seconds: float = Field(60.0, gt=0, le=600, title="Seconds to wait for the next bytes of an answer")
    connect_seconds: float = Field(5.0, gt=0, le=600, title="Seconds to wait for a connection")
    patience_seconds: float = Field(60.0, ge=0, le=600, title="Longest Retry-After that is waited out at once")
    page_size: int | None = Field(
        None, ge=1, le=100_000, title="Media in one answer", description="By default 100,000 (SC) or 100 (Geti)."
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
        return f"{self.client.dialect.name} {version} at {self.client.session.host}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        found = self.client.find_project(title)
        return None if found is None else self._campaign(self.client.project(found.id))

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        # Names are not unique: after a lost answer the project that it made is looked for.
        found = self.client.find_project(order.title) or self.client.create_project(order.title, self._tasks(order))
        self.client.wait_until_ready(found.id)
        return self._campaign(self.client.project(found.id))

    def _tasks(self, order: CampaignOrder) -> list[NewTask]:
        try:
            return tasks_for(order.labels, self.options.kind or kind_for(order.labels))
        except CannotBe as fault:
            refused = PlatformRefused(NAME, f"create campaign '{order.title}'", message=str(fault))
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
        tasks, size = project.trained, self.options.page_size or min(_LABELS_PAGE, self.client.dialect.page)
        media, following = self.client.media_after(project, cursor or "", size)

        def read(medium: GetiMedium) -> tuple[LabeledImage | None, ShapeNotices]:
            notices = ShapeNotices()
            if not medium.done(tasks):
                return None, notices
            scene = self.client.scene(project, medium, lenient=True)
            if scene is None:  # never taken for "nothing there"
                told = f"image '{medium.name}' ({medium.id}) is annotated, and its annotations are not there"
                raise PlatformRefused(NAME, f"read the labels of campaign {campaign}", status=200, message=told)
            return labeled_from(project, medium, scene, notices), notices

        images, notices = [], ShapeNotices()
        for image, noted in for_each(read, media, self.options.threads):
            images += [image] if image is not None else []
            notices.add(noted)
        return LabelsPage(tuple(images), following or None, notices.checked())

    # TakesImages

    def batch_size(self) -> int | None:
        return None

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        """Of images that came twice (see geti_duplicates) the oldest counts."""
        project = self.client.project(campaign)
        seen: dict[str, str] = {}
        for medium in self.client.media(project):
            if seen.setdefault(medium.name, medium.id) < medium.id:
                continue
            seen[medium.name] = medium.id
            yield RemoteImage(medium.id, own_name(medium.name), medium.width, medium.height)

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        """Sends the images that are not there yet. An upload whose response was lost is found by its name.

        Transport errors cost one image: the others are sent, then those that failed are looked for and sent again.
        Raises PlatformUnavailable for what is left after that, and PlatformRefused that names the images which the
        server does not take, after all others were sent.
        """
        project = self.client.project(campaign)
        retried = False

        def missing(some: Sequence[ImageToSend]) -> list[ImageToSend]:
            by_name = {one.image.name: one for one in some}
            for medium in self.client.media(project):
                by_name.pop(own_name(medium.name), None)
            return list(by_name.values())

        def missing_after_errors(failed: list[ImageToSend]) -> list[ImageToSend]:
            nonlocal retried
            retried = True
            return missing(failed)

        def send(one: ImageToSend) -> str:
            suffix = PurePosixPath(one.image.name).suffix
            suffix = suffix if suffix.lower() in TAKEN else _ENDINGS.get(one.image.format, suffix or ".jpg")
            try:
                self.client.upload(project, sent_name(one.image.name, suffix), one.open)
            except PlatformRefused as refused:
                if refused.status not in _NOT_TAKEN:
                    raise
                return f"{one.image.name}: {refused.message or refused.status}"
            return ""

        results = for_each(send, missing(images), self.options.threads, before_retry=missing_after_errors)
        if retried:
            remove_duplicates(self.client, project)
        faults = [fault for fault in results if fault]
        if faults:
            told = f"{len(faults)} images are not taken: {'; '.join(faults[:10])}"
            advice = "It takes JPEG, PNG, BMP, TIFF and WebP of 32 to 20,000 pixels a side: leave the others out."
            raise PlatformRefused(NAME, f"take in batch {batch}", status=415, message=told, advice=advice)

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        # What is sent is there when its upload is answered.
        return RemoteBatch(SetState.FINISHED)

    # What only some platforms can

    def withdraw_images(self, campaign: str, images: Sequence[str]) -> None:
        project = self.client.project(campaign)
        wanted = set(images)
        media = [medium for medium in self.client.media(project) if medium.id in wanted]
        begun = [medium.name for medium in media if set(medium.states.values()) - {"none"}]
        if begun:
            told = f"somebody has begun to annotate {len(begun)} of them: {', '.join(begun[:10])}"
            raise PlatformRefused(NAME, f"take images out of campaign {campaign}", message=told)
        for medium in media:
            self.client.delete_medium(project, medium)

    def finish_campaign(self, campaign: str) -> None:
        project = self.client.project(campaign)
        found = self._campaign(project)
        if found.state not in (RemoteState.COMPLETED, RemoteState.FINISHED):
            told = f"{found.done} of {found.total} images are annotated for every task"
            raise PlatformRefused(
                NAME, f"finish campaign {campaign}", message=told, advice="Annotate the others first."
            )
        if self.options.auto_train_at_finish and found.state is RemoteState.COMPLETED:
            self.client.set_auto_train(project, True)

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        """An image that the listing lacks is asked for by its id."""
        project = self.client.project(campaign)
        there = {medium.id for medium in self.client.media(project)}
        absent = [image for image in images if image not in there]
        gone = for_each(lambda image: not self.client.has_image(project, image), absent, self.options.threads)
        detail = f"deleted from project '{project.name}' in {self.client.dialect.name}"
        return {image: detail for image, is_gone in zip(absent, gone, strict=True) if is_gone}

    def list_labels(self, campaign: str) -> PlatformLabels:
        return _labels_of(self.client.project(campaign))

    def delete_campaign(self, campaign: str) -> None:
        self.client.delete_project(campaign)

    # How it stands

    def _campaign(self, project: GetiProject) -> RemoteCampaign:
        done, total = self._progress(project)
        state = self._state(project, done, total)
        return RemoteCampaign(project.id, project.name, state, done, total, labels=_labels_of(project))

    def _state(self, project: GetiProject, done: int, total: int) -> RemoteState:
        if not total:
            return RemoteState.CREATED
        try:
            training = self.client.auto_train(project)
        except NotFound:  # a server without this configuration: then only images tell
            training = False
        if done == total:
            return RemoteState.FINISHED if training else RemoteState.COMPLETED
        return RemoteState.CREATED if training else RemoteState.ACTIVE

    def _progress(self, project: GetiProject) -> tuple[int, int]:
        """Images that are annotated for every task, and all. Where the server counts it is asked for two numbers; its
        word that all are done is proved image by image."""
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
    """Labels of all tasks, without those for "nothing here". A project may have been there before the campaign, and
    some kinds bring labels of their own: more labels than the campaign's are no surprise."""
    names = [label.name for task in project.trained for label in task.labels if not label.is_empty]
    return PlatformLabels(tuple(dict.fromkeys(names)), shared=True)
