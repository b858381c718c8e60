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
from types import SimpleNamespace
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

from .harness import CvatHarness, as_labeler, label_images, proxied, shape_of
from .standin import Answer, StandIn

BOX = Annotation("plastic", Box(1, 2.5, 11, 12))


@pytest.fixture(scope="module", params=["2.15", "requests"])
def harness(request: pytest.FixtureRequest) -> Iterator[CvatHarness]:
    with StandIn(request.param) as cvat, proxied(cvat) as proxy:
        yield CvatHarness(cvat, proxy)


@pytest.fixture(autouse=True)
def as_it_was(harness: CvatHarness) -> Iterator[None]:
    yield
    harness.proxy.clear()
    harness.cvat.held = False
    harness.cvat.interfere = lambda _: None
    harness.cvat.seen.clear()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in goes on with every look: nobody has to wait between them."""
    hurried = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(min(seconds, 0.005)))
    monkeypatch.setattr("labelwright.platforms.cvat.exports.time", hurried)


def campaign_of(harness: CvatHarness, platform: Cvat, count: int = 3) -> Any:
    made = platform.create_campaign(order(harness=harness))
    fill(harness, platform, made.id, count)
    return made


def project(made: Any) -> int:
    return int(made.id.partition("/")[0])


def tasks_of(harness: CvatHarness, made: Any) -> list[Any]:
    return sorted(
        (one for one in harness.cvat.state.tasks.values() if one.project == project(made)), key=lambda one: one.id
    )


# Imports


def test_finished_with_nothing_imported_is_nothing(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, made)
    assert platform.read_batch(made.id, 1).state is SetState.CREATED
    platform.server.client.ask(
        "begin", "POST", f"/api/tasks/{task.id}/data/", json={"image_quality": 70}, headers={"Upload-Start": ""}
    )
    if harness.cvat.dialect == "2.15":
        told = platform.server.client.call("look", "GET", f"/api/tasks/{task.id}/status")
        assert told.text("state") == "Finished", "as the real one says it"
    assert platform.read_batch(made.id, 1).state is SetState.CREATED
    assert list(platform.list_campaign_images(made.id)) == []


def test_an_import_that_took_other_images_than_were_sent_has_failed(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    (task,) = tasks_of(harness, made)
    assert task.data is not None
    task.data.files.popitem()
    found = wait_for_batch(platform, made.id, 1)
    assert found.state is SetState.FAILED
    assert "2 images, 3 were sent" in found.message


def test_frames_that_no_job_covers_are_not_in(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = campaign_of(harness, platform)
    (task,) = tasks_of(harness, made)
    last = harness.cvat.state.jobs_of(task.id)[-1]
    del harness.cvat.state.jobs[last.id]
    found = harness.platform().read_batch(made.id, 1)
    assert (found.state, "do not cover" in found.message) == (SetState.FAILED, True)
    assert list(platform.list_campaign_images(made.id)) == []


def test_a_failed_import_is_deleted_and_made_anew(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    bad = replace(to_send("1.png"), open=lambda: io.BytesIO(b"no image at all"))
    platform.send_images(made.id, 1, [to_send("0.png"), bad])
    found = wait_for_batch(platform, made.id, 1)
    assert found.state is SetState.FAILED
    assert "cannot identify image file" in found.message
    assert [name for name, _ in found.rejected] == ["1.png"], "the file is named by our name"
    (failed,) = tasks_of(harness, made)
    with pytest.raises(PlatformUnavailable):  # as the real one answers: it cannot be repaired
        platform.server.upload(failed.id, [to_send("0.png")])
    platform.send_images(made.id, 1, [to_send("0.png"), to_send("1.png")])
    assert wait_for_batch(platform, made.id, 1).state is SetState.FINISHED
    (task,) = tasks_of(harness, made)
    assert task.id != failed.id
    assert task.assignee == harness.cvat.labeler1.id, "the labeler is not lost with the task"


def test_an_import_that_is_under_way_is_not_begun_a_second_time(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    harness.cvat.held = True
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    harness.cvat.seen.clear()
    harness.platform().send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    assert harness.cvat.count("POST", "/data") == harness.cvat.count("DELETE", "/tasks") == 0
    assert platform.read_batch(made.id, 1).state is SetState.FINISHING


def test_an_expired_request_is_no_failure_the_task_itself_is_asked(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    assert wait_for_batch(platform, made.id, 1).state is SetState.FINISHED
    (task,) = tasks_of(harness, made)
    assert task.work is not None
    task.work.expired = True
    assert platform.read_batch(made.id, 1).state is SetState.FINISHED
    assert harness.platform().read_batch(made.id, 1).state is SetState.FINISHED


@pytest.mark.parametrize("harness", ["requests"], indirect=True)
def test_an_import_that_somebody_cancelled_has_failed_and_is_made_anew(harness: CvatHarness) -> None:
    """CVAT passes on what the queue behind it says, also words that are not in its own list."""
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    harness.cvat.held = True
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    (task,) = tasks_of(harness, made)
    assert task.work is not None
    task.work.state = "scheduled"
    assert platform.read_batch(made.id, 1).state is SetState.FINISHING
    task.work.state = "canceled"
    assert platform.read_batch(made.id, 1).state is SetState.FAILED
    harness.cvat.held = False
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    assert wait_for_batch(platform, made.id, 1).state is SetState.FINISHED
    assert [one.id == task.id for one in tasks_of(harness, made)] == [False]


def test_what_a_batch_lacks_goes_into_a_further_task_and_none_comes_twice(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:2]])
    wait_for_batch(platform, made.id, 1)
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:4]])
    wait_for_batch(platform, made.id, 1)
    assert [task.name.rpartition(" ")[2] for task in tasks_of(harness, made)] == ["001", "001.2"]
    assert sorted(image.name for image in platform.list_campaign_images(made.id)) == sorted(NAMES[:4])


# Uploads


def test_file_names_twice_are_refused_before_anything_is_sent(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    with pytest.raises(PlatformRefused, match=r"duplicate image names in one task: .*0\.png"):
        platform.send_images(made.id, 1, [to_send("0.png"), to_send("0.png")])
    assert harness.cvat.count("POST", "/data") == 0


def test_names_that_differ_only_by_their_folders_are_two_images(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    names = ["a.png", "x/a.png", "x/y/a.png", 'q&amp;"u".png', "100%.png", "no ending", " blank.png"]
    platform.send_images(made.id, 1, [to_send(name) for name in names])
    assert wait_for_batch(platform, made.id, 1).state is SetState.FINISHED
    assert sorted(image.name for image in platform.list_campaign_images(made.id)) == sorted(names)


def test_images_are_sent_under_the_field_names_that_are_stored(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, made)
    answer = requests.post(  # as the recording's client_files[] is answered
        f"{harness.cvat.url}/api/tasks/{task.id}/data",
        files=[("client_files[]", ("a.png", picture("a.png"))), ("image_quality", (None, "70"))],
        headers={"Authorization": f"Token {harness.cvat.requester.token}", "X-Organization": "acme"},
        timeout=60,
    )
    assert answer.status_code == 202
    assert task.data is not None
    assert task.data.files == {}
    made = platform.create_campaign(order(harness=harness))
    harness.cvat.seen.clear()
    platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    fields = [name for asked in harness.cvat.seen for name, _, _ in asked.files if "upload-multiple" in asked.headers]
    assert fields == ["client_files[0]", "client_files[1]", "client_files[2]"]


def test_files_that_the_server_lost_are_missed_at_once_or_after_the_import(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))

    def forget(asked: Any) -> None:
        if "upload-finish" in asked.headers:
            tasks_of(harness, made)[0].data.files.popitem()

    harness.cvat.interfere = forget
    if harness.cvat.dialect == "2.15":  # which tells the names of what it stored
        with pytest.raises(PlatformRefused, match="stored 2 of 3"):
            platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
    else:
        platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:3]])
        assert "2 images, 3 were sent" in wait_for_batch(platform, made.id, 1).message


def test_large_files_go_by_tus_in_parts_that_are_taken_up_where_they_broke_off(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, made)
    large = picture("large.png") + b"\0" * 3000
    files = [File("large.png", len(large), lambda: io.BytesIO(large)), _file("small.png")]
    harness.proxy.add(Rule(Fault.RESET, method="PATCH", nth=(2,)), Rule(Fault.LOSE_ANSWER, method="PATCH", nth=(3,)))
    upload(platform.server.client, task.id, files, UploadOptions(request_bytes=1000))
    assert task.data is not None
    assert task.data.files["large.png"] == large
    begun = [asked for asked in harness.cvat.seen if "upload-length" in asked.headers]
    assert [asked.path.endswith("/data/") for asked in begun] == [True]
    assert "origin" in begun[0].headers
    assert harness.cvat.count("HEAD", "/data/") == 2


def test_the_lost_answer_to_a_files_last_part_means_that_it_is_complete(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, made)
    large = picture("large.png") + b"\0" * 1500
    harness.proxy.add(Rule(Fault.LOSE_ANSWER, method="PATCH", nth=(2,)))
    upload(platform.server.client, task.id, [File("large.png", len(large), lambda: io.BytesIO(large))], _small())
    assert task.data is not None
    assert task.data.files["large.png"] == large


def test_no_part_is_larger_than_a_server_takes_however_much_a_request_may_hold(
    harness: CvatHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelwright.platforms.cvat.uploads.LARGEST_PART", 700)
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, made)
    large = picture("large.png") + b"\0" * 1500
    upload(platform.server.client, task.id, [File("large.png", len(large), lambda: io.BytesIO(large))], _small())
    parts = [len(asked.body) for asked in harness.cvat.seen if asked.method == "PATCH"]
    assert max(parts) == 700
    assert sum(parts) == len(large)


def test_a_part_that_never_arrives_is_given_up(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    (task,) = tasks_of(harness, made)
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
    made = campaign_of(harness, platform)
    platform.activate_campaign(made.id)
    all_labels(platform, made.id)
    assert {asked.headers["accept"] for asked in harness.cvat.seen} == {"application/vnd.cvat+json"}
    answer = requests.get(
        f"{harness.cvat.url}/api/users/self",
        headers={"Accept": "application/json", "Authorization": f"Token {harness.cvat.requester.token}"},
        timeout=60,
    )
    assert answer.status_code == 406


def test_no_cookie_is_ever_sent_back(harness: CvatHarness) -> None:
    platform = by_password(harness)
    platform.check()
    platform.create_campaign(order(harness=harness))
    assert harness.cvat.count("POST", "/auth/login") == 1
    assert not [asked.path for asked in harness.cvat.seen if "cookie" in asked.headers]
    answer = requests.post(  # what would be answered otherwise
        f"{harness.cvat.url}/api/projects",
        json={"name": "x", "labels": []},
        headers={"Cookie": "sessionid=requester", "Accept": "*/*"},
        timeout=60,
    )
    assert (answer.status_code, "CSRF" in answer.text) == (403, True)


def by_password(harness: CvatHarness, user: str = "requester", password: str = "requester-password") -> Cvat:
    return Cvat(harness.proxy.url, user, Secret(password), Options(organization="acme", segment_size=1))


def test_a_token_that_was_logged_out_is_replaced_by_one_new_login(harness: CvatHarness) -> None:
    platform = by_password(harness)
    platform.check()
    harness.cvat.requester.token = "e" * 40
    assert "as requester" in platform.check()
    assert harness.cvat.count("POST", "/auth/login") == 2
    harness.cvat.requester.token = "0123456789abcdef" * 2 + "01234567"


def test_login_takes_an_e_mail_address_and_refuses_in_the_servers_words(harness: CvatHarness) -> None:
    assert by_password(harness, "requester@example.com").check()
    with pytest.raises(AccessDenied, match="Unable to log in") as caught:
        by_password(harness, password="wrong-canary").check()
    assert "canary" not in f"{caught.value}{caught.value!r}"


def test_a_login_that_gives_no_token_advises_one_of_the_persons_own(harness: CvatHarness) -> None:
    harness.cvat.interfere = lambda asked: Answer(200, {}) if asked.path == "/api/auth/login" else None
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


def test_a_clients_mistake_that_comes_as_500_is_shown_and_not_repeated_here(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = campaign_of(harness, platform)
    (task,) = tasks_of(harness, made)
    job = harness.cvat.state.jobs_of(task.id)[0]
    harness.cvat.seen.clear()
    with pytest.raises(PlatformUnavailable, match="500") as caught:
        platform.server.client.call("assign", "PATCH", f"/api/jobs/{job.id}", json={"assignee": "labeler1"})
    assert "Server Error" in str(caught.value)
    assert harness.cvat.count("PATCH", "/jobs/") == 1, "tasks retry, and they count"


# Organizations and people


def test_an_organization_that_is_not_there_is_told(harness: CvatHarness) -> None:
    with pytest.raises(NotFound, match="nosuch organization does not exist"):
        harness.platform(organization="nosuch").find_campaign("x")


def test_campaigns_of_other_organizations_are_not_found_outside_of_them(harness: CvatHarness) -> None:
    made = harness.platform().create_campaign(order(harness=harness))
    assert harness.platform(organization="").find_campaign(made.title) is None
    assert harness.platform().find_campaign(made.title) is not None


def test_a_labeler_whom_nobody_knows_is_refused_before_anything_is_made(harness: CvatHarness) -> None:
    wanted = order(labeler="stranger@example.com")
    with pytest.raises(PlatformRefused, match=r"no user stranger@example\.com"):
        harness.platform().create_campaign(wanted)
    assert harness.platform().find_campaign(wanted.title) is None


def test_a_labeler_who_is_not_there_is_invited_when_that_is_wanted(harness: CvatHarness) -> None:
    name = unique("new")
    made = harness.platform(invite=True).create_campaign(order(labeler=f"{name}@example.com"))
    (task,) = tasks_of(harness, made)
    assert harness.cvat.state.users[task.assignee].name == name


def test_outside_an_organization_one_labels_oneself(harness: CvatHarness) -> None:
    platform = harness.platform(organization="")
    with pytest.raises(PlatformRefused, match="outside organizations"):
        platform.create_campaign(order(labeler="labeler1@example.com"))
    made = platform.create_campaign(replace(order(labeler="requester@example.com"), labels=harness.labels))
    fill(harness, platform, made.id)
    platform.activate_campaign(made.id)
    assert platform.read_campaign(made.id).state is RemoteState.ACTIVE


def test_an_administrator_assigns_others_outside_of_organizations_too(harness: CvatHarness) -> None:
    options = Options(segment_size=1, labelers=("labeler1", "labeler2"))
    platform = Cvat(harness.proxy.url, "", Secret(harness.cvat.admin.token), options)
    made = campaign_of(harness, platform, 2)
    platform.activate_campaign(made.id)
    assert [one.name for one in platform.read_campaign(made.id).labelers] == ["labeler1", "labeler2"]


def test_an_administrator_finds_a_labeler_by_an_address_that_is_nothing_like_the_name(harness: CvatHarness) -> None:
    harness.cvat.labeler2.email = "Bob@Example.com"
    platform = Cvat(harness.proxy.url, "", Secret(harness.cvat.admin.token), Options())
    made = platform.create_campaign(order(labeler="bob@example.com"))
    (task,) = tasks_of(harness, made)
    assert task.assignee == harness.cvat.labeler2.id


def test_jobs_are_shared_out_evenly_and_an_interrupted_activation_goes_on(harness: CvatHarness) -> None:
    platform = harness.platform(labelers=["labeler1", "labeler2"])
    made = campaign_of(harness, platform, 5)
    harness.proxy.add(Rule(Fault.RESET, method="PATCH", nth=(4,)))
    with pytest.raises(PlatformUnavailable):
        platform.activate_campaign(made.id)
    assert platform.read_campaign(made.id).state is RemoteState.CREATED
    platform.activate_campaign(made.id)
    now = platform.read_campaign(made.id)
    assert now.state is RemoteState.ACTIVE
    assert [(one.name, one.total) for one in now.labelers] == [("labeler1", 3), ("labeler2", 2)]
    assert harness.cvat.count("PATCH", "/jobs/") == 5


# Projects


def test_two_projects_of_one_name_are_refused_instead_of_guessed_between(harness: CvatHarness) -> None:
    title = unique("twice")
    for _ in range(2):
        harness.platform().server.create_project(title, [])
    with pytest.raises(PlatformRefused, match="2 projects of that name"):
        harness.platform().find_campaign(title)


def test_a_schema_becomes_labels_with_types_colours_and_attributes(harness: CvatHarness) -> None:
    from labelwright.domain import Attribute

    schema = LabelSchema(
        (
            Label("boat", Geometry.BOX, color="#ff0000", attributes=(Attribute("kind", ("barge", "ferry"), "ferry"),)),
            Label("shore", Geometry.POLYGON, attributes=(Attribute("note"),)),
            Label("night", Geometry.IMAGE),
            Label("other", Geometry.ANY),
        )
    )
    made = harness.platform().create_campaign(replace(order(harness=harness), labels=schema))
    labels = harness.cvat.state.projects[project(made)].labels
    assert [(one.name, one.type) for one in labels] == [
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
def test_values_that_cvat_cannot_keep_are_refused_before_anything_is_made(
    harness: CvatHarness, values: tuple[str, ...]
) -> None:
    labels = LabelSchema((Label("car", attributes=(Attribute("plate", values),)),))
    wanted = replace(order(harness=harness), labels=labels)
    with pytest.raises(PlatformRefused, match="the values of attribute 'plate'"):
        harness.platform().create_campaign(wanted)
    assert harness.cvat.count("POST", "/projects") == 0


def test_campaigns_share_a_project_and_what_is_missing_in_it_is_added(harness: CvatHarness) -> None:
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
    found = platform.find_campaign(first.title)
    assert found is not None
    assert found.id == first.id
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
    made = harness.platform().create_campaign(order(harness=harness))
    guide = harness.cvat.state.projects[project(made)].guide
    assert guide is not None
    assert harness.cvat.state.guides[guide]["markdown"] == "Label what floats."


def test_a_server_without_guides_takes_the_campaign_all_the_same(harness: CvatHarness) -> None:
    harness.cvat.interfere = lambda asked: (
        Answer(404, b"no such page", kind="text/html") if "guides" in asked.path else None
    )
    assert harness.platform().create_campaign(order(harness=harness))


# Jobs


def test_a_stage_is_moved_without_losing_the_state(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = campaign_of(harness, platform)
    (task,) = tasks_of(harness, made)
    job = harness.cvat.state.jobs_of(task.id)[0]
    as_requester(harness, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    as_requester(harness, "PATCH", f"/api/jobs/{job.id}", {"stage": "validation"})
    assert job.state == "new", "as the real one does it"
    job.state = "completed"
    platform.move_job(job.id, Stage.ACCEPTANCE)
    assert (job.stage, job.state) == ("acceptance", "completed")
    platform.move_job(job.id, Stage.ANNOTATION, JobState.REJECTED)
    assert (job.stage, job.state) == ("annotation", "rejected")


def as_requester(harness: CvatHarness, method: str, path: str, said: Any) -> Any:
    return as_labeler(harness.cvat, method, path, said, "requester")


def test_the_labelers_completed_is_not_the_tasks(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    told = harness.cvat.state.task_json(task)
    assert (told["jobs"]["completed"], told["status"]) == (0, "annotation"), "as the real one counts"
    assert harness.platform().read_campaign(job.campaign.id).state is RemoteState.COMPLETED
    strict = harness.platform(done_means="accepted")
    now = strict.read_campaign(job.campaign.id)
    assert (now.state, now.done, now.total) == (RemoteState.ACTIVE, 0, 3)
    assert all_labels(strict, job.campaign.id) == []


def test_work_is_reviewed_rejected_corrected_and_accepted(harness: CvatHarness) -> None:
    platform = harness.platform(done_means="accepted", reviewers=["labeler2"])
    made = campaign_of(harness, platform)
    platform.activate_campaign(made.id)
    images = [image.id for image in platform.list_campaign_images(made.id)]
    label_images(harness.cvat, project(made), {image: [BOX] for image in images})
    assert platform.request_review(made.id) == 3
    (task,) = tasks_of(harness, made)
    jobs = harness.cvat.state.jobs_of(task.id)
    assert {(job.stage, job.state, job.assignee) for job in jobs} == {("validation", "new", harness.cvat.labeler2.id)}
    for job, verdict in zip(jobs, ["completed", "rejected", "completed"], strict=True):
        as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": verdict}, "labeler2")
    assert platform.settle_review(made.id) == (2, 1)
    assert (jobs[1].stage, jobs[1].state, jobs[1].assignee) == ("annotation", "rejected", harness.cvat.labeler1.id)
    now = platform.read_campaign(made.id)
    assert (now.state, now.done) == (RemoteState.ACTIVE, 2)
    label_images(harness.cvat, project(made), {images[1]: []})
    platform.request_review(made.id)
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{jobs[1].id}", {"state": "completed"}, "labeler2")
    assert platform.settle_review(made.id) == (1, 0)
    assert platform.read_campaign(made.id).state is RemoteState.FINISHED
    assert len(all_labels(platform, made.id)) == 3


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOSE_ANSWER])
@pytest.mark.parametrize("broken", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("done_means", ["labeled", "accepted"])
def test_a_reopening_that_was_interrupted_is_gone_on_with(
    harness: CvatHarness, done_means: str, broken: int, fault: Fault
) -> None:
    platform = harness.platform(done_means=done_means)
    made = campaign_of(harness, platform)
    platform.activate_campaign(made.id)
    (task,) = tasks_of(harness, made)
    for job in harness.cvat.state.jobs_of(task.id):
        job.state, job.stage = "completed", "acceptance" if done_means == "accepted" else "annotation"
    harness.proxy.add(Rule(fault, method="PATCH", nth=(broken,)))
    with pytest.raises(PlatformUnavailable):
        platform.reopen_campaign(made.id)
    platform.reopen_campaign(made.id)
    now = {(job.stage, job.state) for job in harness.cvat.state.jobs_of(task.id)}
    assert now == {("annotation", "in progress")}
    platform.reopen_campaign(made.id)  # and once more it does nothing
    assert platform.read_campaign(made.id).state is RemoteState.ACTIVE


def test_a_job_that_is_with_its_reviewer_goes_back_to_its_labeler_when_it_is_reopened(harness: CvatHarness) -> None:
    platform = harness.platform(done_means="accepted", labelers=["labeler1"], reviewers=["labeler2"])
    made = campaign_of(harness, platform)
    platform.activate_campaign(made.id)
    (task,) = tasks_of(harness, made)
    jobs = harness.cvat.state.jobs_of(task.id)
    for job in jobs:
        job.stage, job.state, job.assignee = "acceptance", "completed", harness.cvat.labeler2.id
    platform.reopen_campaign(made.id)
    assert {job.assignee for job in jobs} == {harness.cvat.labeler1.id}


def test_a_job_of_another_kind_is_nobodys_work(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)

    def with_ground_truth(asked: Any) -> Answer | None:
        if asked.path != "/api/jobs":
            return None
        harness.cvat.interfere = lambda _: None
        told = harness.cvat.answer(asked).body
        truth = {**told["results"][0], "id": 999_999, "type": "ground_truth", "state": "new", "stage": "annotation"}
        harness.cvat.interfere = with_ground_truth
        return Answer(200, {**told, "count": told["count"] + 1, "results": [*told["results"], truth]})

    harness.cvat.interfere = with_ground_truth
    assert harness.platform().read_campaign(job.campaign.id).state is RemoteState.COMPLETED


# Labels


def test_frames_map_back_by_name_whatever_their_order(harness: CvatHarness) -> None:
    platform = harness.platform(sorting="predefined", segment_size=0)
    made = platform.create_campaign(order(harness=harness))
    names = ["c.png", "a.png", "b.png"]
    platform.send_images(made.id, 1, [to_send(name) for name in names])
    wait_for_batch(platform, made.id, 1)
    (task,) = tasks_of(harness, made)
    task.frames.reverse()
    ids = {image.name: image.id for image in platform.list_campaign_images(made.id)}
    assert ids == {"b.png": f"{task.id}/0", "a.png": f"{task.id}/1", "c.png": f"{task.id}/2"}
    platform.activate_campaign(made.id)
    label_images(harness.cvat, project(made), {ids["a.png"]: [BOX]})
    assert {one.name: len(one.annotations) for one in all_labels(platform, made.id)} == {
        "a.png": 1,
        "b.png": 0,
        "c.png": 0,
    }


def test_images_in_two_jobs_come_once_and_count_when_both_are_done(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=2, overlap=1)
    made = campaign_of(harness, platform)
    platform.activate_campaign(made.id)
    (task,) = tasks_of(harness, made)
    first, second = harness.cvat.state.jobs_of(task.id)
    assert (first.stop, second.start) == (1, 1)
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{first.id}", {"state": "completed"})
    now = platform.read_campaign(made.id)
    assert (now.done, now.total) == (1, 3)
    assert [one.remote_id for one in all_labels(platform, made.id)] == [f"{task.id}/0"]
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{second.id}", {"state": "completed"})
    assert len(all_labels(platform, made.id)) == platform.read_campaign(made.id).done == 3


def test_a_track_that_was_left_on_the_last_image_of_a_job_is_not_seen_in_the_next_one(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=2)
    made = campaign_of(harness, platform, 4)
    platform.activate_campaign(made.id)
    (task,) = tasks_of(harness, made)
    first, second = harness.cvat.state.jobs_of(task.id)
    label = harness.cvat.state.projects[project(made)].labels[0].id
    key = {"type": "rectangle", "frame": 1, "points": [1, 2, 11, 12], "outside": False, "attributes": []}
    drawn = {"frame": 1, "label_id": label, "attributes": [], "shapes": [key]}
    said = {"shapes": [], "tags": [], "tracks": [drawn]}
    as_labeler(harness.cvat, "PUT", f"/api/jobs/{first.id}/annotations", said)
    for job in (first, second):
        as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    for labels_page in (500, 2):  # the task as a whole, and job by job
        images = all_labels(harness.platform(segment_size=2, labels_page=labels_page), made.id)
        assert [len(image.annotations) for image in images] == [0, 1, 0, 0]


def test_a_malformed_shape_that_blocks_even_the_reading_of_its_task_leaves_its_jobs_to_be_read(
    harness: CvatHarness,
) -> None:
    """With an overlap CVAT compares the shapes of two jobs, and answers 500 where one is no shape."""
    platform = harness.platform(segment_size=2, overlap=1)
    made = campaign_of(harness, platform)
    platform.activate_campaign(made.id)
    (task,) = tasks_of(harness, made)
    first, second = harness.cvat.state.jobs_of(task.id)
    label = harness.cvat.state.projects[project(made)].labels[0].id
    good = {"type": "rectangle", "frame": 1, "label_id": label, "points": [1, 2, 11, 12], "attributes": []}
    for job, shapes in ((first, [good, {**good, "points": [1, 2, 33]}]), (second, [good, {**good, "frame": 2}])):
        said = {"shapes": shapes, "tags": [], "tracks": []}
        as_labeler(harness.cvat, "PUT", f"/api/jobs/{job.id}/annotations", said)
        as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    blocked, failing = f"/api/tasks/{task.id}/annotations", Answer(500, b"<h1>Server Error (500)</h1>")
    harness.cvat.interfere = lambda asked: failing if asked.path == blocked else None
    page = platform.read_labels(made.id)
    assert [(image.remote_id, len(image.annotations)) for image in page.images] == [
        (f"{task.id}/0", 0),
        (f"{task.id}/1", 1),
        (f"{task.id}/2", 1),
    ]
    assert any("rectangle: 3 numbers" in one.detail for one in page.left_out)
    assert any(f"job of task {task.id}, job {second.id}, frame 1" in one.detail for one in page.left_out)


def test_a_malformed_shape_is_named_the_rest_is_delivered_and_exports_work_again_without_it(
    harness: CvatHarness,
) -> None:
    platform = harness.platform(segment_size=0)
    made = campaign_of(harness, platform)
    platform.activate_campaign(made.id)
    (task,) = tasks_of(harness, made)
    (job,) = harness.cvat.state.jobs_of(task.id)
    labels = {label.name: label.id for label in harness.cvat.state.projects[project(made)].labels}
    good = shape_of(BOX, 0, labels)
    bad = {**good, "frame": 1, "points": [1, 2, 33]}
    lost = {**good, "frame": 9}
    said = {"shapes": [good, bad, lost], "tags": [], "tracks": []}
    as_labeler(harness.cvat, "PUT", f"/api/jobs/{job.id}/annotations", said)
    as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    with pytest.raises(PlatformRefused, match="not enough values to unpack") as caught:
        platform.export("tasks", task.id, "COCO 1.0", io.BytesIO(), deadline=20)
    assert "find malformed shapes" in caught.value.advice
    page = platform.read_labels(made.id)
    assert [len(image.annotations) for image in page.images] == [1, 0, 0]
    assert len(page.left_out) == 2
    assert "rectangle: 3 numbers instead of 4" in page.left_out[0].detail + page.left_out[1].detail
    removed = platform.remove_malformed(made.id)
    assert [f"job {job.id}" in one for one in removed] == [True, True]
    file = io.BytesIO()
    platform.export("tasks", task.id, "COCO 1.0", file)
    assert zipfile.ZipFile(file).namelist() == ["annotations/instances_default.json"]


def test_a_deleted_frame_is_no_image_without_objects_and_is_told_until_it_is_restored(harness: CvatHarness) -> None:
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


def test_a_task_of_deleted_frames_alone_has_a_page_and_leads_to_the_next_one(harness: CvatHarness) -> None:
    platform = harness.platform(images_per_task=1)
    made = campaign_of(harness, platform, 2)
    platform.activate_campaign(made.id)
    first, second = tasks_of(harness, made)
    for task in (first, second):
        for job in harness.cvat.state.jobs_of(task.id):
            as_labeler(harness.cvat, "PATCH", f"/api/jobs/{job.id}", {"state": "completed"})
    first.deleted_frames = [0]
    page = platform.read_labels(made.id)
    assert (page.images, [one.remote_id for one in page.excluded]) == ((), [f"{first.id}/0"])
    following = platform.read_labels(made.id, page.next)
    assert [one.remote_id for one in following.images] == [f"{second.id}/0"]
    second.deleted_frames = [0]
    now = platform.read_campaign(made.id)
    assert (now.state, now.done, now.total, now.gone) == (RemoteState.COMPLETED, 2, 2, 2)


def test_images_of_a_deleted_task_are_gone_and_those_that_are_only_not_listed_are_not(harness: CvatHarness) -> None:
    platform = harness.platform(images_per_task=1)
    made = campaign_of(harness, platform, 2)
    first, second = tasks_of(harness, made)
    images = [f"{first.id}/0", f"{second.id}/0"]
    assert platform.deleted_images(made.id, images) == {}
    platform.server.delete_task(first.id)
    assert platform.deleted_images(made.id, images) == {images[0]: f"task {first.id} was deleted in CVAT"}


def test_labels_of_a_project_are_told_with_their_attributes(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = campaign_of(harness, platform, 1)
    told = platform.list_labels(made.id)
    labels = harness.cvat.state.projects[project(made)].labels
    assert (set(told.names), told.shared) == ({label.name for label in labels}, False)
    labels.pop()
    assert set(platform.list_labels(made.id).names) == {label.name for label in labels}


# Predictions


def test_predictions_replace_predictions_and_leave_peoples_work_alone(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=0)
    made = campaign_of(harness, platform)
    (task,) = tasks_of(harness, made)
    (job,) = harness.cvat.state.jobs_of(task.id)
    labels = {label.name: label.id for label in harness.cvat.state.projects[project(made)].labels}
    as_requester(
        harness, "PATCH", f"/api/jobs/{job.id}/annotations?action=create", {"shapes": [shape_of(BOX, 0, labels)]}
    )

    def predict(*annotations: Annotation) -> None:
        platform.put_predictions(made.id, [LabeledImage("0.png", Size(40, 30), annotations, f"{task.id}/0")])

    predict(BOX, Annotation("wood", WholeImage()))
    predict(Annotation("plastic", Box(3, 3, 9, 9), 0.25))
    assert [(one.get("source"), one["points"]) for one in job.shapes.values()] == [
        (None, [1, 2.5, 11, 12]),
        ("auto", [3, 3, 9, 9]),
    ]
    assert job.tags == {}
    if harness.cvat.dialect == "requests":
        assert [one.get("score") for one in job.shapes.values()] == [None, 0.25]
    with pytest.raises(PlatformRefused, match="no label 'glass'"):
        predict(Annotation("glass", Box(3, 3, 9, 9)))
    job.state = "in progress"
    with pytest.raises(PlatformRefused, match="labelers have started"):
        predict(BOX)


def test_predictions_on_images_in_two_jobs_are_replaced_in_both(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=2, overlap=1)
    made = campaign_of(harness, platform)
    (task,) = tasks_of(harness, made)
    for box in (Box(1, 1, 9, 9), Box(20, 3, 30, 9)):
        said = (Annotation("plastic", box),)
        platform.put_predictions(made.id, [LabeledImage("1.png", Size(40, 30), said, f"{task.id}/1")])
    for job in harness.cvat.state.jobs_of(task.id):
        assert [one["points"] for one in job.shapes.values()] == [[20, 3, 30, 9]]


def test_many_predictions_go_in_by_several_requests_and_a_broken_off_one_is_begun_anew(
    harness: CvatHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelwright.platforms.cvat.predictions.OBJECTS_A_REQUEST", 2)
    platform = harness.platform(segment_size=0)
    made = campaign_of(harness, platform)
    (task,) = tasks_of(harness, made)
    (job,) = harness.cvat.state.jobs_of(task.id)
    boxes = tuple(Annotation("plastic", Box(n, 1, n + 5, 9)) for n in range(5))
    images = [LabeledImage("0.png", Size(40, 30), boxes, f"{task.id}/0")]
    harness.proxy.add(Rule(Fault.RESET, method="PATCH", nth=(2,)))
    with pytest.raises(PlatformUnavailable):
        platform.put_predictions(made.id, images)
    assert len(job.shapes) == 2
    platform.put_predictions(made.id, images)
    assert sorted(one["points"][0] for one in job.shapes.values()) == [0, 1, 2, 3, 4]
    told = [len(json.loads(one.body)["shapes"]) for one in harness.cvat.seen if one.method == "PATCH"]
    assert told == [2, 2, 2, 2, 1]  # two, taken out again, and all of them


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

    def steal(asked: Any) -> None:
        fetches = asked.query.get("action") == "download" or asked.path.endswith("/download")
        if fetches and not stolen:
            stolen.append(asked.path)
            harness.cvat.state.exports.clear()

    harness.cvat.interfere = steal
    assert exported(harness, "tasks", task.id)
    assert stolen


@pytest.mark.parametrize(
    "gone",
    [
        Answer(400, "Unknown export request id"),
        Answer(400, "The export process is not finished"),
        Answer(404, "The exported file has expired, please retry exporting"),
    ],
    ids=lambda gone: gone.body,
)
def test_a_file_that_expired_is_made_anew(harness: CvatHarness, gone: Answer) -> None:
    """In the words of newer servers' source."""
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    told = []

    def expire(asked: Any) -> Answer | None:
        fetches = asked.query.get("action") == "download" or asked.path.endswith("/download")
        if not fetches or told:
            return None
        told.append(gone)
        return gone

    harness.cvat.interfere = expire
    assert exported(harness, "tasks", task.id)
    assert told


@pytest.mark.parametrize("harness", ["requests"], indirect=True)
def test_an_export_that_the_server_puts_into_a_cloud_storage_is_told(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    said = {"status": "finished", "id": "x", "message": "", "result_url": None}
    harness.cvat.interfere = lambda asked: Answer(200, said) if "/api/requests/" in asked.path else None
    with pytest.raises(PlatformRefused, match="went to a cloud storage"):
        exported(harness, "tasks", task.id)


def test_a_download_that_broke_off_is_gone_and_the_next_try_begins_anew(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    harness.proxy.add(Rule(Fault.TRUNCATED, path="download", nth=(1,)))
    with pytest.raises(PlatformUnavailable):
        exported(harness, "tasks", task.id)
    assert exported(harness, "tasks", task.id)


def test_an_export_that_is_under_way_already_is_waited_for_and_no_other_one(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    if harness.cvat.dialect == "requests":
        client, said = harness.platform().server.client, {"format": "COCO 1.0", "save_images": "false"}
        for place in (f"projects/{project(job.campaign)}", f"tasks/{task.id}"):
            client.ask("begin", "POST", f"/api/{place}/dataset/export", params=said)
    harness.cvat.seen.clear()
    exported(harness, "projects", project(job.campaign))
    fetched = [one.query.get("rq_id", one.path) for one in harness.cvat.seen if "download" in f"{one.path}{one.query}"]
    assert len(fetched) == 1
    assert "project" in fetched[0]
    assert exported(harness, "tasks", task.id) == ["annotations/instances_default.json"]


def test_a_request_that_expired_before_it_was_looked_at_is_begun_anew(harness: CvatHarness) -> None:
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)
    expired = []

    def expire(asked: Any) -> None:
        if asked.path.startswith("/api/requests/export") and not expired:
            expired.append(asked.path)
            harness.cvat.state.exports.clear()

    harness.cvat.interfere = expire
    assert exported(harness, "tasks", task.id)
    assert bool(expired) == (harness.cvat.dialect == "requests")


def test_an_export_in_a_format_that_is_none_is_refused(harness: CvatHarness) -> None:
    job = make_job(harness, done=1)
    (task,) = tasks_of(harness, job.campaign)
    with pytest.raises(PlatformRefused, match="Unknown format"):
        harness.platform().export("tasks", task.id, "Nope 1.0", io.BytesIO())


def test_an_export_that_no_way_leads_to_is_refused_in_the_words_of_the_first_way(harness: CvatHarness) -> None:
    """A newer server answers 405 to a format that is switched off, and 410 to the way of older ones."""
    job = make_job(harness, done=3)
    (task,) = tasks_of(harness, job.campaign)

    def refuse(asked: Any) -> Answer | None:
        if "/dataset" not in asked.path and "format" not in asked.query:
            return None
        return Answer(405, ["Format is not available"]) if asked.method == newer else Answer(410, "Use POST instead.")

    newer = "POST" if harness.cvat.dialect == "requests" else "GET"
    harness.cvat.interfere = refuse
    with pytest.raises(PlatformRefused, match="Format is not available"):
        exported(harness, "tasks", task.id)


def test_an_export_that_takes_too_long_is_given_up_at_its_deadline(harness: CvatHarness) -> None:
    job = make_job(harness, done=1)
    (task,) = tasks_of(harness, job.campaign)
    harness.cvat.held = True
    with pytest.raises(PlatformUnavailable, match=r"not ready within 0\.6 seconds"):
        harness.platform().export("tasks", task.id, "COCO 1.0", io.BytesIO(), deadline=0.6)


# Webhooks


def test_a_webhook_is_made_once_and_its_notes_are_told_from_forged_ones(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = campaign_of(harness, platform)
    target = "http://127.0.0.1:9/hook"
    first = platform.put_webhook(made.id, target)
    assert platform.put_webhook(made.id, target) == first, "said again it makes no second one"
    harness.cvat.notes.clear()
    platform.activate_campaign(made.id)
    assert harness.cvat.notes
    for _, headers, body in harness.cvat.notes:
        note = platform.open_webhook(headers, body)
        assert (note.kind, note.campaign) == ("update:job", made.id)
        for forged in (
            {**headers, "x-signature-256": "sha256=" + "0" * 64},
            {name: value for name, value in headers.items() if name != "x-signature-256"},
        ):
            with pytest.raises(AccessDenied):
                platform.open_webhook(forged, body)
        with pytest.raises(AccessDenied):
            platform.open_webhook(headers, body.replace(b"update:job", b"delete:job"))


def test_a_note_that_comes_twice_has_one_id_and_another_one_another(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = campaign_of(harness, platform)
    platform.put_webhook(made.id, "http://127.0.0.1:9/hook")
    harness.cvat.notes.clear()
    platform.activate_campaign(made.id)
    ids = [platform.open_webhook(headers, body).id for _, headers, body in harness.cvat.notes]
    assert len(set(ids)) == len(ids)
    again = [platform.open_webhook(headers, body).id for _, headers, body in reversed(harness.cvat.notes)]
    assert again == ids[::-1], "in whatever order they come"


def test_what_notes_do_not_tell_is_seen_all_the_same(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = campaign_of(harness, platform)
    platform.put_webhook(made.id, "http://127.0.0.1:9/hook")  # nobody listens there: every note is lost
    platform.activate_campaign(made.id)
    images = [image.id for image in platform.list_campaign_images(made.id)]
    label_images(harness.cvat, project(made), {image: [] for image in images})
    assert platform.read_campaign(made.id).state is RemoteState.COMPLETED


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


def test_a_project_cannot_be_deleted_while_something_is_imported_and_can_later(harness: CvatHarness) -> None:
    platform = harness.platform()
    made = platform.create_campaign(order(harness=harness))
    harness.cvat.held = True
    platform.send_images(made.id, 1, [to_send("0.png")])
    with pytest.raises(PlatformUnavailable, match="500"):
        platform.delete_campaign(made.id)
    harness.cvat.held = False
    wait_for_batch(platform, made.id, 1)
    platform.delete_campaign(made.id)
    assert platform.find_campaign(made.title) is None


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
    for one in client.all("list", "/api/jobs", {"project_id": project(job.campaign)}):
        read.append(one.whole("id"))
        if len(read) == 4:
            harness.cvat.state.jobs.pop(min(harness.cvat.state.jobs))
            for id in [id for id, kept in harness.cvat.state.jobs.items() if id not in read and kept.task]:
                if harness.cvat.state.tasks[harness.cvat.state.jobs[id].task].project == project(job.campaign):
                    del harness.cvat.state.jobs[id]
    assert len(read) == 4


def test_a_thousand_images_cost_few_requests(harness: CvatHarness) -> None:
    platform = harness.platform(segment_size=50, labelers=["labeler1", "labeler2"])
    made = platform.create_campaign(order(harness=harness))
    content = picture("any.png")
    images = [
        ImageToSend(replace(to_send("any.png").image, name=f"river/{number:04}.png"), lambda: io.BytesIO(content))
        for number in range(1000)
    ]
    harness.cvat.seen.clear()
    for batch in (1, 2):
        platform.send_images(made.id, batch, images[(batch - 1) * 500 : batch * 500])
    for batch in (1, 2):
        assert wait_for_batch(platform, made.id, batch).state is SetState.FINISHED
    assert len(list(platform.list_campaign_images(made.id))) == 1000
    assert len(harness.cvat.seen) < 80
    harness.cvat.seen.clear()
    platform.activate_campaign(made.id)
    assert [one.total for one in platform.read_campaign(made.id).labelers] == [500, 500]
    assert harness.cvat.count("PATCH", "/jobs/") == 20
    for job in harness.cvat.state.jobs.values():
        job.state = "completed"
    harness.cvat.seen.clear()
    assert len(all_labels(platform, made.id)) == platform.read_campaign(made.id).done == 1000
    assert len(harness.cvat.seen) < 30


@pytest.mark.parametrize("version", ["2.15.0", "2.80.0", "develop", ""])
def test_what_a_server_answers_decides_on_its_dialect_whatever_it_says_of_itself(
    harness: CvatHarness, version: str
) -> None:
    said, harness.cvat.version = harness.cvat.version, version
    try:
        job = make_job(harness, done=3)  # imported, and waited for
        (task,) = tasks_of(harness, job.campaign)
        assert exported(harness, "tasks", task.id) == ["annotations/instances_default.json"]
    finally:
        harness.cvat.version = said
