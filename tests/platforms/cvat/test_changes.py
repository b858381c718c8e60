"""Projects whose labels and instructions are changed while labelers work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from labelwright.domain import Attribute, Box, Geometry, Label, LabelSchema, Polygon
from labelwright.domain.labels import Annotation
from labelwright.platforms.errors import PlatformRefused
from tests.platforms.contract import changed_order, make_job

from .fake_server.server import FakeCvat
from .harness import CvatHarness, proxied

BOATS = LabelSchema(
    (Label("plastic", Geometry.BOX, attributes=(Attribute("kind", ("bag", "bottle")),)), Label("wood", Geometry.BOX))
)


@pytest.fixture(scope="module", params=["2.15", "requests"])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with FakeCvat(request.param) as cvat, proxied(cvat) as proxy:
        harness = CvatHarness(cvat, proxy)
        harness.labels = BOATS
        harness.annotations = (Annotation("plastic", Box(1, 2, 11, 12)), Annotation("wood", Box(1, 2, 11, 12)))
        yield harness


def project_of(harness, job):
    return harness.cvat.state.projects[int(job.campaign.id)]


def test_geometry_colour_and_attributes_change_and_labels_stay(harness):
    job = make_job(harness, done=1)
    before = {label.name: label.id for label in project_of(harness, job).labels}
    plastic = Label(
        "plastic",
        Geometry.ANY,
        attributes=(Attribute("kind", ("bag", "bottle", "cup")), Attribute("size")),
        color="#00ff00",
    )
    order = replace(changed_order(harness, job), labels=LabelSchema((plastic, BOATS["wood"])))
    for _ in range(2):
        harness.cvat.received.clear()
        job.platform.change_campaign(job.campaign.id, order)
    assert not [
        request for request in harness.cvat.received if "PATCH" in str(request) and "/api/projects" in str(request)
    ]
    labels = {label.name: label for label in project_of(harness, job).labels}
    assert {name: label.id for name, label in labels.items()} == before
    assert (labels["plastic"].type, labels["plastic"].color) == ("any", "#00ff00")
    assert {row["name"]: row["values"] for row in labels["plastic"].attributes} == {
        "kind": ["bag", "bottle", "cup"],
        "size": [""],
    }
    assert labels["wood"].type == "rectangle"
    outline = Annotation("plastic", Polygon(((1, 1), (9, 1), (5, 8))))
    harness.label(job.campaign, job.access, {image: [outline] for image in job.images[1:]})
    labeled = job.platform.read_labels(job.campaign.id).images
    assert {annotation.shape for image in labeled for annotation in image.annotations} >= {outline.shape}


def test_instructions_take_the_place_of_earlier_ones(harness):
    job = make_job(harness)
    order = changed_order(harness, job)
    for instructions in ("First.", "Second."):
        job.platform.change_campaign(job.campaign.id, replace(order, instructions=instructions))
        guide = project_of(harness, job).guide
        assert harness.cvat.state.guides[guide]["markdown"] == instructions


def test_a_contradiction_changes_nothing(harness):
    job = make_job(harness)
    labels = LabelSchema((Label("plastic", Geometry.POLYGON), BOATS["wood"], Label("glass")))
    with pytest.raises(PlatformRefused, match="drawn as rectangle there"):
        job.platform.change_campaign(job.campaign.id, replace(changed_order(harness, job), labels=labels))
    assert [label.name for label in project_of(harness, job).labels] == ["plastic", "wood"]


def test_jobs_that_are_not_done_go_to_another_labeler(harness):
    job = make_job(harness, done=1)
    state = harness.cvat.state
    old, new = state.find_user("labeler1").id, state.find_user("labeler2").id
    (task,) = [task for task in state.tasks.values() if task.project == int(job.campaign.id)]
    done, begun, other = sorted(state.jobs_of(task.id), key=lambda item: item.start)
    assert [item.assignee for item in (done, begun, other)] == [old, old, old]
    begun.state = "in progress"
    other.assignee = state.find_user("requester").id
    order = replace(changed_order(harness, job), labeler="labeler2@example.com")
    for _ in range(2):
        job.platform.change_campaign(job.campaign.id, order)
    assert [item.assignee for item in (done, begun, other)] == [old, new, state.find_user("requester").id]
    assert (task.assignee, begun.state) == (new, "in progress")


def test_a_labeler_whom_cvat_does_not_have_changes_nothing(harness):
    job = make_job(harness)
    order = replace(changed_order(harness, job), labeler="nobody@example.com")
    with pytest.raises(PlatformRefused, match=r"there is no user nobody@example\.com"):
        job.platform.change_campaign(job.campaign.id, order)
    assert [label.name for label in project_of(harness, job).labels] == ["plastic", "wood"]
