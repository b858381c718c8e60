"""Moves jobs between labelers and reviewers: review requests, review results, reopening of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labelwright.platforms.errors import PlatformRefused

from .client import NAME, Client
from .jobs import move
from .models import CvatJob, DoneMeans, JobState, Stage

_REOPENING = {
    DoneMeans.LABELED: (Stage.VALIDATION, JobState.COMPLETED),
    DoneMeans.ACCEPTED: (Stage.ACCEPTANCE, JobState.REJECTED),
}
"""Stage and state that mark a job which is about to return to its labeler. No job has them otherwise at that time."""


def request(client: Client, jobs: Sequence[CvatJob], reviewers: Sequence[int]) -> int:
    """Moves completed jobs to validation, shared out evenly to the reviewers. Returns how many were moved."""
    moved = 0
    for number, job in enumerate(jobs):
        if job.stage is Stage.ANNOTATION and job.state is JobState.COMPLETED:
            move(client, job, Stage.VALIDATION, JobState.NEW, _pick(reviewers, number))
            moved += 1
    return moved


def settle(client: Client, jobs: Sequence[CvatJob], labelers: Sequence[int]) -> tuple[int, int]:
    """Accepts jobs that reviewers completed and returns rejected ones to labelers. Returns how many of each."""
    accepted = rejected = 0
    for number, job in enumerate(jobs):
        if job.stage is Stage.VALIDATION and job.state is JobState.COMPLETED:
            move(client, job, Stage.ACCEPTANCE)
            accepted += 1
        elif job.stage is Stage.VALIDATION and job.state is JobState.REJECTED:
            move(client, job, Stage.ANNOTATION, JobState.REJECTED, _pick(labelers, number))
            rejected += 1
    return accepted, rejected


def reopen(
    client: Client,
    jobs: Sequence[CvatJob],
    done_means: DoneMeans,
    *,
    active: bool,
    labelers: Sequence[int],
    reviewers: Sequence[int],
) -> None:
    """Returns every job to its labeler, in progress. Of an active campaign only what an interrupted reopening left.

    All jobs get a mark first, by which an interrupted reopening is recognized and continued. Jobs of reviewers go to
    `labelers`; without them every job keeps its assignee.
    """
    mark = _REOPENING[done_means]
    marked = [job for job in jobs if (job.stage, job.state) == mark]
    if active and not marked:
        return
    # Where labeled means done, marked jobs are done: the campaign is active only when all of them were marked. Where
    # it is accepted, it is active from the first mark on, and accepted jobs still need theirs.
    unmarked = jobs
    if active:
        unmarked = [job for job in jobs if done_means is DoneMeans.ACCEPTED and job.accepted]
    for job in unmarked:
        if job not in marked:
            move(client, job, *mark)
            marked.append(job)
    for number, job in enumerate(jobs):
        if job in marked:
            user = _pick(labelers, number) if job.assignee in reviewers else None
            move(client, job, Stage.ANNOTATION, JobState.IN_PROGRESS, user)


def reopen_frames(
    client: Client,
    campaign: str,
    jobs: Sequence[CvatJob],
    reasons: Mapping[str, str],
    *,
    labelers: Sequence[int],
    reviewers: Sequence[int],
) -> str:
    """Returns the jobs of these frames ("TASK/FRAME") to their labelers, in progress. Returns a sentence for people.

    Raises PlatformRefused, with nothing changed, when a frame is in no job.
    """
    frames = {tuple(map(int, image.split("/"))) for image in reasons}
    holding = [job for job in jobs if any((job.task, frame) in frames for frame in job.frames)]
    covered = {(job.task, frame) for job in holding for frame in job.frames}
    if lacking := sorted(frames - covered):
        message = "in no job: " + ", ".join(f"task {task} frame {frame}" for task, frame in lacking[:10])
        raise PlatformRefused(NAME, f"reopen images of campaign {campaign}", message=message)
    for number, job in enumerate(jobs):
        if job in holding and (job.stage is not Stage.ANNOTATION or job.state is JobState.COMPLETED):
            user = _pick(labelers, number) if job.assignee in reviewers else None
            move(client, job, Stage.ANNOTATION, JobState.IN_PROGRESS, user)
    numbers = ", ".join(str(job.id) for job in holding[:20]) + (", ..." if len(holding) > 20 else "")
    note = f"CVAT reopens whole jobs: {len(covered)} images of job {numbers} are open again"
    if any(reasons.values()):
        note += ". It does not show reasons to labelers: send them the list"
    return note


def _pick(users: Sequence[int], number: int) -> int | None:
    """The user of a job by its position: the same in every call."""
    return users[number % len(users)] if users else None
