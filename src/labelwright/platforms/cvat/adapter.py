"""Platform adapter for CVAT 2.15 and newer: a campaign is a project, a batch of images a task, labelers work on jobs.

See docs/cvat.md. Progress is computed from jobs: a project's status never changes, and a task counts a job as completed
only when it was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from labelwright.domain import LabeledImage
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.logins import Login, shared_login
from labelwright.platforms.protocol import (
    CampaignOrder,
    ChangesCampaigns,
    DeletesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    ImageToSend,
    LabelerAccess,
    LabelsPage,
    ListsLabels,
    ListsUnlabeledImages,
    OpensWebhooks,
    Platform,
    PlatformLabels,
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

from . import changes as cvat_changes
from . import jobs as cvat_jobs
from . import labels as cvat_labels
from . import predictions as cvat_predictions
from . import reviews
from . import webhooks as cvat_webhooks
from . import withdrawals as cvat_withdrawals
from .annotations import SkippedAnnotation
from .campaigns import (
    CampaignLocation,
    campaign_tasks,
    exclude_foreign_tasks,
    group_by_task,
    refuse_foreign_tasks,
    remote_campaign,
    split_id,
    task_name,
)
from .client import NAME
from .exports import Export, Exportable
from .imports import jobs_cover_task
from .models import CvatJob, CvatTask, JobState, Stage
from .names import name_of
from .options import Options
from .schema import labels_for
from .server import Server

if TYPE_CHECKING:
    from labelwright.platforms.entry import Connection

__all__ = ["NAME", "Cvat", "Options", "connect"]


def connect(connection: Connection) -> Cvat:
    """The adapter for a connection whose options are those of `Options`.

    Key and secret are user name (or e-mail address) and password; either of them alone is a token.
    """
    options = Options.model_validate(dict(connection.options))
    secret = connection.secret or Secret("")
    user, token = (connection.key, secret) if secret.value else ("", Secret(connection.key))
    if not token.value:
        advice = "Set key and secret to user name and password, or the key alone to a token."
        raise PlatformRefused(NAME, "connect", message="the settings hold neither password nor token", advice=advice)
    login = shared_login(NAME, connection.url, user, token)
    return Cvat(
        connection.url,
        user,
        token,
        options,
        login=login,
        labeler=connection.labeler,
        recorded=connection.recorded,
    )


class Cvat(
    Platform,
    TakesImages,
    WithdrawsImages,
    FinishesCampaigns,
    ReopensCampaigns,
    ReopensImages,
    DeletesCampaigns,
    FindsDeletedImages,
    ListsLabels,
    ChangesCampaigns,
    ListsUnlabeledImages,
    TakesPredictions,
    OpensWebhooks,
    ShowsCampaigns,
):
    """Campaigns on one server, as one user.

    A campaign's id is that of its project, or "PROJECT/title" in a shared project; an image's is "TASK/FRAME".
    `labeler` is the campaign's, used when no task has an assignee. `recorded` returns, for a campaign's id, the ids of
    the tasks that hold its images according to the ledger.
    """

    name = NAME

    def __init__(
        self,
        url: str,
        user: str,
        secret: Secret,
        options: Options | None = None,
        *,
        login: Login[str] | None = None,
        labeler: str = "",
        recorded: Callable[[str], Collection[str]] = lambda _: (),
    ) -> None:
        self._own_labeler, self._recorded = labeler, recorded
        self.options = options or Options()
        self.server = Server(url, user, secret, self.options, login)
        self._client = self.server.client
        self._webhook_secret = cvat_webhooks.secret_for(self._client.url, secret)

    def __repr__(self) -> str:
        return f"Cvat({self._client.url!r})"

    def close(self) -> None:
        self._client.close()

    # Platform

    def check(self) -> str:
        user = self._client.log_in()
        return f"CVAT {self._client.about or 'of unknown version'} as {user} at {self._client.url}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        location = self._find(title)
        tasks = self._tasks_for_launch(location) if location else []
        return self._remote_campaign(location, tasks) if location and tasks else None

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        labelers = self._labelers(order.labeler)
        location = self._find(order.title)
        if location is None:
            project = self.server.create_project(self.options.project or order.title, labels_for(order.labels))
            location = CampaignLocation(project, order.title if self.options.project else "")
        else:
            self.server.add_missing_labels(location.project.id, order.labels)
        tasks = self._tasks_for_launch(location)
        if not tasks and not location.shared:
            refuse_foreign_tasks(NAME, location, self.server.tasks_of(location.project.id))
        if order.instructions and location.project.guide is None:
            self.server.put_guide(location.project.id, order.instructions)
        if not tasks:
            # Labelers of the options are in every call; the campaign's own one is kept in the task until jobs exist.
            labeler = labelers[0] if labelers and not self.options.labelers else None
            self._create_task(location, (), 1, labeler)
        return self.read_campaign(location.id)

    def activate_campaign(self, campaign: str) -> None:
        location = self._location(campaign)
        if not self.options.assign:
            return
        tasks = self._tasks(location)
        jobs, labelers = self._jobs(location, tasks), self._assignees(tasks)
        if not jobs or not labelers:
            message = f"campaign {campaign} has {'no labelers' if jobs else 'no images'}"
            advice = "Name labelers in the options." if jobs else "Send its images first."
            raise PlatformRefused(NAME, f"activate campaign {campaign}", message=message, advice=advice)
        for job, user in cvat_jobs.distribute(jobs, labelers):
            if job.assignee is None and job.is_new:
                cvat_jobs.assign(self._client, job.id, user)

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        location = self._location(campaign)
        return self._remote_campaign(location, self._tasks(location))

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        """`cursor` is the id of the first image that was not read yet."""
        location = self._location(campaign)
        labels = self.server.labels(location.project.id)
        task_id, _, frame = (cursor or "0/0").partition("/")
        tasks = [task for task in self._tasks(location) if task.id >= int(task_id)]
        for task, following in zip(tasks, [*tasks[1:], None], strict=True):
            page = cvat_labels.read_task(self.server, task, labels, int(frame) if task.id == int(task_id) else 0)
            if page.images or page.skipped or page.excluded:
                next_cursor = f"{following.id}/0" if following else None
                next_cursor = f"{task.id}/{page.end}" if page.end < task.size else next_cursor
                notices = tuple(item.as_notice() for item in page.skipped)
                return LabelsPage(page.images, next_cursor, notices, page.excluded)
        return LabelsPage((), None)

    # TakesImages

    def batch_size(self) -> int | None:
        return self.options.images_per_task

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        location = self._location(campaign, launching=True)
        tasks = self._tasks(location, launching=True)
        jobs = group_by_task(self._jobs(location, tasks))
        for task in tasks:
            if jobs_cover_task(task, jobs.get(task.id, ())):
                for number, frame in enumerate(self.server.frames(task).frames):
                    yield RemoteImage(f"{task.id}/{number}", name_of(frame.name), frame.width, frame.height)

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        location = self._location(campaign, launching=True)
        tasks = self._tasks(location, launching=True)
        batch_tasks = [task for task in tasks if location.batch_of(task) == batch]
        filled = [task for task in batch_tasks if task.size]
        labeler = self._labeler(tasks)
        self.server.fill(batch_tasks, images, lambda _: self._create_task(location, filled, batch, labeler))

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        location = self._location(campaign, launching=True)
        tasks = self._tasks(location, launching=True)
        batch_tasks = [task for task in tasks if location.batch_of(task) == batch]
        imports = [self.server.read_import(task) for task in batch_tasks if task.has_data or task.size]
        for state in (SetState.FAILED, SetState.FINISHING, SetState.CREATED):
            for result in imports:
                if result.state is state:
                    return result
        return RemoteBatch(SetState.FINISHED if imports else SetState.CREATED)

    # Optional protocols

    def withdraw_images(self, campaign: str, images: Sequence[str]) -> None:
        """Deletes whole tasks: the other images of a task are withdrawn with it."""
        location = self._location(campaign, launching=True)
        tasks = self._tasks(location, launching=True)
        operation = f"take images out of campaign {campaign}"
        cvat_withdrawals.withdraw(self.server, operation, tasks, group_by_task(self._jobs(location, tasks)), images)

    def finish_campaign(self, campaign: str) -> None:
        """Accepts every job, which CVAT itself calls completed."""
        location = self._location(campaign)
        tasks = self._tasks(location)
        progress = self._remote_campaign(location, tasks)
        if progress.state is RemoteState.FINISHED:
            return
        if progress.state is not RemoteState.COMPLETED:
            message = f"campaign {campaign} is {progress.state}: "
            message += f"{progress.done} of {progress.total} images are {self.options.done_means}"
            raise PlatformRefused(NAME, f"finish campaign {campaign}", message=message)
        for job in self._jobs(location, tasks):
            if not job.accepted:
                cvat_jobs.move(self._client, job, Stage.ACCEPTANCE, JobState.COMPLETED)

    def reopen_campaign(self, campaign: str) -> None:
        """Returns every job to its labeler, in progress. Continues a reopening that was interrupted."""
        location = self._location(campaign)
        tasks = self._tasks(location)
        state = self._remote_campaign(location, tasks).state
        if state is RemoteState.CREATED:
            message = f"campaign {campaign} was never completed"
            raise PlatformRefused(NAME, f"reopen campaign {campaign}", message=message, advice="Activate it instead.")
        reviewers = self.server.people.ids(self.options.reviewers)
        labelers = self._assignees(tasks) if reviewers and self.options.assign else []
        reviews.reopen(
            self._client,
            self._jobs(location, tasks),
            self.options.done_means,
            active=state is RemoteState.ACTIVE,
            labelers=labelers,
            reviewers=reviewers,
        )

    def reopen_images(self, campaign: str, reasons: Mapping[str, str], call_id: str) -> str:
        """Returns the jobs that hold these frames to their labelers: CVAT completes and reopens whole jobs only."""
        location = self._location(campaign)
        tasks = self._tasks(location)
        reviewers = self.server.people.ids(self.options.reviewers)
        labelers = self._assignees(tasks) if reviewers and self.options.assign else []
        return reviews.reopen_frames(
            self._client, campaign, self._jobs(location, tasks), reasons, labelers=labelers, reviewers=reviewers
        )

    def delete_campaign(self, campaign: str) -> None:
        """Deletes the project, or only the campaign's tasks when the project holds other tasks too."""
        try:
            location = self._location(campaign)
        except NotFound:
            return
        tasks = self._tasks(location, launching=True)
        if not location.shared and len(tasks) == len(self.server.tasks_of(location.project.id)):
            self.server.delete_project(location.project.id)
        else:
            for task in reversed(tasks):  # the campaign exists as long as its first task does
                self.server.delete_task(task.id)

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        return cvat_labels.deleted_among(self.server, self._location(campaign).project.id, images)

    def list_unlabeled_images(self, campaign: str) -> Iterator[UnlabeledImage]:
        return cvat_labels.unlabeled_images(self.server, self._tasks(self._location(campaign)))

    def list_labels(self, campaign: str) -> PlatformLabels:
        location = self._location(campaign)
        labels = self.server.labels(location.project.id).labels
        attributes = {label.name: frozenset(label.attributes) for label in labels}
        return PlatformLabels(tuple(label.name for label in labels), attributes, shared=bool(location.shared))

    def change_campaign(self, campaign: str, order: CampaignOrder) -> LabelerAccess | None:
        """Changes labels and instructions of the project, and gives what is not done to the order's labeler."""
        location = self._location(campaign)
        labelers = [] if self.options.labelers else self._labelers(order.labeler)
        cvat_changes.change_labels(self.server, location.project.id, order.labels)
        if order.instructions:
            cvat_changes.put_instructions(self.server, location.project, order.instructions)
        for labeler in labelers:
            cvat_changes.give_to(self.server, self._tasks(location), labeler)
        return None

    def put_predictions(self, campaign: str, images: Sequence[LabeledImage]) -> None:
        location = self._location(campaign)
        operation = f"put predictions into campaign {campaign}"
        cvat_predictions.put(self.server, operation, location.project.id, images)

    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        return cvat_webhooks.open_note(headers, body, self._webhook_secret)

    def campaign_page(self, campaign: str) -> str:
        return f"{self._client.url}/projects/{split_id(NAME, campaign)[0]}"

    # Calls that only CVAT has

    def put_webhook(self, campaign: str, target: str, events: Sequence[str] = cvat_webhooks.EVENTS) -> int:
        """Creates or updates a signed webhook that posts the campaign's events to `target`. Returns its id."""
        project, _ = split_id(NAME, campaign)
        return cvat_webhooks.put_webhook(self._client, project, target, self._webhook_secret, events)

    def request_review(self, campaign: str) -> int:
        """Assigns jobs that labelers completed to the reviewers, as new validation work. Returns how many."""
        location = self._location(campaign)
        reviewers = self.server.people.ids(self.options.reviewers)
        return reviews.request(self._client, self._jobs(location, self._tasks(location)), reviewers)

    def settle_review(self, campaign: str) -> tuple[int, int]:
        """Accepts jobs that reviewers completed and returns rejected ones to their labelers. Returns both counts."""
        location = self._location(campaign)
        tasks = self._tasks(location)
        labelers = self._assignees(tasks) if self.options.assign else []
        return reviews.settle(self._client, self._jobs(location, tasks), labelers)

    def move_job(self, job: int, stage: Stage, state: JobState | None = None) -> None:
        """Moves one job into a stage. Without `state` the job keeps its own."""
        cvat_jobs.move(self._client, cvat_jobs.job_of(self._client, job), stage, state)

    def malformed(self, campaign: str) -> Iterator[SkippedAnnotation]:
        """Lists annotations with invalid geometry: each blocks the server's own exports of its task."""
        location = self._location(campaign)
        labels = self.server.labels(location.project.id)
        for task in self._tasks(location):
            yield from cvat_labels.malformed(self.server, task, labels)

    def remove_malformed(self, campaign: str) -> list[str]:
        """Removes malformed annotations, so that the server can export again. Returns a description of each."""
        annotations = list(self.malformed(campaign))
        for annotation in annotations:
            cvat_labels.remove(self.server, annotation)
        return list(map(str, annotations))

    def export(
        self, kind: Exportable, id: int, format: str, file: BinaryIO, *, images: bool = False, deadline: float = 3600
    ) -> None:
        """Writes the server's own export of a task, project or job to `file`, as a zip; see Export.into.

        `format` is one of CVAT's formats, e.g. "COCO 1.0".
        """
        Export(self._client, kind, id, format, images, deadline).into(file)

    # Helpers

    def _find(self, title: str) -> CampaignLocation | None:
        project = self.server.find_project(self.options.project or title)
        return CampaignLocation(project, title if self.options.project else "") if project else None

    def _location(self, campaign: str, *, launching: bool = False) -> CampaignLocation:
        """Raises NotFound, except for a campaign that had tasks and lost them: its tasks can be created again."""
        number, title = split_id(NAME, campaign)
        location = CampaignLocation(self.server.project(number), title)
        if title and not launching and not self._tasks(location) and not self._recorded(location.id):
            raise NotFound(NAME, f"read campaign {campaign}", message=f"project {number} has no task of it")
        return location

    def _tasks(self, location: CampaignLocation, *, launching: bool = False) -> list[CvatTask]:
        project_tasks = self.server.tasks_of(location.project.id)
        return campaign_tasks(location, project_tasks, self._recorded_tasks(location), launching=launching)

    def _tasks_for_launch(self, location: CampaignLocation) -> list[CvatTask]:
        return exclude_foreign_tasks(location, self._tasks(location, launching=True), self._recorded_tasks(location))

    def _recorded_tasks(self, location: CampaignLocation) -> set[int]:
        return {int(task) for task in self._recorded(location.id) if task.isdecimal()}

    def _create_task(
        self, location: CampaignLocation, tasks: Sequence[CvatTask], batch: int, assignee: int | None
    ) -> CvatTask:
        """Creates another task of a batch, with the campaign's marker. `tasks`: those of the batch that hold images."""
        number = location.next_number(tasks, batch)
        name, marker = task_name(location.title, batch, number), location.marker(self._client.url, batch, number)
        return self.server.create_task(name, location.project.id, assignee=assignee, marker=marker)

    def _jobs(self, location: CampaignLocation, tasks: Sequence[CvatTask]) -> list[CvatJob]:
        filled = {task.id for task in tasks if task.size}
        jobs = cvat_jobs.jobs_of(self._client, project=location.project.id) if filled else []
        return [job for job in jobs if job.task in filled]

    def _remote_campaign(self, location: CampaignLocation, tasks: Sequence[CvatTask]) -> RemoteCampaign:
        jobs = group_by_task(self._jobs(location, tasks))
        campaign = remote_campaign(location, tasks, jobs, self.options.done_means, assigned=self.options.assign)
        if campaign.total and campaign.done == campaign.total:
            # Only now do deleted frames matter: finding them costs one request per task.
            imported = [task for task in tasks if jobs_cover_task(task, jobs.get(task.id, ()))]
            return replace(campaign, gone=sum(len(self.server.frames(task).deleted) for task in imported))
        return campaign

    def _labelers(self, labeler: str) -> list[int]:
        """User ids, looked up before anything is created: a campaign that nobody can label is refused at once."""
        return self.server.people.ids(self.options.labelers or (labeler,)) if self.options.assign else []

    def _assignees(self, tasks: Sequence[CvatTask]) -> list[int]:
        if self.options.labelers:
            return self.server.people.ids(self.options.labelers)
        labeler = self._labeler(tasks)
        return [] if labeler is None else [labeler]

    def _labeler(self, tasks: Sequence[CvatTask]) -> int | None:
        """The user the tasks are assigned to; without such tasks, the labeler that the campaign names."""
        for task in tasks:
            if task.assignee is not None:
                return task.assignee
        if not self.options.assign or self.options.labelers or not self._own_labeler:
            return None
        return self.server.people.id(self._own_labeler)
