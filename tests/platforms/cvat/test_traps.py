"""What goes wrong on CVAT, each seen in recorded traffic, and what the adapter does about it."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from labelwright.domain import (
    Annotation,
    Attribute,
    Box,
    Geometry,
    ImageState,
    Label,
    LabeledImage,
    LabelSchema,
    Origin,
    Size,
    WholeImage,
)
from labelwright.platforms import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.cvat.adapter import Cvat, Options, connect
from labelwright.platforms.cvat.models import JobState, Stage
from labelwright.platforms.cvat.uploads import File, UploadOptions, upload
from labelwright.platforms.protocol import ImageToSend, RemoteState, Secret, SetState
from labelwright.platforms.registry import Connection
from tests.platforms.contract import NAMES, all_labels, fill, make_job, order, picture, to_send, unique, wait_for_batch
from tests.platforms.proxy import Fault, Rule

from .fake_server.server import FakeCvat, Response
from .harness import CvatHarness, as_labeler, label_images, proxied, shape_of

BOX = Annotation("plastic", Box(1, 2.5, 11, 12))


@pytest.fixture(scope="module", params=["2.15", "requests"])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with FakeCvat(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


@pytest.fixture(autouse=True)
def as_it_was(harness: CvatHarness) -> Iterator[None]:
    yield
    harness.proxy.clear()
    harness.cvat.held = False
    harness.cvat.interfere = lambda _: None
    harness.cvat.received.clear()


class ShortPauses:
    """Replaces the module `time`."""

    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, 0.005))


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake server advances with every read, so no waiting is needed."""
    monkeypatch.setattr("labelwright.platforms.cvat.exports.time", ShortPauses)


def campaign_of(harness: CvatHarness, platform: Cvat, count: int = 3) -> Any:
    campaign = platform.create_campaign(order(harness=harness))
    fill(harness, platform, campaign.id, count)
    return campaign


def project(project: Any) -> int:
    return int(project.id.partition("/")[0])


def tasks_of(harness: CvatHarness, campaign: Any) -> list[Any]:
    return sorted(
        (task for task in harness.cvat.state.tasks.values() if task.project == project(campaign)),
        key=lambda task: task.id,
    )


# Imports


def test_finished_with_nothing_imported_is_nothing(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, campaign)
    assert platform.read_batch(campaign.id, 1).state is SetState.CREATED
    platform.server.client.request(
        "begin", "POST", f"/api/tasks/{task.id}/data/", json={"image_quality": 70}, headers={"Upload-Start": ""}
    )
    if harness.cvat.dialect == "2.15":
        status = platform.server.client.call("look", "GET", f"/api/tasks/{task.id}/status")
        assert status.text("state") == "Finished", "as the real one says it"
    assert platform.read_batch(campaign.id, 1).state is SetState.CREATED
    assert list(platform.list_campaign_images(campaign.id)) == []


def test_import_with_other_images_than_sent_fails(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    (task,) = tasks_of(harness, campaign)
    assert task.data is not None
    task.data.files.popitem()
    batch = wait_for_batch(platform, campaign.id, 1)
    assert batch.state is SetState.FAILED
    assert "2 images, 3 were sent" in batch.message


def test_frames_that_no_job_covers_are_not_in(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform)
    (task,) = tasks_of(harness, campaign)
    last = harness.cvat.state.jobs_of(task.id)[-1]
    del harness.cvat.state.jobs[last.id]
    batch = harness.platform().read_batch(campaign.id, 1)
    assert (batch.state, "do not cover" in batch.message) == (SetState.FAILED, True)
    assert list(platform.list_campaign_images(campaign.id)) == []


def test_a_failed_import_is_deleted_and_made_anew(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    bad = replace(to_send("1.png"), open=lambda: io.BytesIO(b"no image at all"))
    platform.send_images(campaign.id, 1, [to_send("0.png"), bad])
    batch = wait_for_batch(platform, campaign.id, 1)
    assert batch.state is SetState.FAILED
    assert "cannot identify image file" in batch.message
    assert [name for name, _ in batch.rejected] == ["1.png"], "the file is named by our name"
    (failed,) = tasks_of(harness, campaign)
    with pytest.raises(PlatformUnavailable):  # as the real one answers: it cannot be repaired
        platform.server.upload(failed.id, [to_send("0.png")])
    platform.send_images(campaign.id, 1, [to_send("0.png"), to_send("1.png")])
    assert wait_for_batch(platform, campaign.id, 1).state is SetState.FINISHED
    (task,) = tasks_of(harness, campaign)
    assert task.id != failed.id
    assert task.assignee == harness.cvat.labeler1.id, "the labeler is not lost with the task"


def test_running_import_is_not_started_again(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    harness.cvat.held = True
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    harness.cvat.received.clear()
    harness.platform().send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    assert harness.cvat.count("POST", "/data") == harness.cvat.count("DELETE", "/tasks") == 0
    assert platform.read_batch(campaign.id, 1).state is SetState.FINISHING


def test_expired_import_request_falls_back_to_the_task(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    assert wait_for_batch(platform, campaign.id, 1).state is SetState.FINISHED
    (task,) = tasks_of(harness, campaign)
    assert task.work is not None
    task.work.expired = True
    assert platform.read_batch(campaign.id, 1).state is SetState.FINISHED
    assert harness.platform().read_batch(campaign.id, 1).state is SetState.FINISHED


@pytest.mark.parametrize("harness", ["requests"], indirect=True)
def test_cancelled_import_counts_as_failed_and_is_repeated(harness: CvatHarness) -> None:
    """CVAT passes on what the queue behind it says, also words that are not in its own list."""
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    harness.cvat.held = True
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    (task,) = tasks_of(harness, campaign)
    assert task.work is not None
    task.work.state = "scheduled"
    assert platform.read_batch(campaign.id, 1).state is SetState.FINISHING
    task.work.state = "canceled"
    assert platform.read_batch(campaign.id, 1).state is SetState.FAILED
    harness.cvat.held = False
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    assert wait_for_batch(platform, campaign.id, 1).state is SetState.FINISHED
    assert [remaining.id == task.id for remaining in tasks_of(harness, campaign)] == [False]


def test_missing_images_of_a_batch_go_into_another_task(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:2]])
    wait_for_batch(platform, campaign.id, 1)
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:4]])
    wait_for_batch(platform, campaign.id, 1)
    assert [task.name.rpartition(" ")[2] for task in tasks_of(harness, campaign)] == ["001", "001.2"]
    assert sorted(image.name for image in platform.list_campaign_images(campaign.id)) == sorted(NAMES[:4])


# Uploads


def test_file_names_twice_are_refused_before_anything_is_sent(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    with pytest.raises(PlatformRefused, match=r"duplicate image names in one task: .*0\.png"):
        platform.send_images(campaign.id, 1, [to_send("0.png"), to_send("0.png")])
    assert harness.cvat.count("POST", "/data") == 0


def test_names_that_differ_only_by_their_folders_are_two_images(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    names = ["a.png", "x/a.png", "x/y/a.png", 'q&amp;"u".png', "100%.png", "no ending", " blank.png"]
    platform.send_images(campaign.id, 1, [to_send(name) for name in names])
    assert wait_for_batch(platform, campaign.id, 1).state is SetState.FINISHED
    assert sorted(image.name for image in platform.list_campaign_images(campaign.id)) == sorted(names)


def test_images_are_sent_under_the_field_names_that_are_stored(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, campaign)
    response = requests.post(  # as the recording's client_files[] is answered
        f"{harness.cvat.url}/api/tasks/{task.id}/data",
        files=[("client_files[]", ("a.png", picture("a.png"))), ("image_quality", (None, "70"))],
        headers={"Authorization": f"Token {harness.cvat.requester.token}", "X-Organization": "acme"},
        timeout=60,
    )
    assert response.status_code == 202
    assert task.data is not None
    assert task.data.files == {}
    campaign = platform.create_campaign(order(harness=harness))
    harness.cvat.received.clear()
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    fields = [
        name
        for request in harness.cvat.received
        for name, _, _ in request.files
        if "upload-multiple" in request.headers
    ]
    assert fields == ["client_files[0]", "client_files[1]", "client_files[2]"]


def test_files_that_the_server_lost_are_detected(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))

    def forget(request: Any) -> None:
        if "upload-finish" in request.headers:
            tasks_of(harness, campaign)[0].data.files.popitem()

    harness.cvat.interfere = forget
    if harness.cvat.dialect == "2.15":  # which tells the names of what it stored
        with pytest.raises(PlatformRefused, match="stored 2 of 3"):
            platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
    else:
        platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:3]])
        assert "2 images, 3 were sent" in wait_for_batch(platform, campaign.id, 1).message


def test_large_files_go_by_tus_and_resume_after_a_failure(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, campaign)
    large = picture("large.png") + b"\0" * 3000
    files = [File("large.png", len(large), lambda: io.BytesIO(large)), _file("small.png")]
    harness.proxy.add(Rule(Fault.RESET, method="PATCH", nth=(2,)), Rule(Fault.LOSE_ANSWER, method="PATCH", nth=(3,)))
    upload(platform.server.client, task.id, files, UploadOptions(request_bytes=1000))
    assert task.data is not None
    assert task.data.files["large.png"] == large
    begun = [request for request in harness.cvat.received if "upload-length" in request.headers]
    assert [request.path.endswith("/data/") for request in begun] == [True]
    assert "origin" in begun[0].headers
    assert harness.cvat.count("HEAD", "/data/") == 2


def test_lost_response_to_the_last_part_counts_as_complete(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, campaign)
    large = picture("large.png") + b"\0" * 1500
    harness.proxy.add(Rule(Fault.LOSE_ANSWER, method="PATCH", nth=(2,)))
    upload(platform.server.client, task.id, [File("large.png", len(large), lambda: io.BytesIO(large))], _small())
    assert task.data is not None
    assert task.data.files["large.png"] == large


def test_tus_parts_never_exceed_the_servers_limit(harness: CvatHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelwright.platforms.cvat.uploads.LARGEST_PART", 700)
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, campaign)
    large = picture("large.png") + b"\0" * 1500
    upload(platform.server.client, task.id, [File("large.png", len(large), lambda: io.BytesIO(large))], _small())
    parts = [len(request.body) for request in harness.cvat.received if request.method == "PATCH"]
    assert max(parts) == 700
    assert sum(parts) == len(large)


def test_a_part_that_never_arrives_is_given_up(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, campaign)
    large = picture("large.png") + b"\0" * 1500
    harness.proxy.add(Rule(Fault.RESET, method="PATCH"))
    with pytest.raises(PlatformUnavailable):
        upload(platform.server.client, task.id, [File("large.png", len(large), lambda: io.BytesIO(large))], _small())
    assert harness.cvat.count("HEAD", "/data/") == 3


def _small() -> UploadOptions:
    return UploadOptions(request_bytes=1000)


def _file(name: str) -> File:
    return File(name, len(picture(name)), lambda: io.BytesIO(picture(name)))


# Requests


def test_no_request_asks_for_plain_json_which_is_answered_406(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    all_labels(platform, campaign.id)
    assert {request.headers["accept"] for request in harness.cvat.received} == {"application/vnd.cvat+json"}
    response = requests.get(
        f"{harness.cvat.url}/api/users/self",
        headers={"Accept": "application/json", "Authorization": f"Token {harness.cvat.requester.token}"},
        timeout=60,
    )
    assert response.status_code == 406


def test_no_cookie_is_ever_sent_back(harness: CvatHarness) -> None:
    platform = by_password(harness)
    platform.check()
    platform.create_campaign(order(harness=harness))
    assert harness.cvat.count("POST", "/auth/login") == 1
    assert not [request.path for request in harness.cvat.received if "cookie" in request.headers]
    response = requests.post(  # what would be answered otherwise
        f"{harness.cvat.url}/api/projects",
        json={"name": "x", "labels": []},
        headers={"Cookie": "sessionid=requester", "Accept": "*/*"},
        timeout=60,
    )
    assert (response.status_code, "CSRF" in response.text) == (403, True)


def by_password(harness: CvatHarness, user: str = "requester", password: str = "requester-password") -> Cvat:
    return Cvat(harness.proxy.url, user, Secret(password), Options(organization="acme", segment_size=1))


def test_revoked_token_leads_to_one_new_login(harness: CvatHarness) -> None:
    platform = by_password(harness)
    platform.check()
    harness.cvat.requester.token = "e" * 40
    assert "as requester" in platform.check()
    assert harness.cvat.count("POST", "/auth/login") == 2
    harness.cvat.requester.token = "0123456789abcdef" * 2 + "01234567"


def test_login_by_email_and_message_of_a_refused_login(harness: CvatHarness) -> None:
    assert by_password(harness, "requester@example.com").check()
    with pytest.raises(AccessDenied, match="Unable to log in") as caught:
        by_password(harness, password="wrong-canary").check()
    assert "canary" not in f"{caught.value}{caught.value!r}"


def test_login_without_token_advises_an_access_token(harness: CvatHarness) -> None:
    harness.cvat.interfere = lambda request: Response(200, {}) if request.path == "/api/auth/login" else None
    with pytest.raises(AccessDenied, match="no token came") as caught:
        Cvat(harness.proxy.url, "requester", Secret("requester-password")).check()
    assert "personal access token" in caught.value.advice


def test_a_login_that_is_throttled_waits_as_long_as_it_is_told(harness: CvatHarness) -> None:
    harness.proxy.add(Rule(Fault.TOO_MANY, path="/auth/login", nth=(1,), retry_after="0"))
    assert by_password(harness).check()


def test_key_and_secret_make_a_login_and_one_alone_a_token(harness: CvatHarness) -> None:
    url, token = harness.cvat.url, harness.cvat.requester.token
    for connection in (
        Connection(url, "requester", Secret("requester-password")),
        Connection(url, token),
        Connection(f"{url}/api/", "", Secret(token)),
    ):
        assert "as requester" in connect(connection).check()
    if harness.cvat.dialect == "requests":
        assert "as requester" in connect(Connection(url, harness.cvat.requester.access_token)).check()
    with pytest.raises(PlatformRefused, match="neither password nor token"):
        connect(Connection(url))


def test_500_for_a_client_error_is_not_retried_here(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform)
    (task,) = tasks_of(harness, campaign)
    job = harness.cvat.state.jobs_of(task.id)[0]
    harness.cvat.received.clear()
    with pytest.raises(PlatformUnavailable, match="500") as caught:
        platform.server.client.call("assign", "PATCH", f"/api/jobs/{job.id}", json={"assignee": "labeler1"})
    assert "Server Error" in str(caught.value)
    assert harness.cvat.count("PATCH", "/jobs/") == 1, "tasks retry, and they count"


# Organizations and people


def test_an_organization_that_is_not_there_is_told(harness: CvatHarness) -> None:
    with pytest.raises(NotFound, match="nosuch organization does not exist"):
        harness.platform(organization="nosuch").find_campaign("x")


def test_campaigns_of_other_organizations_are_not_found(harness: CvatHarness) -> None:
    campaign = harness.platform().create_campaign(order(harness=harness))
    assert harness.platform(organization="").find_campaign(campaign.title) is None
    assert harness.platform().find_campaign(campaign.title) is not None


def test_unknown_labeler_is_refused_before_creating_anything(harness: CvatHarness) -> None:
    order_ = order(labeler="stranger@example.com")
    with pytest.raises(PlatformRefused, match=r"no user stranger@example\.com"):
        harness.platform().create_campaign(order_)
    assert harness.platform().find_campaign(order_.title) is None


def test_unknown_labeler_is_invited_with_option_invite(harness: CvatHarness) -> None:
    name = unique("new")
    campaign = harness.platform(invite=True).create_campaign(order(labeler=f"{name}@example.com"))
    (task,) = tasks_of(harness, campaign)
    assert harness.cvat.state.users[task.assignee].name == name


def test_outside_an_organization_one_labels_oneself(harness: CvatHarness) -> None:
    platform = harness.platform(organization="")
    with pytest.raises(PlatformRefused, match="outside organizations"):
        platform.create_campaign(order(labeler="labeler1@example.com"))
    campaign = platform.create_campaign(replace(order(labeler="requester@example.com"), labels=harness.labels))
    fill(harness, platform, campaign.id)
    platform.activate_campaign(campaign.id)
    assert platform.read_campaign(campaign.id).state is RemoteState.ACTIVE


def test_administrator_assigns_labelers_without_organization(harness: CvatHarness) -> None:
    options = Options(segment_size=1, labelers=("labeler1", "labeler2"))
    platform = Cvat(harness.proxy.url, "", Secret(harness.cvat.admin.token), options)
    campaign = campaign_of(harness, platform, 2)
    platform.activate_campaign(campaign.id)
    assert [labeler.name for labeler in platform.read_campaign(campaign.id).labelers] == ["labeler1", "labeler2"]


def test_administrator_finds_a_labeler_by_email_address(harness: CvatHarness) -> None:
    harness.cvat.labeler2.email = "Bob@Example.com"
    platform = Cvat(harness.proxy.url, "", Secret(harness.cvat.admin.token), Options())
    campaign = platform.create_campaign(order(labeler="bob@example.com"))
    (task,) = tasks_of(harness, campaign)
    assert task.assignee == harness.cvat.labeler2.id


def test_jobs_are_assigned_evenly_also_after_an_interruption(harness: CvatHarness) -> None:
    platform = harness.platform(labelers=["labeler1", "labeler2"])
    campaign = campaign_of(harness, platform, 5)
    harness.proxy.add(Rule(Fault.RESET, method="PATCH", nth=(4,)))
    with pytest.raises(PlatformUnavailable):
        platform.activate_campaign(campaign.id)
    assert platform.read_campaign(campaign.id).state is RemoteState.CREATED
    platform.activate_campaign(campaign.id)
    now = platform.read_campaign(campaign.id)
    assert now.state is RemoteState.ACTIVE
    assert [(labeler.name, labeler.total) for labeler in now.labelers] == [("labeler1", 3), ("labeler2", 2)]
    assert harness.cvat.count("PATCH", "/jobs/") == 5


# Projects


def test_two_projects_with_the_same_name_are_refused(harness: CvatHarness) -> None:
    title = unique("twice")
    for _ in range(2):
        harness.platform().server.create_project(title, [])
    with pytest.raises(PlatformRefused, match="2 projects of that name"):
        harness.platform().find_campaign(title)


def test_schema_becomes_labels_with_types_and_attributes(harness: CvatHarness) -> None:
    from labelwright.domain import Attribute

    schema = LabelSchema(
        (
            Label("boat", Geometry.BOX, color="#ff0000", attributes=(Attribute("kind", ("barge", "ferry"), "ferry"),)),
            Label("shore", Geometry.POLYGON, attributes=(Attribute("note"),)),
            Label("night", Geometry.IMAGE),
            Label("other", Geometry.ANY),
        )
    )
    campaign = harness.platform().create_campaign(replace(order(harness=harness), labels=schema))
    labels = harness.cvat.state.projects[project(campaign)].labels
    assert [(label.name, label.type) for label in labels] == [
        ("boat", "rectangle"),
        ("shore", "polygon"),
        ("night", "tag"),
        ("other", "any"),
    ]
    assert labels[0].color == "#ff0000"
    (kind,) = labels[0].attributes
    assert (kind["input_type"], kind["values"], kind["default_value"]) == ("select", ["barge", "ferry"], "ferry")
    assert labels[1].attributes[0]["input_type"] == "text"


@pytest.mark.parametrize(
    "values", [tuple(f"{n:06}" for n in range(600)), ("one\ntwo",)], ids=["too many", "a line break"]
)
def test_too_long_attribute_values_are_refused_at_once(harness: CvatHarness, values: tuple[str, ...]) -> None:
    labels = LabelSchema((Label("car", attributes=(Attribute("plate", values),)),))
    order_ = replace(order(harness=harness), labels=labels)
    with pytest.raises(PlatformRefused, match="the values of attribute 'plate'"):
        harness.platform().create_campaign(order_)
    assert harness.cvat.count("POST", "/projects") == 0


def test_shared_project_gets_missing_labels(harness: CvatHarness) -> None:
    name = unique("rivers")
    first = harness.platform(project=name).create_campaign(order(harness=harness))
    more = LabelSchema((*harness.labels, Label("glass", Geometry.ANY)))
    second = harness.platform(project=name).create_campaign(replace(order(harness=harness), labels=more))
    assert project(first) == project(second)
    assert first.id != second.id
    assert [label.name for label in harness.cvat.state.projects[project(first)].labels] == ["plastic", "wood", "glass"]
    platform = harness.platform(project=name)
    fill(harness, platform, first.id)
    assert (platform.read_campaign(first.id).total, platform.read_campaign(second.id).total) == (3, 0)
    campaign = platform.find_campaign(first.title)
    assert campaign is not None
    assert campaign.id == first.id
    platform.delete_campaign(first.id)
    assert platform.find_campaign(first.title) is None
    assert platform.find_campaign(second.title) is not None
    with pytest.raises(NotFound):
        platform.read_campaign(first.id)


def test_a_shared_project_that_contradicts_the_schema_is_refused(harness: CvatHarness) -> None:
    name = unique("rivers")
    harness.platform(project=name).create_campaign(
        replace(order(harness=harness), labels=LabelSchema((Label("boat", Geometry.POLYGON),)))
    )
    with pytest.raises(PlatformRefused, match="'boat' is drawn as polygon there, the campaign says box"):
        harness.platform(project=name).create_campaign(
            replace(order(harness=harness), labels=LabelSchema((Label("boat", Geometry.BOX),)))
        )


def test_instructions_are_the_projects_guide(harness: CvatHarness) -> None:
    campaign = harness.platform().create_campaign(order(harness=harness))
    guide = harness.cvat.state.projects[project(campaign)].guide
    assert guide is not None
    assert harness.cvat.state.guides[guide]["markdown"] == "Label what floats."


def test_campaign_is_created_on_a_server_without_guides(harness: CvatHarness) -> None:
    harness.cvat.interfere = lambda request: (
        Response(404, b"no such page", kind="text/html") if "guides" in request.path else None
    )
    assert harness.platform().create_campaign(order(harness=harness))


# Jobs


def test_a_stage_is_moved_without_losing_the_state(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform)
    (task,) = tasks_of(harness, campaign)
    job = harness.cvat.state.jobs_of(task.id)[0]
    as_requester(harness, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    as_requester(harness, "PATCH", f"/api/jobs/{job.id}", {"stage": "validation"})
    assert job.state == "new", "as the real one does it"
    job.state = "completed"
    platform.move_job(job.id, Stage.ACCEPTANCE)
    assert (job.stage, job.state) == ("acceptance", "completed")
    platform.move_job(job.id, Stage.ANNOTATION, JobState.REJECTED)
    assert (job.stage, job.state) == ("annotation", "rejected")


def as_requester(harness: CvatHarness, method: str, path: str, payload: Any) -> Any:
    return as_labeler(harness.cvat, method, path, payload, "requester")


def test_the_labelers_completed_is_not_the_tasks(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    payload = harness.cvat.state.task_json(task)
    assert (payload["jobs"]["completed"], payload["status"]) == (0, "annotation"), "as the real one counts"
    assert harness.platform().read_campaign(job.campaign.id).state is RemoteState.COMPLETED
    strict = harness.platform(done_means="accepted")
    now = strict.read_campaign(job.campaign.id)
    assert (now.state, now.done, now.total) == (RemoteState.ACTIVE, 0, 3)
    assert all_labels(strict, job.campaign.id) == []


def test_work_is_reviewed_rejected_corrected_and_accepted(harness: CvatHarness) -> None:
    platform = harness.platform(done_means="accepted", reviewers=["labeler2"])
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    images = [image.id for image in platform.list_campaign_images(campaign.id)]
    label_images(harness.cvat, project(campaign), {image: [BOX] for image in images})
    assert platform.request_review(campaign.id) == 3
    (task,) = tasks_of(harness, campaign)
    jobs = harness.cvat.state.jobs_of(task.id)
    assert {(job.stage, job.state, job.assignee) for job in jobs} == {("validation", "new", harness.cvat.labeler2.id)}
    for job, verdict in zip(jobs, ["completed", "rejected", "completed"], strict=True):
        as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": verdict}, "labeler2")
    assert platform.settle_review(campaign.id) == (2, 1)
    assert (jobs[1].stage, jobs[1].state, jobs[1].assignee) == ("annotation", "rejected", harness.cvat.labeler1.id)
    now = platform.read_campaign(campaign.id)
    assert (now.state, now.done) == (RemoteState.ACTIVE, 2)
    label_images(harness.cvat, project(campaign), {images[1]: []})
    platform.request_review(campaign.id)
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{jobs[1].id}", {"state": "completed"}, "labeler2")
    assert platform.settle_review(campaign.id) == (1, 0)
    assert platform.read_campaign(campaign.id).state is RemoteState.FINISHED
    assert len(all_labels(platform, campaign.id)) == 3


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOSE_ANSWER])
@pytest.mark.parametrize("broken", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("done_means", ["labeled", "accepted"])
def test_a_reopening_that_was_interrupted_is_gone_on_with(
    harness: CvatHarness, done_means: str, broken: int, fault: Fault
) -> None:
    platform = harness.platform(done_means=done_means)
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    (task,) = tasks_of(harness, campaign)
    for job in harness.cvat.state.jobs_of(task.id):
        job.state, job.stage = "completed", "acceptance" if done_means == "accepted" else "annotation"
    harness.proxy.add(Rule(fault, method="PATCH", nth=(broken,)))
    with pytest.raises(PlatformUnavailable):
        platform.reopen_campaign(campaign.id)
    platform.reopen_campaign(campaign.id)
    now = {(job.stage, job.state) for job in harness.cvat.state.jobs_of(task.id)}
    assert now == {("annotation", "in progress")}
    platform.reopen_campaign(campaign.id)  # and once more it does nothing
    assert platform.read_campaign(campaign.id).state is RemoteState.ACTIVE


def test_reopening_returns_a_reviewers_job_to_its_labeler(harness: CvatHarness) -> None:
    platform = harness.platform(done_means="accepted", labelers=["labeler1"], reviewers=["labeler2"])
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    (task,) = tasks_of(harness, campaign)
    jobs = harness.cvat.state.jobs_of(task.id)
    for job in jobs:
        job.stage, job.state, job.assignee = "acceptance", "completed", harness.cvat.labeler2.id
    platform.reopen_campaign(campaign.id)
    assert {job.assignee for job in jobs} == {harness.cvat.labeler1.id}


def test_labels_know_the_labeler_of_their_job(harness: CvatHarness) -> None:
    platform = harness.platform(labelers=["labeler1"])
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    ids = [image.id for image in platform.list_campaign_images(campaign.id)]
    harness.label(campaign, None, {id: [Annotation("plastic", Box(1, 2, 9, 9))] for id in ids})
    images = platform.read_labels(campaign.id).images
    assert {image.remote_id for image in images} == set(ids)
    for annotation in (annotation for image in images for annotation in image.annotations):
        assert (annotation.labeler, annotation.origin) == ("labeler1", Origin.PERSON)


def test_unlabeled_images_have_the_state_of_their_job(harness: CvatHarness) -> None:
    platform = harness.platform(done_means="accepted", segment_size=1)
    campaign = campaign_of(harness, platform, count=5)
    (task,) = tasks_of(harness, campaign)
    states = (
        ("annotation", "new", ImageState.NOT_LABELED),
        ("annotation", "in progress", ImageState.DRAFT),
        ("validation", "new", ImageState.LABELED),
        ("annotation", "rejected", ImageState.REJECTED),
        ("acceptance", "completed", None),
    )
    jobs = sorted(harness.cvat.state.jobs_of(task.id), key=lambda job: job.start)
    for job, (stage, state, _) in zip(jobs, states, strict=True):
        job.stage, job.state = stage, state
    unlabeled = list(platform.list_unlabeled_images(campaign.id))
    assert [image.state for image in unlabeled] == [state for _, _, state in states if state]
    assert unlabeled[1].detail == f"job {jobs[1].id} of task {task.id} is in stage annotation, in progress"


def test_a_job_of_another_kind_is_nobodys_work(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)

    def with_ground_truth(request: Any) -> Response | None:
        if request.path != "/api/jobs":
            return None
        harness.cvat.interfere = lambda _: None
        payload = harness.cvat.handle(request).body
        truth = {**payload["results"][0], "id": 999_999, "type": "ground_truth", "state": "new", "stage": "annotation"}
        harness.cvat.interfere = with_ground_truth
        return Response(200, {**payload, "count": payload["count"] + 1, "results": [*payload["results"], truth]})

    harness.cvat.interfere = with_ground_truth
    assert harness.platform().read_campaign(job.campaign.id).state is RemoteState.COMPLETED


# Labels


def test_frames_map_back_by_name_whatever_their_order(harness: CvatHarness) -> None:
    platform = harness.platform(sorting="predefined", segment_size=0)
    campaign = platform.create_campaign(order(harness=harness))
    names = ["c.png", "a.png", "b.png"]
    platform.send_images(campaign.id, 1, [to_send(name) for name in names])
    wait_for_batch(platform, campaign.id, 1)
    (task,) = tasks_of(harness, campaign)
    task.frames.reverse()
    ids = {image.name: image.id for image in platform.list_campaign_images(campaign.id)}
    assert ids == {"b.png": f"{task.id}/0", "a.png": f"{task.id}/1", "c.png": f"{task.id}/2"}
    platform.activate_campaign(campaign.id)
    label_images(harness.cvat, project(campaign), {ids["a.png"]: [BOX]})
    assert {image.name: len(image.annotations) for image in all_labels(platform, campaign.id)} == {
        "a.png": 1,
        "b.png": 0,
        "c.png": 0,
    }


def test_images_in_two_jobs_count_once_when_both_are_done(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=2, overlap=1)
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    (task,) = tasks_of(harness, campaign)
    first, second = harness.cvat.state.jobs_of(task.id)
    assert (first.stop, second.start) == (1, 1)
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{first.id}", {"state": "completed"})
    now = platform.read_campaign(campaign.id)
    assert (now.done, now.total) == (1, 3)
    assert [image.remote_id for image in all_labels(platform, campaign.id)] == [f"{task.id}/0"]
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{second.id}", {"state": "completed"})
    assert len(all_labels(platform, campaign.id)) == platform.read_campaign(campaign.id).done == 3


def test_track_does_not_continue_into_the_next_job(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=2)
    campaign = campaign_of(harness, platform, 4)
    platform.activate_campaign(campaign.id)
    (task,) = tasks_of(harness, campaign)
    first, second = harness.cvat.state.jobs_of(task.id)
    label = harness.cvat.state.projects[project(campaign)].labels[0].id
    key = {"type": "rectangle", "frame": 1, "points": [1, 2, 11, 12], "outside": False, "attributes": []}
    drawn = {"frame": 1, "label_id": label, "attributes": [], "shapes": [key]}
    payload = {"shapes": [], "tags": [], "tracks": [drawn]}
    as_labeler(harness.cvat, "PUT", f"/api/jobs/{first.id}/annotations", payload)
    for job in (first, second):
        as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    for labels_page in (500, 2):  # the task as a whole, and job by job
        images = all_labels(harness.platform(segment_size=2, labels_page=labels_page), campaign.id)
        assert [len(image.annotations) for image in images] == [0, 1, 0, 0]


def test_jobs_are_read_singly_when_cvat_cannot_merge_a_task(
    harness: CvatHarness,
) -> None:
    """With an overlap CVAT compares the shapes of two jobs, and answers 500 where one is no shape."""
    platform = harness.platform(segment_size=2, overlap=1)
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    (task,) = tasks_of(harness, campaign)
    first, second = harness.cvat.state.jobs_of(task.id)
    label = harness.cvat.state.projects[project(campaign)].labels[0].id
    good = {"type": "rectangle", "frame": 1, "label_id": label, "points": [1, 2, 11, 12], "attributes": []}
    for job, shapes in ((first, [good, {**good, "points": [1, 2, 33]}]), (second, [good, {**good, "frame": 2}])):
        payload = {"shapes": shapes, "tags": [], "tracks": []}
        as_labeler(harness.cvat, "PUT", f"/api/jobs/{job.id}/annotations", payload)
        as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    blocked, failing = f"/api/tasks/{task.id}/annotations", Response(500, b"<h1>Server Error (500)</h1>")
    harness.cvat.interfere = lambda request: failing if request.path == blocked else None
    page = platform.read_labels(campaign.id)
    assert [(image.remote_id, len(image.annotations)) for image in page.images] == [
        (f"{task.id}/0", 0),
        (f"{task.id}/1", 1),
        (f"{task.id}/2", 1),
    ]
    assert any("rectangle: 3 numbers" in notice.detail for notice in page.left_out)
    assert any(f"job of task {task.id}, job {second.id}, frame 1" in notice.detail for notice in page.left_out)


def test_malformed_shape_is_reported_and_can_be_removed(
    harness: CvatHarness,
) -> None:
    platform = harness.platform(segment_size=0)
    campaign = campaign_of(harness, platform)
    platform.activate_campaign(campaign.id)
    (task,) = tasks_of(harness, campaign)
    (job,) = harness.cvat.state.jobs_of(task.id)
    labels = {label.name: label.id for label in harness.cvat.state.projects[project(campaign)].labels}
    good = shape_of(BOX, 0, labels)
    bad = {**good, "frame": 1, "points": [1, 2, 33]}
    lost = {**good, "frame": 9}
    payload = {"shapes": [good, bad, lost], "tags": [], "tracks": []}
    as_labeler(harness.cvat, "PUT", f"/api/jobs/{job.id}/annotations", payload)
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    with pytest.raises(PlatformRefused, match="not enough values to unpack") as caught:
        platform.export("tasks", task.id, "COCO 1.0", io.BytesIO(), deadline=20)
    assert "find malformed shapes" in caught.value.advice
    page = platform.read_labels(campaign.id)
    assert [len(image.annotations) for image in page.images] == [1, 0, 0]
    assert len(page.left_out) == 2
    assert "rectangle: 3 numbers instead of 4" in page.left_out[0].detail + page.left_out[1].detail
    removed = platform.remove_malformed(campaign.id)
    assert [f"job {job.id}" in line for line in removed] == [True, True]
    file = io.BytesIO()
    platform.export("tasks", task.id, "COCO 1.0", file)
    assert zipfile.ZipFile(file).namelist() == ["annotations/instances_default.json"]


def test_deleted_frame_is_excluded_until_it_is_restored(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    task.deleted_frames = [1]
    platform, campaign = harness.platform(), job.campaign.id
    page, now = platform.read_labels(campaign), platform.read_campaign(campaign)
    assert [image.remote_id for image in page.images] == [f"{task.id}/0", f"{task.id}/2"]
    (gone,) = page.excluded
    assert (gone.state, gone.remote_id) == (ImageState.GONE, f"{task.id}/1")
    assert gone.detail == f"frame 1 of task {task.id} was deleted in CVAT, with 1 annotation on it"
    assert page.left_out == ()
    assert (now.done, now.total, now.gone) == (3, 3, 1)
    assert len(page.images) + len(page.excluded) == now.done
    task.deleted_frames = []
    page = platform.read_labels(campaign)
    assert [len(image.annotations) for image in page.images] == [1, 1, 1]
    assert (page.excluded, platform.read_campaign(campaign).gone) == ((), 0)


def test_task_with_only_deleted_frames_does_not_stop_reading(harness: CvatHarness) -> None:
    platform = harness.platform(images_per_task=1)
    campaign = campaign_of(harness, platform, 2)
    platform.activate_campaign(campaign.id)
    first, second = tasks_of(harness, campaign)
    for task in (first, second):
        for job in harness.cvat.state.jobs_of(task.id):
            as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    first.deleted_frames = [0]
    page = platform.read_labels(campaign.id)
    assert (page.images, [image.remote_id for image in page.excluded]) == ((), [f"{first.id}/0"])
    following = platform.read_labels(campaign.id, page.next)
    assert [image.remote_id for image in following.images] == [f"{second.id}/0"]
    second.deleted_frames = [0]
    now = platform.read_campaign(campaign.id)
    assert (now.state, now.done, now.total, now.gone) == (RemoteState.COMPLETED, 2, 2, 2)


def test_only_images_of_deleted_tasks_count_as_deleted(harness: CvatHarness) -> None:
    platform = harness.platform(images_per_task=1)
    campaign = campaign_of(harness, platform, 2)
    first, second = tasks_of(harness, campaign)
    images = [f"{first.id}/0", f"{second.id}/0"]
    assert platform.deleted_images(campaign.id, images) == {}
    platform.server.delete_task(first.id)
    assert platform.deleted_images(campaign.id, images) == {images[0]: f"task {first.id} was deleted in CVAT"}


def test_labels_of_a_project_are_told_with_their_attributes(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform, 1)
    platform_labels = platform.list_labels(campaign.id)
    labels = harness.cvat.state.projects[project(campaign)].labels
    assert (set(platform_labels.names), platform_labels.shared) == ({label.name for label in labels}, False)
    labels.pop()
    assert set(platform.list_labels(campaign.id).names) == {label.name for label in labels}


# Predictions


def test_predictions_replace_only_predictions(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=0)
    campaign = campaign_of(harness, platform)
    (task,) = tasks_of(harness, campaign)
    (job,) = harness.cvat.state.jobs_of(task.id)
    labels = {label.name: label.id for label in harness.cvat.state.projects[project(campaign)].labels}
    as_requester(
        harness, "PATCH", f"/api/jobs/{job.id}/annotations?action=create", {"shapes": [shape_of(BOX, 0, labels)]}
    )

    def predict(*annotations: Annotation) -> None:
        platform.put_predictions(campaign.id, [LabeledImage("0.png", Size(40, 30), annotations, f"{task.id}/0")])

    predict(BOX, Annotation("wood", WholeImage()))
    predict(Annotation("plastic", Box(3, 3, 9, 9), 0.25))
    assert [(shape.get("source"), shape["points"]) for shape in job.shapes.values()] == [
        (None, [1, 2.5, 11, 12]),
        ("auto", [3, 3, 9, 9]),
    ]
    assert job.tags == {}
    if harness.cvat.dialect == "requests":
        assert [shape.get("score") for shape in job.shapes.values()] == [None, 0.25]
    with pytest.raises(PlatformRefused, match="no label 'glass'"):
        predict(Annotation("glass", Box(3, 3, 9, 9)))
    job.state = "in progress"
    with pytest.raises(PlatformRefused, match="labelers have started"):
        predict(BOX)


def test_predictions_on_images_in_two_jobs_are_replaced_in_both(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=2, overlap=1)
    campaign = campaign_of(harness, platform)
    (task,) = tasks_of(harness, campaign)
    for box in (Box(1, 1, 9, 9), Box(20, 3, 30, 9)):
        payload = (Annotation("plastic", box),)
        platform.put_predictions(campaign.id, [LabeledImage("1.png", Size(40, 30), payload, f"{task.id}/1")])
    for job in harness.cvat.state.jobs_of(task.id):
        assert [shape["points"] for shape in job.shapes.values()] == [[20, 3, 30, 9]]


def test_predictions_are_split_and_resent_after_a_failure(
    harness: CvatHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelwright.platforms.cvat.predictions.OBJECTS_A_REQUEST", 2)
    platform = harness.platform(segment_size=0)
    campaign = campaign_of(harness, platform)
    (task,) = tasks_of(harness, campaign)
    (job,) = harness.cvat.state.jobs_of(task.id)
    boxes = tuple(Annotation("plastic", Box(n, 1, n + 5, 9)) for n in range(5))
    images = [LabeledImage("0.png", Size(40, 30), boxes, f"{task.id}/0")]
    harness.proxy.add(Rule(Fault.RESET, method="PATCH", nth=(2,)))
    with pytest.raises(PlatformUnavailable):
        platform.put_predictions(campaign.id, images)
    assert len(job.shapes) == 2
    platform.put_predictions(campaign.id, images)
    assert sorted(shape["points"][0] for shape in job.shapes.values()) == [0, 1, 2, 3, 4]
    shapes_per_request = [
        len(json.loads(item.body)["shapes"]) for item in harness.cvat.received if item.method == "PATCH"
    ]
    assert shapes_per_request == [2, 2, 2, 2, 1]  # two, taken out again, and all of them


def test_predictions_on_images_of_other_campaigns_are_refused(harness: CvatHarness) -> None:
    mine, other = campaign_of(harness, harness.platform()), campaign_of(harness, harness.platform())
    (task,) = tasks_of(harness, other)
    for id in (f"{task.id}/0", "x", ""):
        with pytest.raises(PlatformRefused, match="no image with id"):
            harness.platform().put_predictions(mine.id, [LabeledImage("0.png", Size(40, 30), (BOX,), id)])


# Exports


def exported(harness: CvatHarness, what: Any, number: int, **more: Any) -> list[str]:
    file = io.BytesIO()
    harness.platform().export(what, number, "COCO 1.0", file, **more)
    with zipfile.ZipFile(file) as zipped:
        return sorted(zipped.namelist())


def test_exports_of_tasks_projects_and_jobs_are_fetched(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    assert exported(harness, "tasks", task.id) == ["annotations/instances_default.json"]
    assert exported(harness, "projects", project(job.campaign)) == ["annotations/instances_default.json"]
    assert exported(harness, "jobs", harness.cvat.state.jobs_of(task.id)[0].id)
    assert len(exported(harness, "tasks", task.id, images=True)) == 4


def test_a_file_that_somebody_else_fetched_is_made_anew(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    stolen = []

    def steal(request: Any) -> None:
        fetches = request.query.get("action") == "download" or request.path.endswith("/download")
        if fetches and not stolen:
            stolen.append(request.path)
            harness.cvat.state.exports.clear()

    harness.cvat.interfere = steal
    assert exported(harness, "tasks", task.id)
    assert stolen


@pytest.mark.parametrize(
    "gone",
    [
        Response(400, "Unknown export request id"),
        Response(400, "The export process is not finished"),
        Response(404, "The exported file has expired, please retry exporting"),
    ],
    ids=lambda gone: gone.body,
)
def test_a_file_that_expired_is_made_anew(harness: CvatHarness, gone: Response) -> None:
    """In the words of newer servers' source."""
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    responses = []

    def expire(request: Any) -> Response | None:
        fetches = request.query.get("action") == "download" or request.path.endswith("/download")
        if not fetches or responses:
            return None
        responses.append(gone)
        return gone

    harness.cvat.interfere = expire
    assert exported(harness, "tasks", task.id)
    assert responses


@pytest.mark.parametrize("harness", ["requests"], indirect=True)
def test_export_into_a_cloud_storage_is_refused_with_advice(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    payload = {"status": "finished", "id": "x", "message": "", "result_url": None}
    harness.cvat.interfere = lambda request: Response(200, payload) if "/api/requests/" in request.path else None
    with pytest.raises(PlatformRefused, match="went to a cloud storage"):
        exported(harness, "tasks", task.id)


def test_interrupted_export_download_starts_over(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    harness.proxy.add(Rule(Fault.TRUNCATED, path="download", nth=(1,)))
    with pytest.raises(PlatformUnavailable):
        exported(harness, "tasks", task.id)
    assert exported(harness, "tasks", task.id)


def test_running_export_is_reused(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    if harness.cvat.dialect == "requests":
        client, payload = harness.platform().server.client, {"format": "COCO 1.0", "save_images": "false"}
        for place in (f"projects/{project(job.campaign)}", f"tasks/{task.id}"):
            client.request("begin", "POST", f"/api/{place}/dataset/export", params=payload)
    harness.cvat.received.clear()
    exported(harness, "projects", project(job.campaign))
    fetched = [
        item.query.get("rq_id", item.path) for item in harness.cvat.received if "download" in f"{item.path}{item.query}"
    ]
    assert len(fetched) == 1
    assert "project" in fetched[0]
    assert exported(harness, "tasks", task.id) == ["annotations/instances_default.json"]


def test_expired_export_request_is_started_again(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    expired = []

    def expire(request: Any) -> None:
        if request.path.startswith("/api/requests/export") and not expired:
            expired.append(request.path)
            harness.cvat.state.exports.clear()

    harness.cvat.interfere = expire
    assert exported(harness, "tasks", task.id)
    assert bool(expired) == (harness.cvat.dialect == "requests")


def test_an_export_in_a_format_that_is_none_is_refused(harness: CvatHarness) -> None:
    job = make_job(harness, done=1)
    (task,) = tasks_of(harness, job.campaign)
    with pytest.raises(PlatformRefused, match="Unknown format"):
        harness.platform().export("tasks", task.id, "Nope 1.0", io.BytesIO())


def test_export_refused_by_both_apis_raises_the_first_error(harness: CvatHarness) -> None:
    """A newer server answers 405 to a format that is switched off, and 410 to the way of older ones."""
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)

    def refuse(request: Any) -> Response | None:
        if "/dataset" not in request.path and "format" not in request.query:
            return None
        return (
            Response(405, ["Format is not available"])
            if request.method == newer
            else Response(410, "Use POST instead.")
        )

    newer = "POST" if harness.cvat.dialect == "requests" else "GET"
    harness.cvat.interfere = refuse
    with pytest.raises(PlatformRefused, match="Format is not available"):
        exported(harness, "tasks", task.id)


def test_export_is_cancelled_at_its_deadline(harness: CvatHarness) -> None:
    job = make_job(harness, done=1)
    (task,) = tasks_of(harness, job.campaign)
    harness.cvat.held = True
    with pytest.raises(PlatformUnavailable, match=r"not ready within 0\.6 seconds"):
        harness.platform().export("tasks", task.id, "COCO 1.0", io.BytesIO(), deadline=0.6)


# Webhooks


def test_webhook_is_created_once_and_forged_events_are_refused(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform)
    target = "http://127.0.0.1:9/hook"
    first = platform.put_webhook(campaign.id, target)
    assert platform.put_webhook(campaign.id, target) == first, "said again it makes no second one"
    harness.cvat.notes.clear()
    platform.activate_campaign(campaign.id)
    assert harness.cvat.notes
    for _, headers, body in harness.cvat.notes:
        note = platform.open_webhook(headers, body)
        assert (note.kind, note.campaign) == ("update:job", campaign.id)
        for forged in (
            {**headers, "x-signature-256": "sha256=" + "0" * 64},
            {name: value for name, value in headers.items() if name != "x-signature-256"},
        ):
            with pytest.raises(AccessDenied):
                platform.open_webhook(forged, body)
        with pytest.raises(AccessDenied):
            platform.open_webhook(headers, body.replace(b"update:job", b"delete:job"))


def test_repeated_event_has_the_same_id(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform)
    platform.put_webhook(campaign.id, "http://127.0.0.1:9/hook")
    harness.cvat.notes.clear()
    platform.activate_campaign(campaign.id)
    ids = [platform.open_webhook(headers, body).id for _, headers, body in harness.cvat.notes]
    assert len(set(ids)) == len(ids)
    again = [platform.open_webhook(headers, body).id for _, headers, body in reversed(harness.cvat.notes)]
    assert again == ids[::-1], "in whatever order they come"


def test_what_notes_do_not_tell_is_seen_all_the_same(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = campaign_of(harness, platform)
    platform.put_webhook(campaign.id, "http://127.0.0.1:9/hook")  # nobody listens there: every note is lost
    platform.activate_campaign(campaign.id)
    images = [image.id for image in platform.list_campaign_images(campaign.id)]
    label_images(harness.cvat, project(campaign), {image: [] for image in images})
    assert platform.read_campaign(campaign.id).state is RemoteState.COMPLETED


def test_a_note_that_is_signed_and_makes_no_sense_is_refused(harness: CvatHarness) -> None:
    platform = harness.platform()
    for body in (b"", b"[]", b'{"event": 3}', b"\xff"):
        secret = platform._webhook_secret.value.encode()
        headers = {"x-signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}
        with pytest.raises(PlatformRefused, match="not a CVAT event"):
            platform.open_webhook(headers, body)


def test_notes_tell_their_project_where_they_hold_one(harness: CvatHarness) -> None:
    platform = harness.platform()
    for note, campaign in (
        ({"event": "update:task", "task": {"id": 7, "project_id": 4}}, "4"),
        ({"event": "update:project", "project": {"id": 5}}, "5"),
        ({"event": "ping", "webhook": {"project_id": 6}}, "6"),
        ({"event": "create:task", "task": {"id": 7, "project_id": None}}, None),
        ({"event": "update:organization"}, None),
    ):
        body = json.dumps(note).encode()
        secret = platform._webhook_secret.value.encode()
        headers = {"x-signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()}
        assert platform.open_webhook(headers, body).campaign == campaign


# Deleting


def test_project_cannot_be_deleted_during_an_import(harness: CvatHarness) -> None:
    platform = harness.platform()
    campaign = platform.create_campaign(order(harness=harness))
    harness.cvat.held = True
    platform.send_images(campaign.id, 1, [to_send("0.png")])
    with pytest.raises(PlatformUnavailable, match="500"):
        platform.delete_campaign(campaign.id)
    harness.cvat.held = False
    wait_for_batch(platform, campaign.id, 1)
    platform.delete_campaign(campaign.id)
    assert platform.find_campaign(campaign.title) is None


def test_nothing_shows_the_password_or_the_token(harness: CvatHarness) -> None:
    platform = by_password(harness)
    platform.check()
    shown = f"{platform!r}{platform.server.client!r}{vars(platform)!r}"
    assert "requester-password" not in shown
    assert harness.cvat.requester.token not in shown


def test_a_list_that_became_shorter_while_it_was_read_ends(harness: CvatHarness) -> None:
    job = make_job(harness, count=5)
    platform = harness.platform(page_size=2)
    client, read = platform.server.client, []
    for listed_job in client.all("list", "/api/jobs", {"project_id": project(job.campaign)}):
        read.append(listed_job.whole("id"))
        if len(read) == 4:
            harness.cvat.state.jobs.pop(min(harness.cvat.state.jobs))
            for id in [id for id, kept in harness.cvat.state.jobs.items() if id not in read and kept.task]:
                if harness.cvat.state.tasks[harness.cvat.state.jobs[id].task].project == project(job.campaign):
                    del harness.cvat.state.jobs[id]
    assert len(read) == 4


def test_a_thousand_images_cost_few_requests(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=50, labelers=["labeler1", "labeler2"])
    campaign = platform.create_campaign(order(harness=harness))
    content = picture("any.png")
    images = [
        ImageToSend(replace(to_send("any.png").image, name=f"river/{number:04}.png"), lambda: io.BytesIO(content))
        for number in range(1000)
    ]
    harness.cvat.received.clear()
    for batch in (1, 2):
        platform.send_images(campaign.id, batch, images[(batch - 1) * 500 : batch * 500])
    for batch in (1, 2):
        assert wait_for_batch(platform, campaign.id, batch).state is SetState.FINISHED
    assert len(list(platform.list_campaign_images(campaign.id))) == 1000
    assert len(harness.cvat.received) < 80
    harness.cvat.received.clear()
    platform.activate_campaign(campaign.id)
    assert [labeler.total for labeler in platform.read_campaign(campaign.id).labelers] == [500, 500]
    assert harness.cvat.count("PATCH", "/jobs/") == 20
    for job in harness.cvat.state.jobs.values():
        job.state = "completed"
    harness.cvat.received.clear()
    assert len(all_labels(platform, campaign.id)) == platform.read_campaign(campaign.id).done == 1000
    assert len(harness.cvat.received) < 30


@pytest.mark.parametrize("version", ["2.15.0", "2.80.0", "develop", ""])
def test_responses_not_the_version_decide_which_api_is_used(harness: CvatHarness, version: str) -> None:
    payload, harness.cvat.version = harness.cvat.version, version
    try:
        job = make_job(harness, done=3)  # imported, and waited for
        (task,) = tasks_of(harness, job.campaign)
        assert exported(harness, "tasks", task.id) == ["annotations/instances_default.json"]
    finally:
        harness.cvat.version = payload
