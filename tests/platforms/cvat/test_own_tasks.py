"""Whose a task on CVAT is: only tasks that the campaign made are the campaign's, whatever they are called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from labelwright.platforms import NotFound, PlatformRefused
from labelwright.platforms.cvat.adapter import Cvat, Options
from labelwright.platforms.protocol import RemoteState, Secret
from tests.platforms.contract import all_labels, fill, make_job, order, to_send, unique
from tests.platforms.proxy import Fault, Rule

from .fake_server.data import end
from .fake_server.server import FakeCvat
from .harness import CvatHarness, as_labeler, proxied


@pytest.fixture(scope="module", params=["2.15", "requests"])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with FakeCvat(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


@pytest.fixture(autouse=True)
def as_it_was(harness: CvatHarness) -> Iterator[None]:
    yield
    harness.proxy.clear()
    harness.cvat.received.clear()


def project(campaign: Any) -> int:
    return int(campaign.id.partition("/")[0])


def task_of_a_colleague(harness: CvatHarness, project_id: int, name: str, images: int = 2) -> int:
    """A task that somebody made on CVAT's page, with images whose labels are done."""
    cvat = harness.cvat
    payload = {"name": name, "project_id": project_id, "segment_size": 1}
    number = as_labeler(cvat, "POST", "/api/tasks", payload, "requester")["id"]
    if not images:
        return int(number)
    harness.platform().server.upload(number, [to_send(f"pilot-{image}.jpg") for image in range(images)])
    with cvat.state.lock:
        end(cvat, cvat.state.tasks[number])
        for job in cvat.state.jobs_of(number):
            job.state = "completed"
    return int(number)


def called(harness: CvatHarness, campaign: Any) -> list[str]:
    tasks = (task for task in harness.cvat.state.tasks.values() if task.project == project(campaign))
    return [task.name for task in sorted(tasks, key=lambda task: task.id)]


def forget_marks(harness: CvatHarness, campaign: Any) -> None:
    """As if the campaign had been launched by a version that did not mark its tasks."""
    for task in harness.cvat.state.tasks.values():
        if task.project == project(campaign):
            task.bug_tracker = ""


def remembering(harness: CvatHarness, *tasks: int) -> Cvat:
    """An adapter whose ledger knows these tasks."""
    secret, options = Secret(harness.cvat.requester.token), Options(organization="acme", segment_size=1)
    return Cvat(harness.proxy.url, "", secret, options, recorded=lambda _: [str(task) for task in tasks])


def assert_only_its_own(job: Any, platform: Cvat) -> None:
    campaign = job.campaign.id
    now = platform.read_campaign(campaign)
    assert (now.state, now.done, now.total) == (RemoteState.COMPLETED, 3, 3)
    assert sorted(image.id for image in platform.list_campaign_images(campaign)) == sorted(job.images)
    assert sorted(image.remote_id for image in all_labels(platform, campaign)) == sorted(job.images)


@pytest.mark.parametrize(
    "name",
    ["colleague pilot 2026", "pilot 001", "TITLE 001", "TITLE 002", "TITLE 001.2", "TITLE 001 001", "TITLE 2026"],
)
def test_a_colleagues_task_is_not_the_campaigns(harness: CvatHarness, name: str) -> None:
    job = make_job(harness, done=3)
    theirs = task_of_a_colleague(harness, project(job.campaign), name.replace("TITLE", job.campaign.title))
    assert_only_its_own(job, job.platform)
    job.platform.send_images(job.campaign.id, 1, [to_send("a.png")])
    job.platform.finish_campaign(job.campaign.id)
    jobs = harness.cvat.state.jobs_of(theirs)
    assert {(job.stage, job.state) for job in jobs} == {("annotation", "completed")}, "not accepted"


def test_campaigns_whose_titles_begin_alike_share_a_project(harness: CvatHarness) -> None:
    shared = unique("shared")
    platform = harness.platform(project=shared)
    counts = {"river 001": 1, "river": 3, "river 001:001.1": 2, "#labelwright=1/river:001.1": 1, "two\nlines": 2}
    campaigns = {}
    for title, count in counts.items():
        campaigns[title] = platform.create_campaign(order(title, harness=harness))
        fill(harness, platform, campaigns[title].id, count)
    assert {title: platform.read_campaign(campaigns[title].id).total for title in counts} == counts
    assert platform.read_batch(campaigns["river"].id, 1).state.value == "finished"


@pytest.mark.parametrize("marked", [True, False])
def test_a_renamed_task_stays_the_campaigns(harness: CvatHarness, marked: bool) -> None:
    job = make_job(harness, done=3)
    task = int(job.images[0].partition("/")[0])
    harness.cvat.state.tasks[task].name = "Ann's share"
    if marked:
        assert_only_its_own(job, job.platform)
    else:
        forget_marks(harness, job.campaign)
        assert_only_its_own(job, remembering(harness, task))


def test_a_renamed_project_keeps_its_campaign(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    harness.cvat.state.projects[project(job.campaign)].name = unique("renamed")
    assert_only_its_own(job, job.platform)


def test_a_copy_from_a_backup_of_a_task_is_not_counted(harness: CvatHarness) -> None:
    """CVAT's backup of a task holds its bug tracker, and so our mark."""
    job = make_job(harness, done=3)
    tasks = harness.cvat.state.tasks
    copy = task_of_a_colleague(harness, project(job.campaign), "river 001 (copy)", 3)
    original = int(job.images[0].partition("/")[0])
    tasks[copy].bug_tracker = tasks[original].bug_tracker
    assert_only_its_own(job, job.platform)
    # When the original is gone, its restored copy takes its place.
    as_labeler(harness.cvat, "DELETE", f"/api/tasks/{original}", None, "requester")
    assert {image.id.partition("/")[0] for image in job.platform.list_campaign_images(job.campaign.id)} == {str(copy)}


def test_a_campaign_launched_by_an_earlier_version_goes_on(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    forget_marks(harness, job.campaign)
    task_of_a_colleague(harness, project(job.campaign), "colleague pilot 2026")
    assert_only_its_own(job, job.platform)
    ledger_of_before = remembering(harness, int(job.images[0].partition("/")[0]))
    assert ledger_of_before.find_campaign(job.campaign.title) is not None
    fill(harness, job.platform, job.campaign.id, 5)
    now = job.platform.read_campaign(job.campaign.id)
    assert (now.done, now.total) == (3, 5), "its older tasks count beside those that are marked"
    assert called(harness, job.campaign)[-1] == f"{job.campaign.title} 001.2"


def test_ledger_identifies_unmarked_tasks_of_earlier_versions(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    forget_marks(harness, job.campaign)
    task_of_a_colleague(harness, project(job.campaign), f"{job.campaign.title} 002")
    now = remembering(harness, int(job.images[0].partition("/")[0])).read_campaign(job.campaign.id)
    assert (now.done, now.total) == (3, 3)


def test_a_task_whose_answer_was_lost_is_found_by_its_mark(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    fill(harness, platform, campaign.id, 3)
    task_of_a_colleague(harness, project(campaign), f"{campaign.title} 002", 0)
    harness.proxy.add(Rule(Fault.LOSE_ANSWER, method="POST", path="/api/tasks$", nth=(1,)))
    images = [to_send("late.png")]
    with pytest.raises(Exception, match="create task"):
        platform.send_images(campaign.id, 2, images)
    before = called(harness, campaign)
    harness.platform().send_images(campaign.id, 2, images)
    assert called(harness, campaign) == before, "no second task is made"
    filled = [task for task in harness.cvat.state.tasks.values() if task.data and task.project == project(campaign)]
    assert [bool(task.bug_tracker) for task in filled] == [True, True], "the colleague's task stays empty"


def test_foreign_project_of_the_same_name_is_refused(harness: CvatHarness) -> None:
    title = unique("campaign")
    payload = {"name": title, "labels": [{"name": "plastic"}, {"name": "wood"}]}
    number = as_labeler(harness.cvat, "POST", "/api/projects", payload, "requester")["id"]
    payload = {"name": "colleague pilot 2026", "project_id": number}
    as_labeler(harness.cvat, "POST", "/api/tasks", payload, "requester")
    platform = harness.platform()
    assert platform.find_campaign(title) is None
    with pytest.raises(PlatformRefused, match=r"'colleague pilot 2026'.*another title.*option 'project'"):
        platform.create_campaign(order(title, harness=harness))
    assert len([task for task in harness.cvat.state.tasks.values() if task.project == number]) == 1


@pytest.mark.parametrize("name", ["TITLE 001", "TITLE 002", "TITLE 2026", "TITLE 001.2"])
def test_older_task_in_a_shared_project_is_a_colleagues(harness: CvatHarness, name: str) -> None:
    platform, title = harness.platform(project=unique("shared")), unique("river")
    other = platform.create_campaign(order(unique("other"), harness=harness))
    theirs = task_of_a_colleague(harness, project(other), name.replace("TITLE", title))
    assert platform.find_campaign(title) is None
    campaign = platform.create_campaign(order(title, harness=harness))
    assert (campaign.done, campaign.total) == (0, 0)
    fill(harness, platform, campaign.id, 3)
    assert platform.read_campaign(campaign.id).total == 3
    assert {image.id.partition("/")[0] for image in platform.list_campaign_images(campaign.id)}.isdisjoint(
        {str(theirs)}
    )
    platform.delete_campaign(campaign.id)
    assert theirs in harness.cvat.state.tasks


def test_foreign_project_with_a_task_named_like_ours_is_refused(
    harness: CvatHarness,
) -> None:
    platform, title = harness.platform(), unique("campaign")
    payload = {"name": title, "labels": [{"name": "plastic"}, {"name": "wood"}]}
    number = as_labeler(harness.cvat, "POST", "/api/projects", payload, "requester")["id"]
    task_of_a_colleague(harness, number, f"{title} 001")
    assert platform.find_campaign(title) is None
    with pytest.raises(PlatformRefused, match="holds tasks that are not the campaign's"):
        platform.create_campaign(order(title, harness=harness))


def test_deleting_a_campaign_keeps_a_colleagues_task(harness: CvatHarness) -> None:
    job = make_job(harness, active=True)
    theirs = task_of_a_colleague(harness, project(job.campaign), "colleague pilot 2026")
    job.platform.delete_campaign(job.campaign.id)
    left = [task.id for task in harness.cvat.state.tasks.values() if task.project == project(job.campaign)]
    assert left == [theirs]
    assert job.platform.find_campaign(job.campaign.title) is None


def test_colleagues_task_does_not_replace_deleted_ones(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    task_of_a_colleague(harness, project(job.campaign), f"{job.campaign.title} 002", 3)
    task = int(job.images[0].partition("/")[0])
    as_labeler(harness.cvat, "DELETE", f"/api/tasks/{task}", None, "requester")
    now = remembering(harness, task).read_campaign(job.campaign.id)
    assert (now.done, now.total) == (0, 0)


def test_the_longest_title_fits_into_the_mark(harness: CvatHarness) -> None:
    title = "\N{FOX FACE}" * 200
    platform = harness.platform(project=unique("shared"))
    campaign = platform.create_campaign(order(title, harness=harness))
    assert platform.read_campaign(campaign.id).title == title


def test_a_task_of_a_project_that_is_gone_is_not_found(harness: CvatHarness) -> None:
    job = make_job(harness, active=True)
    job.platform.delete_campaign(job.campaign.id)
    with pytest.raises(NotFound):
        job.platform.read_campaign(job.campaign.id)
