"""CVAT's JSON, read by the same functions in both dialects: absent and further keys are borne, strange values named."""

from __future__ import annotations

from typing import Any

import pytest

from labelwright.platforms import PlatformRefused
from labelwright.platforms.cvat.models import (
    UNKNOWN_ORGANIZATION,
    DoneMeans,
    JobState,
    Stage,
    frames_from,
    job_from,
    project_from,
    task_from,
)
from labelwright.platforms.http.json_fields import Fields

from .test_replay import recorded


def of(json: dict[str, Any]) -> Fields:
    return Fields("cvat", "read it", json)


def bodies(scenario: str, name: str) -> list[dict[str, Any]]:
    return [exchange["response"]["body"] for exchange in recorded(scenario) if exchange["name"] == name]


def test_recorded_projects_tasks_and_jobs_are_read() -> None:
    (project,) = map(project_from, map(of, bodies("org", "get project")))
    assert (project.id, project.name, project.organization, project.guide) == (4, "org-campaign", 1, None)
    (fresh,) = map(task_from, map(of, bodies("org", "create task in project")))
    assert (fresh.size, fresh.has_data, fresh.project, fresh.segment_size) == (0, False, 4, 4)
    (task,) = map(task_from, map(of, bodies("org", "get task")))
    assert (task.size, task.has_data, task.jobs, task.overlap) == (10, True, 3, 0)
    (failed,) = map(task_from, map(of, bodies("tus", "task after failed import")))
    assert (failed.size, failed.has_data, failed.jobs) == (0, True, 0)
    (job,) = map(job_from, map(of, bodies("org", "assign job")))
    assert (job.frames, job.stage, job.state, job.assignee, job.assignee_name) == (
        range(4),
        Stage.ANNOTATION,
        JobState.NEW,
        3,
        "labeler1",
    )
    (meta,) = bodies("org", "data meta")
    frames = frames_from(of(meta), 10)
    assert [frame.name for frame in frames.frames] == [f"img_{number:03}.jpg" for number in range(10)]


def test_a_job_is_done_as_it_is_meant() -> None:
    changes = [
        exchange
        for exchange in recorded("org")
        if "stage" in str(exchange)
        and exchange["request"]["method"] == "PATCH"
        and exchange["response"]["status"] == 200
        and "start_frame" in exchange["response"]["body"]
    ]
    jobs = {exchange["name"]: job_from(of(exchange["response"]["body"])) for exchange in changes}
    labeled, accepted = jobs["state only completed"], jobs["state completed again"]
    assert (labeled.done(DoneMeans.LABELED), labeled.done(DoneMeans.ACCEPTED)) == (True, False)
    assert (accepted.done(DoneMeans.LABELED), accepted.done(DoneMeans.ACCEPTED)) == (True, True)
    reset = jobs["stage only acceptance"]
    assert not reset.done(DoneMeans.LABELED)


@pytest.mark.parametrize(
    ("payload", "organization"),
    [
        ({"organization": 3}, 3),
        ({"organization": None}, None),
        ({"organization_id": 3, "organization": {"id": 3, "slug": "acme"}}, 3),
        ({"organization": {"id": 3}}, 3),
        ({}, UNKNOWN_ORGANIZATION),
    ],
)
def test_an_organization_is_told_in_several_ways(payload: dict[str, Any], organization: int | None) -> None:
    assert project_from(of({"id": 1, "name": "x", **payload})).organization == organization


def test_a_stage_that_nobody_knows_is_named() -> None:
    with pytest.raises(PlatformRefused, match="stage is 'proofreading', expected one of annotation"):
        job_from(
            of({"id": 1, "task_id": 2, "start_frame": 0, "stop_frame": 1, "stage": "proofreading", "state": "new"})
        )


def test_a_video_is_one_file_of_many_frames() -> None:
    meta = {"frames": [{"name": "river.mp4", "width": 64, "height": 48}]}
    frames = frames_from(of(meta), 3).frames
    assert [frame.name for frame in frames] == ["river.mp4/000000", "river.mp4/000001", "river.mp4/000002"]
