"""Platform adapter for Label Studio: a campaign is a project, an image is a task. See docs/label-studio.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from labelwright.domain import LabeledImage, Shape
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.logins import Login, shared_login
from labelwright.platforms.protocol import (
    CampaignOrder,
    ChangesCampaigns,
    DeletesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    ImageToSend,
    KeepsSnapshots,
    LabelerAccess,
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
    ReopensCampaigns,
    ReopensImages,
    Secret,
    SetState,
    ShowsCampaigns,
    TakesImages,
    TakesPredictions,
    UnlabeledImage,
    WebhookNote,
    WithdrawsImages,
)

from . import changes, images, labels, predictions, reopening, webhooks
from .annotations import cannot_be_drawn
from .client import NAME, Client
from .label_config import check_labels, read_config
from .options import Options
from .projects import Project
from .server import IGNORE_SKIPPED, Server
from .tokens import AccessToken

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

__all__ = ["NAME", "LabelStudio", "Options", "connect"]


def connect(connection: Connection) -> LabelStudio:
    """The adapter for a connection, whose key is a personal access token or a legacy token."""
    options = Options.model_validate(dict(connection.options))
    token = Secret(connection.key.strip())
    return LabelStudio(connection.url, token, options, login=shared_login(NAME, connection.url, "", token))


class LabelStudio(
    Platform,
    TakesImages,
    WithdrawsImages,
    FinishesCampaigns,
    KeepsSnapshots,
    ReopensCampaigns,
    ReopensImages,
    RecallsImages,
    DeletesCampaigns,
    FindsDeletedImages,
    ListsLabels,
    ChangesCampaigns,
    ListsUnlabeledImages,
    TakesPredictions,
    OpensWebhooks,
    ShowsCampaigns,
):
    """Campaigns as projects of one server. Everybody in the server's organization can do everything in them.

    RecallsImages, because anybody may take an annotation back after the end.
    """

    name = NAME

    def __init__(
        self, url: str, token: Secret, options: Options | None = None, *, login: Login[AccessToken] | None = None
    ) -> None:
        self.options = options or Options()
        timeout = (self.options.connect_seconds, self.options.timeout_seconds)
        self._client = Client(url, token, timeout=timeout, patience=self.options.patience_seconds, login=login)
        self.server = Server(self._client, self.options)
        self._webhook_secret = webhooks.secret_for(self._client.url, token)

    def __repr__(self) -> str:
        return f"LabelStudio({self._client.url!r})"

    def close(self) -> None:
        self._client.close()

    # Platform

    def check(self) -> str:
        return f"Label Studio {self.server.version()} at {self._client.url}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        project = self.server.find(title)
        return None if project is None else self._campaign(project, f"find campaign '{title}'")

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        check_labels(order.labels, {})
        project = self.server.find(order.title) or self.server.create(order)
        return project.campaign()

    def activate_campaign(self, campaign: str) -> None:
        """Marks the campaign as open. Label Studio lets people label as soon as a project has images."""
        operation = f"activate campaign {campaign}"
        project = self._project(campaign, operation)
        if not project.is_open:
            self._remove_doubles(project, operation)
            self.server.change(project.id, operation, is_published=True, skip_queue=IGNORE_SKIPPED)

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        operation = f"read campaign {campaign}"
        return self._campaign(self._project(campaign, operation), operation)

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        """`cursor` is the id of the last task that was read."""
        operation = f"read the labels of campaign {campaign}"
        project = self._project(campaign, operation, whole=True)
        after = int(cursor) if cursor and cursor.isdecimal() else 0
        return labels.read_page(self.server, project.id, operation, read_config(project.label_config), after)

    # Images

    def batch_size(self) -> int | None:
        return self.options.images_per_batch

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        operation = f"list the images of campaign {campaign}"
        return images.list_images(self.server, self._project(campaign, operation).id, operation)

    def send_images(self, campaign: str, batch: int, images_to_send: Sequence[ImageToSend]) -> None:
        operation = f"send batch {batch} of images into campaign {campaign}"
        images.send(self.server, self._project(campaign, operation).id, operation, images_to_send)

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        """A batch is taken in when the request that created its tasks returns."""
        self._project(campaign, f"read batch {batch} of campaign {campaign}")
        return RemoteBatch(SetState.FINISHED)

    def withdraw_images(self, campaign: str, images: Sequence[str]) -> None:
        operation = f"take images out of campaign {campaign}"
        self._project(campaign, operation)
        for image in labels.refuse_labeled(self.server, operation, images):
            self.server.delete_task(image, operation)

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        operation = f"look for deleted images of campaign {campaign}"
        return labels.deleted_among(self.server, self._project(campaign, operation).id, operation, images)

    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        operation = f"list the unlabeled images of campaign {campaign}"
        return labels.unlabeled_images(self.server, self._project(campaign, operation).id, operation)

    # The end of a campaign, and after it

    def finish_campaign(self, campaign: str) -> None:
        """Makes a snapshot of all annotations. Label Studio cannot lock a project."""
        operation = f"finish campaign {campaign}"
        project = self._project(campaign, operation)
        if project.state() is RemoteState.FINISHED:
            return
        if project.state() is not RemoteState.COMPLETED:
            message = f"campaign {campaign} is {project.state()}: {project.finished} of {project.tasks} images are done"
            raise PlatformRefused(NAME, operation, message=message)
        snapshot = self.server.snapshot(project, operation)
        self.server.keep(project.id, operation, replace(project.own_record, snapshot=snapshot))

    def snapshot(self, campaign: str) -> Mapping[str, str]:
        snapshot = self._project(campaign, f"read the snapshot of campaign {campaign}").own_record.snapshot
        return {} if snapshot is None else {"id": str(snapshot.id), "md5": snapshot.md5}

    def reopen_campaign(self, campaign: str) -> None:
        operation = f"reopen campaign {campaign}"
        reopening.reopen_all(self.server, self._project(campaign, operation), operation)

    def reopen_images(self, campaign: str, reasons: Mapping[str, str], call_id: str) -> str:
        operation = f"reopen images of campaign {campaign}"
        reopening.reopen_images(self.server, self._project(campaign, operation), operation, reasons, call_id)
        return ""

    def recall_days(self) -> float:
        return self.options.watch_days

    def delete_campaign(self, campaign: str) -> None:
        if campaign.isdecimal():
            self.server.delete(int(campaign), f"delete campaign {campaign}")

    # Labels, predictions, webhooks

    def list_labels(self, campaign: str) -> PlatformLabels:
        config = read_config(
            self._project(campaign, f"list the labels of campaign {campaign}", whole=True).label_config
        )
        return PlatformLabels(
            config.names,
            {name: config.attributes(name) for name in config.names},
            {name: config.geometry(name) for name in config.names},
        )

    def change_campaign(self, campaign: str, order: CampaignOrder) -> LabelerAccess | None:
        """Changes labels and instructions. Label Studio has no labelers to assign."""
        operation = f"change campaign {campaign}"
        check_labels(order.labels, {})
        changes.change(self.server, self._project(campaign, operation, whole=True), operation, order)
        return None

    def put_predictions(self, campaign: str, images: Sequence[LabeledImage]) -> None:
        operation = f"put predictions into campaign {campaign}"
        project = self._project(campaign, operation, whole=True)
        predictions.put(self.server, project.id, operation, read_config(project.label_config), images)

    def cannot_be_drawn(self, shape: Shape) -> str:
        """Returns why Label Studio cannot show a shape, or an empty text."""
        return cannot_be_drawn(shape, masks=self.options.masks)

    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        return webhooks.open_note(headers, body, self._webhook_secret)

    def put_webhook(self, campaign: str, target: str, actions: Sequence[str] = webhooks.ACTIONS) -> int:
        """Creates or updates a webhook that posts the campaign's events to `target`. Returns its id."""
        project = self._project(campaign, f"create a webhook for campaign {campaign}")
        return webhooks.put_webhook(self._client, project.id, target, self._webhook_secret, actions)

    def campaign_page(self, campaign: str) -> str:
        return f"{self._client.url}/projects/{campaign}/data"

    # Helpers

    def _project(self, campaign: str, operation: str, *, whole: bool = False) -> Project:
        if not campaign.isdecimal():
            raise NotFound(NAME, operation, message=f"'{campaign}' is no id of a project")
        return self.server.project(int(campaign), operation, whole=whole)

    def _campaign(self, project: Project, operation: str) -> RemoteCampaign:
        return project.campaign(self.server.count_skipped(project, operation))

    def _remove_doubles(self, project: Project, operation: str) -> None:
        """Removes second tasks of an image, which a request that the server answered too late has left."""
        tasks = self._client.tasks(
            operation,
            project.id,
            include="id,data,total_annotations,cancelled_annotations",
            page_size=self.options.page_size,
        )
        images.remove_doubles(self.server, project.id, operation, tasks)
