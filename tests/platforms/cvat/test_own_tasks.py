"""Whose a task on CVAT is: only tasks that the campaign made are the campaign's, whatever they are called."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from labelwright.platforms import NotFound, PlatformRefused
from labelwright.platforms.cvat.adapter import Cvat, Options
from labelwright.platforms.protocol import RemoteState, Secret
from tests.platforms.contract import all_labels, fill, make_job, order, to_send, unique
from tests.platforms.proxy import Fault, Rule

from .harness import CvatHarness, as_labeler, proxied
from .standin import StandIn
from .standin_data import end


@pytest.fixture(scope="module", params=["2.15", "requests"])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with StandIn(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


@pytest.fixture(autouse=True)
def as_it_was(harness: CvatHarness) -> Iterator[None]:
    yield
    harness.proxy.clear()
    harness.cvat.seen.clear()


def project(campaign: Any) -> int:
    return int(campaign.id.partition("/")[0])


def task_of_a_colleague(harness: CvatHarness, campaign: Any, name: str, images: int = 2) -> int:
    """A task that somebody made on CVAT's page, with images whose labels are done."""
    cvat = harness.cvat
    said = {"name": name, "project_id": project(campaign), "segment_size": 1}
    number = as_labeler(cvat, "POST", "/api/tasks", said, "requester")["id"]
    if not images:
        return int(number)
    harness.platform().server.upload(number, [to_send(f"pilot-{one}.jpg") for one in range(images)])
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
    theirs = task_of_a_colleague(harness, job.campaign, name.replace("TITLE", job.campaign.title))
    assert_only_its_own(job, job.platform)
    job.platform.send_images(job.campaign.id, 1, [to_send("a.png")])
    job.platform.finish_campaign(job.campaign.id)
    jobs = harness.cvat.state.jobs_of(theirs)
    assert {(one.stage, one.state) for one in jobs} == {("annotation", "completed")}, "not accepted"


def test_campaigns_whose_titles_begin_alike_share_a_project(harness: CvatHarness) -> None:
    shared = unique("shared")
    platform = harness.platform(project=shared)
    counts = {"river 001": 1, "river": 3, "river 001:001.1": 2, "#labelwright=1/river:001.1": 1, "two\nlines": 2}
    made = {}
    for title, count in counts.items():
        made[title] = platform.create_campaign(order(title, harness=harness))
        fill(harness, platform, made[title].id, count)
    assert {title: platform.read_campaign(made[title].id).total for title in counts} == counts
    assert platform.read_batch(made["river"].id, 1).state.value == "finished"


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
    copy = task_of_a_colleague(harness, job.campaign, "river 001 (copy)", 3)
    original = int(job.images[0].partition("/")[0])
    tasks[copy].bug_tracker = tasks[original].bug_tracker
    assert_only_its_own(job, job.platform)
    # When the original is gone, its restored copy takes its place.
    as_labeler(harness.cvat, "DELETE", f"/api/tasks/{original}", None, "requester")
    assert {image.id.partition("/")[0] for image in job.platform.list_campaign_images(job.campaign.id)} == {str(copy)}


def test_a_campaign_launched_by_an_earlier_version_goes_on(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    forget_marks(harness, job.campaign)
    task_of_a_colleague(harness, job.campaign, "colleague pilot 2026")
    assert_only_its_own(job, job.platform)
    ledger_of_before = remembering(harness, int(job.images[0].partition("/")[0]))
    assert ledger_of_before.find_campaign(job.campaign.title) is not None
    fill(harness, job.platform, job.campaign.id, 5)
    now = job.platform.read_campaign(job.campaign.id)
    assert (now.done, now.total) == (3, 5), "its older tasks count beside those that are marked"
    assert called(harness, job.campaign)[-1] == f"{job.campaign.title} 001.2"


def test_the_ledger_tells_tasks_of_an_earlier_version_from_a_colleagues_of_the_same_name(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    forget_marks(harness, job.campaign)
    task_of_a_colleague(harness, job.campaign, f"{job.campaign.title} 002")
    now = remembering(harness, int(job.images[0].partition("/")[0])).read_campaign(job.campaign.id)
    assert (now.done, now.total) == (3, 3)


def test_a_task_whose_answer_was_lost_is_found_by_its_mark(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    fill(harness, platform, made.id, 3)
    task_of_a_colleague(harness, made, f"{made.title} 002", 0)
    harness.proxy.add(Rule(Fault.LOSE_ANSWER, method="POST", path="/api/tasks$", nth=(1,)))
    images = [to_send("late.png")]
    with pytest.raises(Exception, match="create task"):
        platform.send_images(made.id, 2, images)
    before = called(harness, made)
    harness.platform().send_images(made.id, 2, images)
    assert called(harness, made) == before, "no second task is made"
    filled = [task for task in harness.cvat.state.tasks.values() if task.data and task.project == project(made)]
    assert [bool(task.bug_tracker) for task in filled] == [True, True], "the colleague's task stays empty"


def test_a_project_of_the_same_name_with_tasks_of_others_is_not_taken(harness: CvatHarness) -> None:
    title = unique("campaign")
    said = {"name": title, "labels": [{"name": "plastic"}, {"name": "wood"}]}
    number = as_labeler(harness.cvat, "POST", "/api/projects", said, "requester")["id"]
    said = {"name": "colleague pilot 2026", "project_id": number}
    as_labeler(harness.cvat, "POST", "/api/tasks", said, "requester")
    platform = harness.platform()
    assert platform.find_campaign(title) is None
    with pytest.raises(PlatformRefused, match=r"'colleague pilot 2026'.*another title.*option 'project'"):
        platform.create_campaign(order(title, harness=harness))
    assert len([task for task in harness.cvat.state.tasks.values() if task.project == number]) == 1


@pytest.mark.parametrize("name", ["TITLE 001", "TITLE 002", "TITLE 2026", "TITLE 001.2"])
def test_a_task_of_the_campaigns_name_that_was_in_a_shared_project_before_is_a_colleagues(
    harness: CvatHarness, name: str
) -> None:
    platform, title = harness.platform(project=unique("shared")), unique("river")
    other = platform.create_campaign(order(unique("other"), harness=harness))
    theirs = task_of_a_colleague(harness, other, name.replace("TITLE", title))
    assert platform.find_campaign(title) is None
    made = platform.create_campaign(order(title, harness=harness))
    assert (made.done, made.total) == (0, 0)
    fill(harness, platform, made.id, 3)
    assert platform.read_campaign(made.id).total == 3
    assert {image.id.partition("/")[0] for image in platform.list_campaign_images(made.id)}.isdisjoint({str(theirs)})
    platform.delete_campaign(made.id)
    assert theirs in harness.cvat.state.tasks


def test_a_project_of_the_same_name_with_a_task_of_the_campaigns_name_and_images_is_not_taken(
    harness: CvatHarness,
) -> None:
    platform, title = harness.platform(), unique("campaign")
    said = {"name": title, "labels": [{"name": "plastic"}, {"name": "wood"}]}
    number = as_labeler(harness.cvat, "POST", "/api/projects", said, "requester")["id"]
    theirs = SimpleNamespace(id=str(number))
    task_of_a_colleague(harness, theirs, f"{title} 001")
    assert platform.find_campaign(title) is None
    with pytest.raises(PlatformRefused, match="holds tasks that are not the campaign's"):
        platform.create_campaign(order(title, harness=harness))


def test_deleting_a_campaign_leaves_a_colleagues_task_in_its_project(harness: CvatHarness) -> None:
    job = make_job(harness, active=True)
    theirs = task_of_a_colleague(harness, job.campaign, "colleague pilot 2026")
    job.platform.delete_campaign(job.campaign.id)
    left = [task.id for task in harness.cvat.state.tasks.values() if task.project == project(job.campaign)]
    assert left == [theirs]
    assert job.platform.find_campaign(job.campaign.title) is None


def test_a_colleagues_task_does_not_stand_in_for_the_campaigns_that_were_deleted(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    task_of_a_colleague(harness, job.campaign, f"{job.campaign.title} 002", 3)
    task = int(job.images[0].partition("/")[0])
    as_labeler(harness.cvat, "DELETE", f"/api/tasks/{task}", None, "requester")
    now = remembering(harness, task).read_campaign(job.campaign.id)
    assert (now.done, now.total) == (0, 0)


def test_the_longest_title_fits_into_the_mark(harness: CvatHarness) -> None:
    title = "\N{FOX FACE}" * 200
    platform = harness.platform(project=unique("shared"))
    made = platform.create_campaign(order(title, harness=harness))
    assert platform.read_campaign(made.id).title == title


def test_a_task_of_a_project_that_is_gone_is_not_found(harness: CvatHarness) -> None:
    job = make_job(harness, active=True)
    job.platform.delete_campaign(job.campaign.id)
    with pytest.raises(NotFound):
        job.platform.read_campaign(job.campaign.id)
