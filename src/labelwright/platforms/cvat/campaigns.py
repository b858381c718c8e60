"""Finds a campaign's project and tasks on CVAT, and computes its state and progress from its jobs.

A campaign has a project of its own, or tasks in a shared project. Its tasks are named by its title and batch number,
"river 001". The first task is created empty, with the campaign: the campaign exists as soon as that task does, so an
interrupted creation is completed by the next call. That task's assignee is the labeler, until jobs can be assigned.

Names do not identify a campaign's tasks: colleagues create tasks in the same project, under any name, and rename ours.
So every task that a campaign creates carries a marker, and the ledger has the ids of those whose images are in its
manifest. Only tasks of campaigns that were launched before tasks had markers are found by their name alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.protocol import LabelerProgress, RemoteCampaign, RemoteState

from .imports import jobs_cover_task
from .models import CvatJob, CvatProject, CvatTask, DoneMeans

_NUMBERED = re.compile(r"(.*) (\d{3,})(?:\.(\d+))?", re.DOTALL)
_MARKED = re.compile(r"[^#]*#labelwright=(.*):(\d{3,})\.(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CampaignLocation:
    """A campaign's project, and the campaign's title when the project is shared ("" when it is not)."""

    project: CvatProject
    shared: str = ""

    @property
    def id(self) -> str:
        return f"{self.project.id}/{self.shared}" if self.shared else str(self.project.id)

    @property
    def title(self) -> str:
        return self.shared or self.project.name

    def marker(self, url: str, batch: int, number: int) -> str:
        """The marker of the campaign's tasks. It starts with the project's URL, as CVAT shows it as a link."""
        return f"{url}/projects/{self.project.id}#labelwright={self.id}:{batch:03d}.{number}"

    def numbers_by_marker(self, task: CvatTask) -> tuple[int, int] | None:
        """Batch and number in a task's marker. None: it has no marker of this campaign."""
        match = _MARKED.fullmatch(task.marker)
        return (int(match[2]), int(match[3])) if match and match[1] == self.id else None

    def numbers_by_name(self, task: CvatTask) -> tuple[int, int] | None:
        """Batch and number in the name of a task without any marker. None: it has another name or a marker."""
        match = _NUMBERED.fullmatch(task.name)
        if match is None or match[1] != self.title or _MARKED.fullmatch(task.marker):
            return None
        return int(match[2]), int(match[3] or 1)

    def batch_of(self, task: CvatTask) -> int | None:
        """The batch whose images a task of the campaign holds. None: unknown, as the task was renamed."""
        numbers = self.numbers_by_marker(task) or self.numbers_by_name(task)
        return numbers[0] if numbers else None

    def next_number(self, tasks: Iterable[CvatTask], batch: int) -> int:
        """The first free number for another task of a batch."""
        taken = {
            numbers[1]
            for task in tasks
            if (numbers := self.numbers_by_marker(task) or self.numbers_by_name(task)) and numbers[0] == batch
        }
        return next(number for number in count(1) if number not in taken)


def campaign_tasks(
    location: CampaignLocation, project_tasks: Sequence[CvatTask], recorded: Collection[int], *, launching: bool
) -> list[CvatTask]:
    """Returns those of a project's tasks that belong to the campaign, the oldest first.

    `recorded` are the task ids in the ledger. `launching` includes tasks without a marker that have the campaign's name
    and are not in the ledger yet, for servers that do not keep markers.
    """
    marked = _without_copies(location, project_tasks, recorded)
    recorded_only = [task for task in project_tasks if task.id in recorded and task not in marked]
    unmarked = [task for task in project_tasks if task.id not in recorded and location.numbers_by_name(task)]
    if marked:
        # An earlier version may have launched the campaign and this one continued: then its unmarked tasks are older
        # than the marked ones. A campaign whose very first task has a marker has no tasks without one.
        created_by_this_version = any(location.numbers_by_marker(task) == (1, 1) for task in marked)
        created_by_earlier_version = not created_by_this_version and (
            bool(recorded_only) or not any(task.id in recorded for task in marked)
        )
        first = min(task.id for task in marked)
        unmarked = [task for task in unmarked if created_by_earlier_version and task.id < first]
    if recorded and not launching:
        unmarked = []
    return sorted((*marked, *recorded_only, *unmarked), key=lambda task: task.id)


def exclude_foreign_tasks(
    location: CampaignLocation, tasks: Sequence[CvatTask], recorded: Collection[int]
) -> list[CvatTask]:
    """Returns the tasks that an earlier launch may have left: marked, recorded or empty.

    A task without marker that holds images before the campaign exists is somebody else's, whatever its name.
    """
    return [
        task
        for task in tasks
        if task.id in recorded or location.numbers_by_marker(task) is not None or not (task.size or task.has_data)
    ]


def _without_copies(
    location: CampaignLocation, project_tasks: Sequence[CvatTask], recorded: Collection[int]
) -> list[CvatTask]:
    """Tasks with a marker. Of several filled tasks with the same marker only the recorded one, or else the oldest.

    The others are copies: CVAT's backup of a task includes its marker.
    """
    tasks_by_number: dict[tuple[int, int], list[CvatTask]] = defaultdict(list)
    for task in sorted(project_tasks, key=lambda task: (task.id not in recorded, task.id)):
        number = location.numbers_by_marker(task)
        if number is not None and not (task.size and any(earlier.size for earlier in tasks_by_number[number])):
            tasks_by_number[number].append(task)
    return [task for tasks in tasks_by_number.values() for task in tasks]


def refuse_foreign_tasks(platform: str, location: CampaignLocation, tasks: Sequence[CvatTask]) -> None:
    """Raises PlatformRefused when a project with the campaign's title holds tasks of others.

    An empty project may be left from an interrupted launch.
    """
    if tasks:
        message = f"project {location.project.id} '{location.title}' exists and holds tasks that are not the campaign's"
        message += ": " + ", ".join(f"'{task.name}'" for task in tasks[:5])
        advice = "Give the campaign another title, or name the project in the option 'project' to share it."
        raise PlatformRefused(platform, f"create campaign '{location.title}'", message=message, advice=advice)


def task_name(title: str, batch: int, number: int = 1) -> str:
    """The name of a batch's first task, or of a later one for the images that are not in the first."""
    return f"{title} {batch:03d}" + (f".{number}" if number > 1 else "")


def split_id(platform: str, campaign: str) -> tuple[int, str]:
    """Splits a campaign id into the project's id and the title in a shared project. Raises NotFound."""
    number, _, title = campaign.partition("/")
    if not (number.isascii() and number.isdecimal()):
        raise NotFound(platform, f"read campaign {campaign}", message="no campaign has such an id")
    return int(number), title


def group_by_task(jobs: Iterable[CvatJob]) -> dict[int, list[CvatJob]]:
    grouped: dict[int, list[CvatJob]] = defaultdict(list)
    for job in jobs:
        grouped[job.task].append(job)
    return grouped


def done_frames(task: CvatTask, jobs: Iterable[CvatJob], means: DoneMeans) -> set[int]:
    """The frames of a task whose jobs are all done. With an overlap a frame has several jobs."""
    frames = set(range(task.size))
    for job in jobs:
        if not job.done(means):
            frames.difference_update(job.frames)
    return frames


def remote_campaign(
    location: CampaignLocation,
    tasks: Iterable[CvatTask],
    jobs: Mapping[int, list[CvatJob]],
    means: DoneMeans,
    *,
    assigned: bool,
) -> RemoteCampaign:
    """Computes state and progress from the jobs. `assigned`: work starts only when every job has an assignee."""
    imported = [task for task in tasks if jobs_cover_task(task, jobs.get(task.id, ()))]
    campaign_jobs = [job for task in imported for job in jobs[task.id]]
    total = sum(task.size for task in imported)
    done = sum(len(done_frames(task, jobs[task.id], means)) for task in imported)
    return RemoteCampaign(
        id=location.id,
        title=location.title,
        state=_state(campaign_jobs, done == total, means, assigned=assigned),
        done=done,
        total=total,
        labelers=_progress(campaign_jobs, means),
        lost_with_tasks=True,
    )


def _state(jobs: list[CvatJob], all_done: bool, means: DoneMeans, *, assigned: bool) -> RemoteState:
    if not jobs:
        return RemoteState.CREATED
    if all(job.accepted for job in jobs):
        return RemoteState.FINISHED
    if all_done:
        return RemoteState.COMPLETED
    waiting = assigned and any(job.is_new and job.assignee is None for job in jobs)
    return RemoteState.CREATED if waiting else RemoteState.ACTIVE


def _progress(jobs: list[CvatJob], means: DoneMeans) -> tuple[LabelerProgress, ...]:
    """Images per assignee. An image that is in two jobs counts twice."""
    done: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for job in jobs:
        if job.assignee_name:
            total[job.assignee_name] += len(job.frames)
            done[job.assignee_name] += len(job.frames) if job.done(means) else 0
    return tuple(LabelerProgress(name, done[name], total[name]) for name in sorted(total))
