"""CVAT, from 2.15 to the newest: a campaign is a project, its batches of images are tasks, labelers work on jobs.

See docs/cvat.md. Everything is judged on jobs: a project's status says nothing, and a task counts a job as completed
only when it was accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from labelwright.domain import LabeledImage, LabelSchema
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.logins import Login, shared_login
from labelwright.platforms.protocol import (
    CampaignOrder,
    DeletesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    ImageToSend,
    LabelsPage,
    ListsLabels,
    OpensWebhooks,
    Platform,
    PlatformLabels,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    ReopensCampaigns,
    Secret,
    SetState,
    ShowsCampaigns,
    TakesImages,
    TakesPredictions,
    WebhookNote,
    WithdrawsImages,
)

from . import (
    jobs as cvat_jobs,
)
from . import (
    labels as cvat_labels,
)
from . import (
    predictions as cvat_predictions,
)
from . import (
    webhooks as cvat_webhooks,
)
from . import (
    withdrawals as cvat_withdrawals,
)
from .annotations import LeftOut
from .campaigns import (
    Place,
    by_task,
    refuse_others_project,
    split_id,
    standing,
    task_name,
    tasks_in,
    without_images_of_others,
)
from .client import NAME
from .exports import Export, What
from .imports import covered
from .models import CvatJob, CvatProject, CvatTask, DoneMeans, JobState, Stage
from .names import name_of
from .options import Options
from .schema import differences, labels_for, missing_from
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
    DeletesCampaigns,
    FindsDeletedImages,
    ListsLabels,
    TakesPredictions,
    OpensWebhooks,
    ShowsCampaigns,
):
    """Campaigns on one server, as one user.

    A campaign's id is that of its project, or "PROJECT/title" in a project that it shares; an image's is "TASK/FRAME".
    `labeler` is that of the campaign, for when no task tells it. `recorded` gives, for a campaign's id, the ids of the
    tasks that are known to hold its images.
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
        who = self._client.log_in()
        return f"CVAT {self._client.about or 'of no version'} as {who} at {self._client.url}"

    def find_campaign(self, title: str) -> RemoteCampaign | None:
        place = self._find(title)
        tasks = self._tasks_when_made(place) if place else []
        return self._standing(place, tasks) if place and tasks else None

    def create_campaign(self, order: CampaignOrder) -> RemoteCampaign:
        people = self._labelers(order.labeler)
        place = self._find(order.title)
        if place is None:
            made = self.server.create_project(self.options.project or order.title, labels_for(order.labels))
            place = Place(made, order.title if self.options.project else "")
        else:
            self._agree_on_labels(place.project, order.labels)
        tasks = self._tasks_when_made(place)
        if not tasks and not place.shared:
            refuse_others_project(NAME, place, self.server.tasks_of(place.project.id))
        if order.instructions and place.project.guide is None:
            self.server.put_guide(place.project.id, order.instructions)
        if not tasks:
            # Options say it again each time; the campaign's own labeler is kept by the task until jobs are there.
            labeler = people[0] if people and not self.options.labelers else None
            self._create_task(place, (), 1, labeler)
        return self.read_campaign(place.id)

    def activate_campaign(self, campaign: str) -> None:
        place = self._place(campaign)
        if not self.options.assign:
            return
        tasks = self._tasks(place)
        jobs, people = self._jobs(place, tasks), self._assignees(tasks)
        if not jobs or not people:
            told = f"campaign {campaign} has {'nobody who could label it' if jobs else 'no images'}"
            advice = "Name labelers in the options." if jobs else "Send its images first."
            raise PlatformRefused(NAME, f"activate campaign {campaign}", message=told, advice=advice)
        for job, user in cvat_jobs.shared_out(jobs, people):
            if job.assignee is None and job.untouched:
                cvat_jobs.assign(self._client, job.id, user)

    def read_campaign(self, campaign: str) -> RemoteCampaign:
        place = self._place(campaign)
        return self._standing(place, self._tasks(place))

    def read_labels(self, campaign: str, cursor: str | None = None) -> LabelsPage:
        """`cursor` is an image's id: of the first one that was not looked at yet."""
        place = self._place(campaign)
        labels = self.server.labels(place.project.id)
        task_id, _, frame = (cursor or "0/0").partition("/")
        tasks = [task for task in self._tasks(place) if task.id >= int(task_id)]
        for task, following in zip(tasks, [*tasks[1:], None], strict=True):
            read = cvat_labels.read_task(self.server, task, labels, int(frame) if task.id == int(task_id) else 0)
            if read.images or read.left_out or read.excluded:
                later = f"{following.id}/0" if following else None
                later = f"{task.id}/{read.end}" if read.end < task.size else later
                return LabelsPage(read.images, later, tuple(one.as_notice() for one in read.left_out), read.excluded)
        return LabelsPage((), None)

    # TakesImages

    def batch_size(self) -> int | None:
        return self.options.images_per_task

    def list_campaign_images(self, campaign: str) -> Iterator[RemoteImage]:
        place = self._place(campaign, launching=True)
        tasks = self._tasks(place, launching=True)
        jobs = by_task(self._jobs(place, tasks))
        for task in tasks:
            if covered(task, jobs.get(task.id, ())):
                for number, frame in enumerate(self.server.frames(task).frames):
                    yield RemoteImage(f"{task.id}/{number}", name_of(frame.name), frame.width, frame.height)

    def send_images(self, campaign: str, batch: int, images: Sequence[ImageToSend]) -> None:
        place = self._place(campaign, launching=True)
        every = self._tasks(place, launching=True)
        ours = [task for task in every if place.batch_of(task) == batch]
        filled = [task for task in ours if task.size]
        self.server.fill(ours, images, lambda _: self._create_task(place, filled, batch, self._labeler(every)))

    def read_batch(self, campaign: str, batch: int) -> RemoteBatch:
        place = self._place(campaign, launching=True)
        ours = [task for task in self._tasks(place, launching=True) if place.batch_of(task) == batch]
        found = [self.server.read_import(task) for task in ours if task.has_data or task.size]
        for state in (SetState.FAILED, SetState.FINISHING, SetState.CREATED):
            for one in found:
                if one.state is state:
                    return one
        return RemoteBatch(SetState.FINISHED if found else SetState.CREATED)

    # What only some platforms can

    def withdraw_images(self, campaign: str, images: Sequence[str]) -> None:
        """By tasks: the other images of a task go with them."""
        place = self._place(campaign, launching=True)
        tasks = self._tasks(place, launching=True)
        operation = f"take images out of campaign {campaign}"
        cvat_withdrawals.withdraw(self.server, operation, tasks, by_task(self._jobs(place, tasks)), images)

    def finish_campaign(self, campaign: str) -> None:
        """Every job is accepted: that is what CVAT itself calls completed."""
        place = self._place(campaign)
        tasks = self._tasks(place)
        now = self._standing(place, tasks)
        if now.state is RemoteState.FINISHED:
            return
        if now.state is not RemoteState.COMPLETED:
            told = f"campaign {campaign} is {now.state}: {now.done} of {now.total} images are {self.options.done_means}"
            raise PlatformRefused(NAME, f"finish campaign {campaign}", message=told)
        for job in self._jobs(place, tasks):
            if not job.accepted:
                cvat_jobs.move(self._client, job, Stage.ACCEPTANCE, JobState.COMPLETED)

    def reopen_campaign(self, campaign: str) -> None:
        """Every job goes back to its labeler, in progress.

        All of them are marked first, by a stage and a state that no job has otherwise at that time: by what is marked a
        reopening that was interrupted is known, and gone on with.
        """
        place = self._place(campaign)
        tasks = self._tasks(place)
        state, jobs = self._standing(place, tasks).state, self._jobs(place, tasks)
        if state is RemoteState.CREATED:
            told = f"campaign {campaign} was never completed"
            raise PlatformRefused(NAME, f"reopen campaign {campaign}", message=told, advice="Activate it instead.")
        mark = cvat_jobs.REOPENING[self.options.done_means]
        waiting = [job for job in jobs if (job.stage, job.state) == mark]
        if state is RemoteState.ACTIVE and not waiting:
            return
        # Where labeled means done, marked jobs are done: the campaign is active when all of them were marked. Where it
        # is accepted, it is active with the first mark, and what is accepted still waits for its own.
        lacking = jobs
        if state is RemoteState.ACTIVE:
            by_acceptance = self.options.done_means is DoneMeans.ACCEPTED
            lacking = [job for job in jobs if by_acceptance and job.accepted]
        for job in lacking:
            if job not in waiting:
                cvat_jobs.move(self._client, job, *mark)
                waiting.append(job)
        reviewers = self.server.people.ids(self.options.reviewers)
        people = self._assignees(tasks) if reviewers and self.options.assign else []
        for number, job in enumerate(jobs):
            if job in waiting:
                user = people[number % len(people)] if people and job.assignee in reviewers else None
                cvat_jobs.move(self._client, job, Stage.ANNOTATION, JobState.IN_PROGRESS, user)

    def delete_campaign(self, campaign: str) -> None:
        """Of a project in which others have tasks too only the campaign's are deleted."""
        try:
            place = self._place(campaign)
        except NotFound:
            return
        tasks = self._tasks(place, launching=True)
        if not place.shared and len(tasks) == len(self.server.tasks_of(place.project.id)):
            self.server.delete_project(place.project.id)
        else:
            for task in reversed(tasks):  # as long as the first one is there the campaign is
                self.server.delete_task(task.id)

    def deleted_images(self, campaign: str, images: Sequence[str]) -> Mapping[str, str]:
        return cvat_labels.deleted_among(self.server, self._place(campaign).project.id, images)

    def list_labels(self, campaign: str) -> PlatformLabels:
        place = self._place(campaign)
        labels = self.server.labels(place.project.id).labels
        attributes = {label.name: frozenset(label.attributes) for label in labels}
        return PlatformLabels(tuple(label.name for label in labels), attributes, shared=bool(place.shared))

    def put_predictions(self, campaign: str, images: Sequence[LabeledImage]) -> None:
        place = self._place(campaign)
        cvat_predictions.put(self.server, f"put predictions into campaign {campaign}", place.project.id, images)

    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        return cvat_webhooks.open_note(headers, body, self._webhook_secret)

    def campaign_page(self, campaign: str) -> str:
        return f"{self._client.url}/projects/{split_id(NAME, campaign)[0]}"

    # What CVAT alone has

    def put_webhook(self, campaign: str, target: str, events: Sequence[str] = cvat_webhooks.EVENTS) -> int:
        """Have CVAT tell `target` of the campaign's changes, signed so that `open_webhook` knows it. Answers its id."""
        project, _ = split_id(NAME, campaign)
        return cvat_webhooks.put_webhook(self._client, project, target, self._webhook_secret, events)

    def request_review(self, campaign: str) -> int:
        """Jobs that labelers completed go to the reviewers, as new work in validation. Answers how many went."""
        place = self._place(campaign)
        people = self.server.people.ids(self.options.reviewers)
        went = 0
        for number, job in enumerate(self._jobs(place, self._tasks(place))):
            if job.stage is Stage.ANNOTATION and job.state is JobState.COMPLETED:
                user = people[number % len(people)] if people else None
                cvat_jobs.move(self._client, job, Stage.VALIDATION, JobState.NEW, user)
                went += 1
        return went

    def settle_review(self, campaign: str) -> tuple[int, int]:
        """Jobs that reviewers completed are accepted, those that they rejected go back to their labelers as rejected.
        Answers how many of each."""
        place = self._place(campaign)
        tasks = self._tasks(place)
        people = self._assignees(tasks) if self.options.assign else []
        accepted = rejected = 0
        for number, job in enumerate(self._jobs(place, tasks)):
            if job.stage is Stage.VALIDATION and job.state is JobState.COMPLETED:
                cvat_jobs.move(self._client, job, Stage.ACCEPTANCE)
                accepted += 1
            elif job.stage is Stage.VALIDATION and job.state is JobState.REJECTED:
                user = people[number % len(people)] if people else None
                cvat_jobs.move(self._client, job, Stage.ANNOTATION, JobState.REJECTED, user)
                rejected += 1
        return accepted, rejected

    def move_job(self, job: int, stage: Stage, state: JobState | None = None) -> None:
        """One job into a stage; without a state it keeps its own."""
        cvat_jobs.move(self._client, cvat_jobs.job_of(self._client, job), stage, state)

    def malformed(self, campaign: str) -> Iterator[LeftOut]:
        """Annotations that can be no shapes at all: each blocks the server's own exports of its task."""
        place = self._place(campaign)
        labels = self.server.labels(place.project.id)
        for task in self._tasks(place):
            yield from cvat_labels.malformed(self.server, task, labels)

    def remove_malformed(self, campaign: str) -> list[str]:
        """Take malformed annotations out, so that the server can export again. Answers what was removed, in words."""
        found = list(self.malformed(campaign))
        for one in found:
            cvat_labels.remove(self.server, one)
        return list(map(str, found))

    def export(
        self, what: What, number: int, form: str, file: BinaryIO, *, images: bool = False, deadline: float = 3600
    ) -> None:
        """The server's own export of a task, a project or a job, as a zip; see Export.into. `form` is one of CVAT's
        formats, as "COCO 1.0"."""
        Export(self._client, what, number, form, images, deadline).into(file)

    # How it is done

    def _find(self, title: str) -> Place | None:
        project = self.server.find_project(self.options.project or title)
        return Place(project, title if self.options.project else "") if project else None

    def _place(self, campaign: str, *, launching: bool = False) -> Place:
        """Raises NotFound; not for a campaign that had tasks and has none any more: they can be made anew."""
        number, title = split_id(NAME, campaign)
        place = Place(self.server.project(number), title)
        if title and not launching and not self._tasks(place) and not self._recorded(place.id):
            raise NotFound(NAME, f"read campaign {campaign}", message=f"project {number} has no task of it")
        return place

    def _tasks(self, place: Place, *, launching: bool = False) -> list[CvatTask]:
        listed = self.server.tasks_of(place.project.id)
        return tasks_in(place, listed, self._recorded_tasks(place), launching=launching)

    def _tasks_when_made(self, place: Place) -> list[CvatTask]:
        return without_images_of_others(place, self._tasks(place, launching=True), self._recorded_tasks(place))

    def _recorded_tasks(self, place: Place) -> set[int]:
        return {int(task) for task in self._recorded(place.id) if task.isdecimal()}

    def _create_task(self, place: Place, tasks: Sequence[CvatTask], batch: int, assignee: int | None) -> CvatTask:
        """A further task of a batch, marked as the campaign's. `tasks` are those of the batch that hold images."""
        number = place.next_number(tasks, batch)
        name, marker = task_name(place.title, batch, number), place.marker(self._client.url, batch, number)
        return self.server.create_task(name, place.project.id, assignee=assignee, marker=marker)

    def _jobs(self, place: Place, tasks: Sequence[CvatTask]) -> list[CvatJob]:
        ours = {task.id for task in tasks if task.size}
        found = cvat_jobs.jobs_of(self._client, project=place.project.id) if ours else []
        return [job for job in found if job.task in ours]

    def _standing(self, place: Place, tasks: Sequence[CvatTask]) -> RemoteCampaign:
        jobs = by_task(self._jobs(place, tasks))
        found = standing(place, tasks, jobs, self.options.done_means, assigned=self.options.assign)
        if found.total and found.done == found.total:  # deleted frames matter now, and cost a request for each task
            taken_in = [task for task in tasks if covered(task, jobs.get(task.id, ()))]
            return replace(found, gone=sum(len(self.server.frames(task).deleted) for task in taken_in))
        return found

    def _agree_on_labels(self, project: CvatProject, schema: LabelSchema) -> None:
        there = self.server.labels(project.id)
        faults = differences(there, schema)
        if faults:
            advice = "Change the campaign's labels, or give it a project of its own."
            raise PlatformRefused(NAME, f"use project {project.id}", message="; ".join(faults[:10]), advice=advice)
        lacking = missing_from(there, schema)
        if lacking:
            self.server.add_labels(project.id, labels_for(lacking))

    def _labelers(self, labeler: str) -> list[int]:
        """Looked for before anything is made: a campaign that nobody can label is refused at its start."""
        return self.server.people.ids(self.options.labelers or (labeler,)) if self.options.assign else []

    def _assignees(self, tasks: Sequence[CvatTask]) -> list[int]:
        if self.options.labelers:
            return self.server.people.ids(self.options.labelers)
        labeler = self._labeler(tasks)
        return [] if labeler is None else [labeler]

    def _labeler(self, tasks: Sequence[CvatTask]) -> int | None:
        """Whom the tasks were assigned to; when those that tell it are gone, whom the campaign names."""
        for task in tasks:
            if task.assignee is not None:
                return task.assignee
        if not self.options.assign or self.options.labelers or not self._own_labeler:
            return None
        return self.server.people.id(self._own_labeler)
