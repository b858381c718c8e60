"""Where a campaign is on CVAT: a project of its own, or tasks of its name in a project that is shared.

A campaign's tasks are called by its title and a batch's number, "river 001". The first one is made with the campaign,
empty: a campaign is there when that task is, so that one whose making was interrupted is made to its end. Its assignee
is the labeler, until jobs exist that can be assigned.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .cvat_imports import covered
from .cvat_shapes import CvatJob, CvatProject, CvatTask, DoneMeans
from .errors import NotFound
from .protocol import LabelerProgress, RemoteCampaign, RemoteState

_NUMBERED = re.compile(r"(.*) (\d{3,})(?:\.\d+)?", re.DOTALL)


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

    def batch_of(self, task: str) -> int | None:
        """The batch whose images a task of this name holds; None: it is no task of the campaign."""
        found = _NUMBERED.fullmatch(task)
        return int(found[2]) if found and (not self.shared or found[1] == self.shared) else None


def task_name(title: str, batch: int, number: int = 1) -> str:
    """Of a batch's first task, or of a further one that holds what the first did not take."""
    return f"{title} {batch:03d}" + (f".{number}" if number > 1 else "")


def split_id(platform: str, campaign: str) -> tuple[int, str]:
    """The project's id, and the title in a shared one. Raises NotFound for what is no id of ours."""
    number, _, title = campaign.partition("/")
    if not (number.isascii() and number.isdecimal()):
        raise NotFound(platform, f"read campaign {campaign}", words="no campaign has such an id")
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
