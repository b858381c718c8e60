"""What is easily done wrong with Label Studio, one test each, against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

from labelwright.domain import Annotation, Box, Geometry, ImageState, Label, LabeledImage, LabelSchema, Polygon, Size
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused
from labelwright.platforms.label_studio.adapter import LabelStudio, Options
from labelwright.platforms.label_studio.annotations import to_result
from labelwright.platforms.label_studio.client import where
from labelwright.platforms.label_studio.label_config import label_config, read_config
from labelwright.platforms.label_studio.projects import project_title, record_in
from labelwright.platforms.protocol import CampaignOrder, ImageToSend, RemoteState, Secret
from tests.platforms.contract import NAMES, all_labels, to_send

from .fake_server.server import FakeLabelStudio
from .fake_server.state import Project, Task
from .harness import call, submit

SCHEMA = LabelSchema((Label("boat"), Label("shore", Geometry.POLYGON)))
CONFIG = read_config(label_config(SCHEMA))
BOAT = to_result([Annotation("boat", Box(4, 3, 20, 15))], Size(40, 30), CONFIG)


@pytest.fixture
def server() -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as server:
        yield server


@pytest.fixture
def platform(server: FakeLabelStudio) -> LabelStudio:
    return adapter(server)


def adapter(server: FakeLabelStudio, **options: Any) -> LabelStudio:
    return LabelStudio(server.url, Secret(server.pat), Options(**options))


def order(title: str = "river-2026", **fields: Any) -> CampaignOrder:
    return CampaignOrder(title, SCHEMA, "ann@example.com", **fields)


def campaign(platform: LabelStudio, *names: str, active: bool = True) -> tuple[str, dict[str, str]]:
    """Creates a campaign with images. Returns its id, and the ids of the images by name."""
    created = platform.create_campaign(order()).id
    platform.send_images(created, 1, [to_send(name) for name in names or NAMES[:3]])
    if active:
        platform.activate_campaign(created)
    return created, {image.name: image.id for image in platform.list_campaign_images(created)}


def project_of(server: FakeLabelStudio) -> Project:
    (project,) = server.world.projects.values()
    return project


# Images


def test_every_file_has_a_form_field_of_its_own(server: FakeLabelStudio, platform: LabelStudio) -> None:
    campaign(platform)
    (upload,) = [item for item in server.made("POST", ".*/import") if item.files]
    assert upload.file_count == len(upload.files) == 3
    assert upload.query == {"commit_to_project": "false"}


def test_a_request_has_a_hundred_files_at_most(server: FakeLabelStudio, platform: LabelStudio) -> None:
    created = platform.create_campaign(order()).id
    platform.send_images(created, 1, [to_send(f"{number}.png") for number in range(130)])
    assert [item.file_count for item in server.made("POST", ".*/import") if item.files] == [100, 30]
    assert platform.read_campaign(created).total == 130


def test_large_files_are_sent_in_several_requests(server: FakeLabelStudio) -> None:
    platform = adapter(server, request_megabytes=1)
    data = bytes(700_000)
    large = [replace(item.image, bytes=len(data)) for item in map(to_send, NAMES[:3])]
    created = platform.create_campaign(order()).id
    platform.send_images(created, 1, [ImageToSend(image, lambda: BytesIO(data)) for image in large])
    assert [item.file_count for item in server.made("POST", ".*/import") if item.files] == [1, 1, 1]


def test_files_of_one_name_in_two_folders_stay_two_images(platform: LabelStudio, server: FakeLabelStudio) -> None:
    names = ("a/photo 1.png", "b/photo 1.png", "a/photo_1.png", "Straße – über.png")
    _, ids = campaign(platform, *names)
    assert set(ids) == set(names)
    assert len({task.data["image"] for task in server.world.tasks.values()}) == 4


def test_equal_files_under_two_names_are_uploaded_once(platform: LabelStudio, server: FakeLabelStudio) -> None:
    first = to_send("a.png")
    second = replace(first, image=replace(first.image, name="b.png"))
    created = platform.create_campaign(order()).id
    platform.send_images(created, 1, [first, second])
    assert platform.read_campaign(created).total == 2
    assert len(server.world.files) == 1


def test_files_whose_tasks_were_not_created_are_not_uploaded_again(
    platform: LabelStudio, server: FakeLabelStudio
) -> None:
    created, _ = campaign(platform, active=False)
    for task in list(server.world.tasks):
        server.world.delete_task(task)
    platform.send_images(created, 1, [to_send(name) for name in NAMES[:3]])
    assert (len(server.world.tasks), len(server.world.files)) == (3, 3)


@pytest.mark.parametrize("when", ["sent again", "activated"])
def test_tasks_that_came_late_and_twice_are_removed(platform: LabelStudio, server: FakeLabelStudio, when: str) -> None:
    created, ids = campaign(platform, active=False)
    for task in list(server.world.tasks.values()):
        number = server.world.next_id("task")
        server.world.tasks[number] = Task(number, task.project, dict(task.data), {}, number)
    if when == "sent again":
        platform.send_images(created, 1, [to_send(name) for name in NAMES[:3]])
    else:
        platform.activate_campaign(created)
    assert {image.id for image in platform.list_campaign_images(created)} == set(ids.values())


def test_of_two_tasks_of_an_image_the_labeled_one_stays(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform, "a.png", active=False)
    first = server.world.tasks[int(ids["a.png"])]
    number = server.world.next_id("task")
    server.world.tasks[number] = Task(number, first.project, dict(first.data), {}, number)
    submit(server, str(number), BOAT)
    platform.activate_campaign(created)
    assert list(server.world.tasks) == [number]


def test_a_format_that_the_server_refuses_is_named(platform: LabelStudio) -> None:
    image = to_send("a.tiff")
    created = platform.create_campaign(order()).id
    with pytest.raises(PlatformRefused, match=r"'a\.tiff' is TIFF; accepted are BMP, GIF, JPEG, PNG, WEBP"):
        platform.send_images(created, 1, [replace(image, image=replace(image.image, format="TIFF"))])


def test_images_are_shown_from_their_addresses(server: FakeLabelStudio) -> None:
    platform = adapter(server, images="address")
    created = platform.create_campaign(order()).id
    image = replace(to_send("a.png"), url=Secret("https://images.example.com/a.png"))
    platform.send_images(created, 1, [image])
    (task,) = server.world.tasks.values()
    assert (task.data["image"], task.data["lw_name"]) == ("https://images.example.com/a.png", "a.png")
    assert not server.world.files
    with pytest.raises(PlatformRefused, match="no address that browsers can reach"):
        platform.send_images(created, 1, [to_send("b.png")])


# Errors


def test_a_page_of_html_is_a_missing_call_and_no_missing_object(platform: LabelStudio) -> None:
    with pytest.raises(PlatformRefused, match="Community Edition lacks") as caught:
        platform._client.call("assign tasks", "POST", "/api/projects/1/tasks/assignees", json={})
    assert not isinstance(caught.value, NotFound)
    with pytest.raises(NotFound):
        platform.read_campaign("1")


@pytest.mark.parametrize(
    ("send", "message"),
    [
        (
            lambda platform: platform._client.task_page("list", 1, filters=[where("nope", "equal", "x")]),
            "Cannot resolve keyword 'nope'",
        ),
        (
            lambda platform: platform._client.call(
                "annotate", "POST", "/api/tasks/1/annotations/", json={"result": "x"}
            ),
            "can't be parse",
        ),
    ],
)
def test_a_mistake_of_ours_that_comes_as_500_is_not_repeated(platform: LabelStudio, send: Any, message: str) -> None:
    campaign(platform)
    with pytest.raises(PlatformRefused, match=message):
        send(platform)


def test_faults_of_fields_are_shown(platform: LabelStudio) -> None:
    with pytest.raises(PlatformRefused, match="title: Ensure this field has no more than 50"):
        platform._client.call("create", "POST", "/api/projects", json={"title": "x" * 51})


def test_nothing_is_sent_with_put(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform)
    for image in ids.values():
        submit(server, image, BOAT)
    platform.finish_campaign(created)
    platform.reopen_images(created, dict.fromkeys(ids.values(), "look again"), "call")
    platform.change_campaign(created, order(instructions="More."))
    assert {item.method for item in server.calls} == {"GET", "POST", "PATCH"}
    assert project_of(server).created_by == 1


# Tokens


def test_an_access_token_is_refreshed_before_and_after_its_end(server: FakeLabelStudio, platform: LabelStudio) -> None:
    server.world.access_seconds = 30.5
    platform.check()
    server.world.access.clear()  # as after its end, which clocks see at different times
    platform.check()
    assert len(server.made("POST", "/api/token/refresh")) >= 2


def test_a_token_that_was_rotated_is_denied(server: FakeLabelStudio, platform: LabelStudio) -> None:
    server.world.pats.clear()
    with pytest.raises(AccessDenied, match="Create another personal access token"):
        platform.check()


def test_a_legacy_token_works_where_it_is_allowed(server: FakeLabelStudio) -> None:
    legacy = LabelStudio(server.url, Secret(server.world.users[1].legacy))
    with pytest.raises(AccessDenied, match="Use a personal access token"):
        legacy.check()
    server.world.api_tokens["legacy_api_tokens_enabled"] = True
    assert legacy.check().startswith("Label Studio 1.23.2")
    assert not server.made("POST", "/api/token/refresh")


# Projects


@pytest.mark.parametrize("title", ["ab", "abc", "x" * 50, "ш" * 50, "y" * 51, "z" * 300])
def test_titles_of_any_length_become_titles_of_projects(
    platform: LabelStudio, server: FakeLabelStudio, title: str
) -> None:
    created = platform.create_campaign(order(title))
    found = platform.find_campaign(title)
    assert found is not None
    assert (found.id, found.title) == (created.id, title)
    assert project_of(server).title == project_title(title)
    assert platform.find_campaign(title + "x") is None


def test_titles_that_begin_alike_get_different_projects(platform: LabelStudio) -> None:
    first, second = (platform.create_campaign(order("river " * 12 + end)) for end in ("a", "b"))
    assert first.id != second.id


def test_of_two_projects_from_one_creation_one_stays(platform: LabelStudio, server: FakeLabelStudio) -> None:
    server.world.doubles_creations = True
    created = platform.create_campaign(order())
    assert [str(number) for number in server.world.projects] == [created.id]


def test_of_two_projects_the_one_with_images_counts(platform: LabelStudio, server: FakeLabelStudio) -> None:
    first, _ = campaign(platform)
    second = Project(99, "river-2026", project_of(server).label_config, dict(project_of(server).settings), 1)
    server.world.projects[99] = second
    found = platform.find_campaign("river-2026")
    assert found is not None
    assert found.id == first
    server.world.tasks[1000] = Task(1000, 99, {"image": "x"}, {}, 1)
    with pytest.raises(PlatformRefused, match="2 projects of that title with images: 1, 99"):
        platform.find_campaign("river-2026")


def test_a_project_of_somebody_else_is_no_campaign(platform: LabelStudio, server: FakeLabelStudio) -> None:
    call(server, "POST", "/api/projects", {"title": "river-2026", "label_config": label_config(SCHEMA)})
    assert platform.find_campaign("river-2026") is None


# When an image is done


def test_a_skipped_image_does_not_hold_the_campaign_up(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform)
    first, second, third = ids.values()
    submit(server, first, BOAT)
    submit(server, second, [])
    submit(server, third, BOAT, was_cancelled=True)
    remote = platform.read_campaign(created)
    assert (remote.state, remote.done, remote.skipped) == (RemoteState.COMPLETED, 3, 1)
    page = platform.read_labels(created)
    assert [(image.remote_id, image.state) for image in page.images] == [
        (first, ImageState.LABELED),
        (second, ImageState.EMPTY),
    ]
    (excluded,) = page.excluded
    assert (excluded.state, excluded.remote_id) == (ImageState.SKIPPED, third)
    assert excluded.detail == "skipped by owner@example.com, with 1 region on it"


def test_a_project_that_offers_skipped_images_again_says_so(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform, "a.png")
    project_of(server).settings["skip_queue"] = "REQUEUE_FOR_OTHERS"
    submit(server, ids["a.png"], [], was_cancelled=True)
    assert platform.read_campaign(created).done == 0
    (unlabeled,) = platform.list_unlabeled_images(created)
    assert unlabeled.state is ImageState.NOT_LABELED
    assert "offers it again" in unlabeled.detail
    platform.change_campaign(created, order())
    assert platform.read_campaign(created).state is RemoteState.COMPLETED


def test_two_annotations_of_one_person_are_one_opinion_of_two(server: FakeLabelStudio) -> None:
    platform = adapter(server, overlap=2)
    created, ids = campaign(platform, "a.png")
    for _ in range(2):
        submit(server, ids["a.png"], BOAT)
    assert platform.read_campaign(created).done == 0
    assert [image.state for image in platform.list_unlabeled_images(created)] == [ImageState.DRAFT]
    call(server, "POST", "/api/users/", {"email": "bob@example.com"})
    submit(server, ids["a.png"], [], completed_by=2)
    assert platform.read_campaign(created).state is RemoteState.COMPLETED
    (image,) = all_labels(platform, created)
    assert [opinion.labeler for opinion in image.opinions] == ["owner@example.com"] * 2 + ["bob@example.com"]


def test_the_answer_that_was_changed_last_counts_unless_one_is_ground_truth(
    platform: LabelStudio, server: FakeLabelStudio
) -> None:
    created, ids = campaign(platform, "a.png")
    first = submit(server, ids["a.png"], BOAT)
    submit(server, ids["a.png"], [])
    (image,) = all_labels(platform, created)
    assert image.state is ImageState.EMPTY
    call(server, "PATCH", f"/api/annotations/{first['id']}/", {"ground_truth": True})
    (image,) = all_labels(platform, created)
    assert [annotation.label for annotation in image.annotations] == ["boat"]
    assert image.annotations[0].provenance.seconds == 3.5


def test_a_draft_is_no_label(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform, "a.png", "b.png")
    call(server, "POST", f"/api/tasks/{ids['a.png']}/drafts", {"result": BOAT})
    assert platform.read_campaign(created).done == 0
    assert all_labels(platform, created) == []
    states = {image.name: image.state for image in platform.list_unlabeled_images(created)}
    assert states == {"a.png": ImageState.DRAFT, "b.png": ImageState.NOT_LABELED}


def test_labels_of_a_rotated_photograph_are_in_pixels_as_displayed(
    platform: LabelStudio, server: FakeLabelStudio
) -> None:
    created, ids = campaign(platform, "a.png")
    region = {**BOAT[0], "original_width": 300, "original_height": 400}
    submit(server, ids["a.png"], [region])
    (image,) = all_labels(platform, created)
    assert image.size == Size(300, 400)
    assert image.annotations[0].shape == Box(30, 40, 150, 200)


def test_an_image_of_unknown_size_is_labeled_all_the_same(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform, "a.png", "b.png", "c.png")
    for task in server.world.tasks.values():
        task.data = {name: value for name, value in task.data.items() if name not in ("lw_width", "lw_height")}
    first, second, third = ids.values()
    submit(server, first, [])
    submit(server, second, BOAT)
    submit(server, third, [{name: value for name, value in BOAT[0].items() if not name.startswith("original")}])
    page = platform.read_labels(created)
    assert [image.size for image in page.images] == [None, Size(40, 30), None]
    assert [image.state for image in page.images] == [ImageState.EMPTY, ImageState.LABELED, ImageState.EMPTY]
    assert [(notice.reason, notice.image) for notice in page.left_out] == [("size unknown", "c.png")]


def test_labels_are_read_on_where_reading_ended_although_tasks_are_deleted(server: FakeLabelStudio) -> None:
    platform = adapter(server, labels_page=2)
    created, ids = campaign(platform, *NAMES)
    for image in ids.values():
        submit(server, image, BOAT)
    page = platform.read_labels(created)
    server.world.delete_task(int(page.images[0].remote_id))
    rest = []
    while page.next is not None:
        page = platform.read_labels(created, page.next)
        rest += [image.name for image in page.images]
    assert rest == list(NAMES[2:])


# Labels


def test_a_label_that_was_dropped_while_in_use_is_noticed(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform, "a.png")
    submit(server, ids["a.png"], BOAT)
    rest = LabelSchema((Label("shore", Geometry.POLYGON), Label("buoy")))
    call(server, "PATCH", f"/api/projects/{created}", {"label_config": label_config(rest)})
    assert "boat" not in platform.list_labels(created).names
    assert [annotation.label for annotation in all_labels(platform, created)[0].annotations] == ["boat"]


def test_a_change_drops_no_label_of_the_project(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, _ = campaign(platform, "a.png")
    with pytest.raises(PlatformRefused, match="label 'shore' is not in the campaign"):
        platform.change_campaign(created, replace(order(), labels=LabelSchema((Label("boat"),))))
    wider = LabelSchema((Label("boat", Geometry.ANY), Label("shore", Geometry.POLYGON), Label("buoy")))
    platform.change_campaign(created, replace(order(), labels=wider))
    assert platform.list_labels(created).geometries == {label.name: label.geometry for label in wider}


# Predictions


def test_predictions_are_replaced_and_those_of_others_stay(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform, "a.png", "b.png")
    call(server, "POST", "/api/predictions", {"task": int(ids["a.png"]), "result": [], "model_version": "theirs"})
    image = LabeledImage("a.png", Size(40, 30), (Annotation("boat", Box(1, 1, 9, 9), 0.8),), ids["a.png"])
    for _ in range(2):
        platform.put_predictions(created, [image])
    versions = [item.model_version for item in server.world.predictions.values()]
    assert sorted(versions) == ["labelwright", "theirs"]
    assert project_of(server).settings["model_version"] == "labelwright"
    wrong = replace(image, annotations=(Annotation("boat", Polygon(((1, 1), (9, 1), (5, 8)))),))
    with pytest.raises(PlatformRefused, match="no label 'boat' for a polygon"):
        platform.put_predictions(created, [wrong])


# Reopening, finishing


def test_a_reopened_image_shows_its_reason_and_a_new_answer_stays(
    platform: LabelStudio, server: FakeLabelStudio
) -> None:
    created, ids = campaign(platform, "a.png", "b.png")
    for image in ids.values():
        submit(server, image, BOAT)
    reasons = {ids["a.png"]: "the mast is missing"}
    platform.reopen_images(created, reasons, "call 1")
    assert server.world.tasks[int(ids["a.png"])].data["lw_note"] == "the mast is missing"
    assert [draft.result for draft in server.world.drafts.values()] == [BOAT]
    submit(server, ids["a.png"], [])
    platform.reopen_images(created, reasons, "call 1")
    assert platform.read_campaign(created).state is RemoteState.COMPLETED
    platform.reopen_images(created, {ids["a.png"]: ""}, "call 2")
    assert platform.read_campaign(created).done == 1
    assert server.world.tasks[int(ids["a.png"])].data["lw_note"] == ""


def test_a_reopening_that_broke_off_goes_on_and_leaves_new_answers(
    platform: LabelStudio, server: FakeLabelStudio
) -> None:
    created, ids = campaign(platform)
    for image in ids.values():
        submit(server, image, BOAT)
    project = project_of(server)
    record = record_in(project.settings["description"])
    assert record is not None
    project.settings["description"] = replace(record, reopening=3).text()
    first, *_ = ids.values()
    call(server, "POST", "/api/annotations/1/convert-to-draft")
    submit(server, first, [])
    platform.reopen_campaign(created)
    remote = platform.read_campaign(created)
    assert (remote.state, remote.done) == (RemoteState.ACTIVE, 1)
    record = record_in(project.settings["description"])
    assert record is not None
    assert not record.reopening


def test_every_finish_makes_one_snapshot(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform, "a.png")
    submit(server, ids["a.png"], BOAT)
    for _ in range(2):
        platform.finish_campaign(created)
    assert len(server.world.exports) == 1
    platform.reopen_campaign(created)
    submit(server, ids["a.png"], [])
    assert platform.read_campaign(created).state is RemoteState.COMPLETED
    platform.finish_campaign(created)
    assert len(server.world.exports) == 2
    record = record_in(project_of(server).settings["description"])
    assert record is not None
    assert record.snapshot is not None
    assert record.snapshot.md5 == server.world.exports[2].md5


def test_deleted_tasks_are_those_that_the_server_does_not_have(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, ids = campaign(platform)
    first, second, _ = ids.values()
    server.world.delete_task(int(first))
    assert list(platform.deleted_images(created, [first, second])) == [first]
    assert platform.read_campaign(created).total == 2


# Webhooks


def test_webhooks_carry_a_secret_and_are_made_once(platform: LabelStudio, server: FakeLabelStudio) -> None:
    created, _ = campaign(platform, "a.png")
    with pytest.raises(PlatformRefused, match="SSRF_PROTECTION_ENABLED=false"):
        platform.put_webhook(created, "http://127.0.0.1:4300/webhooks/label_studio")
    server.world.guards_addresses = False
    ids = {platform.put_webhook(created, "http://127.0.0.1:4300/webhooks/label_studio") for _ in range(2)}
    (hook,) = server.world.webhooks.values()
    assert ids == {hook["id"]}
    headers = {name.lower(): value for name, value in hook["headers"].items()}
    body = b'{"action": "ANNOTATION_CREATED", "project": {"id": 1}}'
    note = platform.open_webhook(headers, body)
    assert (note.kind, note.campaign) == ("ANNOTATION_CREATED", "1")
    assert server.pat not in str(hook)
    with pytest.raises(AccessDenied, match="is missing"):
        platform.open_webhook({}, body)
    with pytest.raises(AccessDenied, match="is wrong"):
        platform.open_webhook(dict.fromkeys(headers, "x"), body)
    with pytest.raises(PlatformRefused, match="not an event"):
        platform.open_webhook(headers, b"[]")
