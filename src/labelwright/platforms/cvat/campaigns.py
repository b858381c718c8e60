"""Where a campaign is on CVAT: a project of its own, or tasks of its name in a project that is shared.

A campaign's tasks are named by its title and a batch's number, "river 001". The first one is made with the campaign,
empty: a campaign is there when that task is, so that one whose making was interrupted is made to its end. Its assignee
is the labeler, until jobs exist that can be assigned.

Names do not tell whose a task is: colleagues make tasks in the same project, under any name, and rename ours. So each
task that a campaign makes is marked as the campaign's when it is created, and the ledger knows the ids of those whose
images are in its manifest. By their name alone tasks are found only where no mark says more: those of campaigns that
were launched before tasks were marked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.protocol import LabelerProgress, RemoteCampaign, RemoteState

from .imports import covered
from .models import CvatJob, CvatProject, CvatTask, DoneMeans

_NUMBERED = re.compile(r"(.*) (\d{3,})(?:\.(\d+))?", re.DOTALL)
_MARKED = re.compile(r"[^#]*#labelwright=(.*):(\d{3,})\.(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """A campaign's project, and its title when the project holds others too."""

    project: CvatProject
    shared: str = ""

    @property
    def id(self) -> str:
        return f"{self.project.id}/{self.shared}" if self.shared else str(self.project.id)

    @property
    def title(self) -> str:
        return self.shared or self.project.name

    def marker(self, url: str, batch: int, number: int) -> str:
        """What marks a task as the campaign's. It begins with the project's address, since CVAT's page shows the field
        as a link."""
        return f"{url}/projects/{self.project.id}#labelwright={self.id}:{batch:03d}.{number}"

    def number_of(self, task: CvatTask) -> tuple[int, int] | None:
        """Batch and number by which a task is marked as the campaign's. None: it is not."""
        found = _MARKED.fullmatch(task.marker)
        return (int(found[2]), int(found[3])) if found and found[1] == self.id else None

    def named(self, task: CvatTask) -> tuple[int, int] | None:
        """Batch and number by the name of a task that nothing marks as anybody's. None: it is called otherwise."""
        found = _NUMBERED.fullmatch(task.name)
        if found is None or found[1] != self.title or _MARKED.fullmatch(task.marker):
            return None
        return int(found[2]), int(found[3] or 1)

    def batch_of(self, task: CvatTask) -> int | None:
        """The batch whose images a task of the campaign holds. None: nobody knows, as it was renamed."""
        found = self.number_of(task) or self.named(task)
        return found[0] if found else None

    def next_number(self, tasks: Iterable[CvatTask], batch: int) -> int:
        """The number of a further task of a batch: the first that is free."""
        taken = {
            found[1] for task in tasks if (found := self.number_of(task) or self.named(task)) and found[0] == batch
        }
        return next(number for number in count(1) if number not in taken)


def tasks_in(place: Place, listed: Sequence[CvatTask], recorded: Collection[int], *, launching: bool) -> list[CvatTask]:
    """Those of a project's tasks that the campaign made, the oldest first.

    `recorded` are the ids that the ledger knows. `launching`: also unmarked tasks of the campaign's name that it does
    not know yet, on servers that keep no mark.
    """
    marked = _without_copies(place, listed, recorded)
    known = [task for task in listed if task.id in recorded and task not in marked]
    named = [task for task in listed if task.id not in recorded and place.named(task)]
    if marked:
        # What an earlier version launched and this one went on with: what is unmarked was there before. A campaign
        # whose very first task is marked was begun by this version, and has no tasks without a mark.
        begun_here = any(place.number_of(task) == (1, 1) for task in marked)
        begun_earlier = not begun_here and (bool(known) or not any(task.id in recorded for task in marked))
        first = min(task.id for task in marked)
        named = [task for task in named if begun_earlier and task.id < first]
    if recorded and not launching:
        named = []
    return sorted((*marked, *known, *named), key=lambda task: task.id)


def without_images_of_others(place: Place, tasks: Sequence[CvatTask], recorded: Collection[int]) -> list[CvatTask]:
    """Those of a campaign's tasks that may be left from making it: marked, recorded or empty. An unmarked task that
    holds images before the campaign is made is somebody else's, even when it has the campaign's name."""
    return [
        task
        for task in tasks
        if task.id in recorded or place.number_of(task) is not None or not (task.size or task.has_data)
    ]


def _without_copies(place: Place, listed: Sequence[CvatTask], recorded: Collection[int]) -> list[CvatTask]:
    """Marked tasks; of those with one mark and images the recorded one, or else the oldest. Others are copies: CVAT's
    backup of a task holds its mark too."""
    found: dict[tuple[int, int], list[CvatTask]] = defaultdict(list)
    for task in sorted(listed, key=lambda task: (task.id not in recorded, task.id)):
        number = place.number_of(task)
        if number is not None and not (task.size and any(other.size for other in found[number])):
            found[number].append(task)
    return [task for tasks in found.values() for task in tasks]


def refuse_others_project(platform: str, place: Place, tasks: Sequence[CvatTask]) -> None:
    """Raises PlatformRefused for a project of the campaign's title with `tasks` that others made in it.

    An empty one may be left from a launch that broke off.
    """
    if tasks:
        told = f"project {place.project.id} '{place.title}' exists and holds tasks that are not the campaign's: "
        told += ", ".join(f"'{task.name}'" for task in tasks[:5])
        advice = "Give the campaign another title, or name the project in the option 'project' to share it."
        raise PlatformRefused(platform, f"create campaign '{place.title}'", message=told, advice=advice)


def task_name(title: str, batch: int, number: int = 1) -> str:
    """Of a batch's first task, or of a further one that holds what the first did not take."""
    return f"{title} {batch:03d}" + (f".{number}" if number > 1 else "")


def split_id(platform: str, campaign: str) -> tuple[int, str]:
    """The project's id, and the title in a shared one. Raises NotFound for what is no id of ours."""
    number, _, title = campaign.partition("/")
    if not (number.isascii() and number.isdecimal()):
        raise NotFound(platform, f"read campaign {campaign}", message="no campaign has such an id")
    return int(number), title


def by_task(jobs: Iterable[CvatJob]) -> dict[int, list[CvatJob]]:
    found: dict[int, list[CvatJob]] = defaultdict(list)
    for job in jobs:
        found[job.task].append(job)
    return found


def done_frames(task: CvatTask, jobs: Iterable[CvatJob], means: DoneMeans) -> set[int]:
    """Frames of a task all of whose jobs are done: with an overlap there are several."""
    frames = set(range(task.size))
    for job in jobs:
        if not job.done(means):
            frames.difference_update(job.frames)
    return frames


def standing(
    place: Place, tasks: Iterable[CvatTask], jobs: Mapping[int, list[CvatJob]], means: DoneMeans, *, assigned: bool
) -> RemoteCampaign:
    """State and progress, from the jobs alone. `assigned`: nobody works before every job has somebody."""
    taken_in = [task for task in tasks if covered(task, jobs.get(task.id, ()))]
    ours = [job for task in taken_in for job in jobs[task.id]]
    total = sum(task.size for task in taken_in)
    done = sum(len(done_frames(task, jobs[task.id], means)) for task in taken_in)
    return RemoteCampaign(
        id=place.id,
        title=place.title,
        state=_state(ours, done == total, means, assigned=assigned),
        done=done,
        total=total,
        labelers=_progress(ours, means),
        lost_with_tasks=True,
    )


def _state(jobs: list[CvatJob], all_done: bool, means: DoneMeans, *, assigned: bool) -> RemoteState:
    if not jobs:
        return RemoteState.CREATED
    if all(job.accepted for job in jobs):
        return RemoteState.FINISHED
    if all_done:
        return RemoteState.COMPLETED
    waiting = assigned and any(job.untouched and job.assignee is None for job in jobs)
    return RemoteState.CREATED if waiting else RemoteState.ACTIVE


def _progress(jobs: list[CvatJob], means: DoneMeans) -> tuple[LabelerProgress, ...]:
    """By whom jobs are assigned to, in images; those that lie in two jobs count twice."""
    done: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for job in jobs:
        if job.who:
            total[job.who] += len(job.frames)
            done[job.who] += len(job.frames) if job.done(means) else 0
    return tuple(LabelerProgress(who, done[who], total[who]) for who in sorted(total))
