"""Campaigns on Scale beyond the contract of all platforms: nothing is billed twice, and nothing by accident."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from labelwright.domain import Annotation, Box, Geometry, Image, ImageState, Label, LabelSchema, Polygon, Size
from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import ImageToSend, RemoteState, Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.platforms.scale.adapter import Options, Scale
from labelwright.platforms.scale.errors import Duplicate, InvalidRequest, NotEnabled
from labelwright.platforms.scale.options import mode_of
from tests.platforms.contract import NAMES, all_labels, order, to_send, unique

from .harness import HASTE, drawn
from .server import ScaleServer
from .state import State, bad

BOX = Annotation("plastic", Box(1, 2.5, 11, 12))
THREE = [to_send(name) for name in NAMES[:3]]


@pytest.fixture(scope="module")
def shared() -> Iterator[ScaleServer]:
    with ScaleServer() as server:
        yield server


@pytest.fixture
def server(shared: ScaleServer) -> Iterator[ScaleServer]:
    shared.requests.clear()
    yield shared
    shared.heal()
    shared.live.attachment = lambda url: 200


def scale_of(server: ScaleServer, key: str = "live_key", **options: Any) -> Scale:
    return Scale(server.url, key, None, Options.model_validate({**HASTE, **options}))


@pytest.fixture
def scale(server: ScaleServer) -> Scale:
    return scale_of(server)


def started(scale: Scale, images: list[ImageToSend] = THREE) -> str:
    campaign = scale.create_campaign(order()).id
    scale.send_images(campaign, 1, images)
    scale.activate_campaign(campaign)
    return campaign


def tasks_in(server: ScaleServer, campaign: str) -> dict[str, Any]:
    """Tasks by image name: the last one with its unique_id."""
    return {
        task["metadata"]["file"]: task
        for task in server.live.tasks.values()
        if task.get("batch") == campaign and "unique_id" in task
    }


def at(url: str, image: ImageToSend = THREE[0]) -> ImageToSend:
    return replace(image, url=Secret(url))


# What a task says


def test_a_task_says_which_image_and_campaign_it_is_of(server: ScaleServer) -> None:
    scale = scale_of(server, callback_url="https://labels.example.com/hooks/scale")
    campaign = started(scale, [at("https://s.example.com/0.png?sig=x")])
    (task,) = (task for task in server.live.tasks.values() if task.get("batch") == campaign)
    assert task["unique_id"] == f"{campaign}/0.png"
    assert task["metadata"] == {
        "file": "0.png",
        "campaign": campaign,
        "width": 40,
        "height": 30,
        "sha256": to_send("0.png").image.sha256,
    }
    assert task["params"]["attachment"] == "https://s.example.com/0.png?sig=x"
    assert task["params"]["geometries"] == {"box": {"objects_to_annotate": ["plastic", "wood"]}}
    assert task["instruction"] == "Label what floats."
    assert task["callback_url"] == "https://labels.example.com/hooks/scale"
    assert server.live.batches[campaign]["metadata"]["river"] == "Maas"


def test_labels_of_whole_images_become_categories(server: ScaleServer, scale: Scale) -> None:
    labels = LabelSchema((Label("sea", Geometry.IMAGE), Label("river", Geometry.IMAGE)))
    campaign = scale.create_campaign(replace(order(), labels=labels)).id
    scale.send_images(campaign, 1, THREE)
    scale.activate_campaign(campaign)
    for task in tasks_in(server, campaign).values():
        assert (task["type"], task["project"]) == ("categorization", "labelwright-categorization")
        server.live.complete(task["task_id"], {"category": "sea"})
    assert [[annotation.label for annotation in image.annotations] for image in all_labels(scale, campaign)] == [
        ["sea"]
    ] * 3


def test_turned_boxes_come_back_as_polygons(server: ScaleServer) -> None:
    scale = scale_of(server, rotated_boxes=True)
    campaign = started(scale, THREE[:1])
    (task,) = tasks_in(server, campaign).values()
    assert task["params"]["geometries"]["box"]["can_rotate"] is True
    turned = drawn(BOX) | {"rotation": 0.5}
    server.live.complete(task["task_id"], {"annotations": [turned]})
    (image,) = all_labels(scale, campaign)
    assert isinstance(image.annotations[0].shape, Polygon)


def test_configured_project_is_used_and_its_type_checked(server: ScaleServer) -> None:
    name = unique("ours")
    scale_of(server).client.create_project(name, "categorization")
    with pytest.raises(PlatformRefused, match="is of type categorization"):
        scale_of(server, project=name).create_campaign(order())
    other = unique("new")
    campaign = scale_of(server, project=other, kind="studio").create_campaign(order())
    assert server.live.projects[other]["studio"] is True
    assert server.live.projects[other]["param_history"][-1]["instruction"] == "Label what floats."
    assert server.live.batches[campaign.id]["status"] == "staging"


def test_a_type_of_task_that_is_not_enabled_is_told_so(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    server.fail("POST", "/task/", 402, times=9)
    with pytest.raises(NotEnabled, match="Ask Scale"):
        scale.send_images(campaign, 1, THREE)


# Nothing is made twice


@pytest.mark.usefixtures("no_batch_retries")
@pytest.mark.parametrize("status", [500, 502, 503, 504, 0])
def test_a_task_whose_answer_was_lost_is_adopted(server: ScaleServer, scale: Scale, status: int) -> None:
    campaign = scale.create_campaign(order()).id
    server.fail("POST", "/task/", status, times=2, after=True)
    with pytest.raises(PlatformUnavailable):
        scale.send_images(campaign, 1, THREE)
    task_ids = {name: task["task_id"] for name, task in tasks_in(server, campaign).items()}
    assert len(task_ids) == 3, "a task that met a fault does not keep the others from being made"
    scale.send_images(campaign, 1, THREE)
    assert {image.name: image.id for image in scale.list_campaign_images(campaign)} == task_ids
    assert len([task for task in server.live.tasks.values() if task.get("batch") == campaign]) == 3


def test_unique_id_of_another_batch_is_refused(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    boxes = {"attachment": "https://x.example.com/1", "geometries": {"box": {"objects_to_annotate": ["x"]}}}
    scale.client.create_task("imageannotation", unique_id=f"{campaign}/0.png", **boxes)
    elsewhere = scale.create_campaign(order()).id
    scale.client.create_task("imageannotation", unique_id=f"{campaign}/{NAMES[1]}", batch=elsewhere, **boxes)
    with pytest.raises(PlatformRefused, match=r"taken by a task of batch|shows https://x\.example\.com/1") as caught:
        scale.send_images(campaign, 1, THREE)
    assert caught.value.status == 409


def test_no_task_is_adopted_that_is_of_another_image(
    server: ScaleServer, scale: Scale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ignores the filter and omits optional fields."""
    campaign = scale.create_campaign(order()).id
    scale.send_images(campaign, 1, THREE)
    task_ids = {name: task["task_id"] for name, task in tasks_in(server, campaign).items()}

    def told_less(query: Any) -> Any:
        page = State.list_tasks(server.live, {name: query[name] for name in query if name != "unique_id"})
        return page | {"docs": [{k: v for k, v in doc.items() if k != "unique_id"} for doc in page["docs"]]}

    monkeypatch.setattr(server.live, "list_tasks", told_less)
    sender = scale._sender(campaign)
    assert {item.image.name: sender.create_or_find(item) for item in THREE} == task_ids
    assert sender.find("never sent.png") is None


def test_task_is_found_again_when_only_the_signature_differs(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    scale.send_images(campaign, 1, [at("https://s.example.com/0.png?sv=1&sig=first")])
    scale.send_images(campaign, 1, [at("https://s.example.com/0.png?sv=1&sig=second")])
    assert len(tasks_in(server, campaign)) == 1
    with pytest.raises(PlatformRefused, match=r"shows https://s\.example\.com/0\.png, not https://other") as caught:
        scale.send_images(campaign, 1, [at("https://other.example.com/0.png?sig=third")])
    assert "third" not in str(caught.value)
    assert caught.value.status == 409
    with pytest.raises(PlatformRefused, match="shows https"):
        scale.send_images(campaign, 1, [at("https://s.example.com/0.png?version=2&sig=first")])


def test_uploaded_image_with_other_content_is_refused(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    scale.send_images(campaign, 1, [to_send("0.png")])
    scale.send_images(campaign, 1, [to_send("0.png")])
    assert len(tasks_in(server, campaign)) == 1
    (task,) = tasks_in(server, campaign).values()
    server.live.tasks[task["task_id"]]["metadata"]["sha256"] = "0" * 64
    with pytest.raises(PlatformRefused, match=r"shows scaledata://.*, not 0\.png \(SHA-256"):
        scale.send_images(campaign, 1, [to_send("0.png")])
    del server.live.tasks[task["task_id"]]["metadata"]["sha256"]  # as an earlier version made it
    scale.send_images(campaign, 1, [to_send("0.png")])


def test_images_whose_tasks_are_gone_are_found_one_by_one() -> None:
    with ScaleServer() as server:
        _images_whose_tasks_are_gone_are_found_one_by_one(server, scale_of(server))


def _images_whose_tasks_are_gone_are_found_one_by_one(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    scale.send_images(campaign, 1, THREE)
    first, second, third = [task["task_id"] for task in tasks_in(server, campaign).values()]
    assert scale.deleted_images(campaign, [first, second, third]) == {}
    del server.live.tasks[first]
    server.live.tasks[second]["batch"] = "elsewhere"
    assert scale.deleted_images(campaign, [first, second, third]) == {
        first: f"task {first} is no longer at Scale",
        second: f"task {second} is in batch 'elsewhere' now",
    }


def test_offered_labels_include_their_parents() -> None:
    with ScaleServer() as server:
        _the_labels_that_tasks_offer_are_told_with_what_leads_to_them(server, scale_of(server))


def _the_labels_that_tasks_offer_are_told_with_what_leads_to_them(server: ScaleServer, scale: Scale) -> None:
    labels = LabelSchema((Label("vehicle"), Label("car", parent="vehicle"), Label("river", Geometry.POLYGON)))
    campaign = scale.create_campaign(replace(order(), labels=labels)).id
    assert set(scale.list_labels(campaign).names) == {"vehicle", "car", "river"}
    scale.send_images(campaign, 1, THREE)
    assert set(scale.list_labels(campaign).names) == {"vehicle", "car", "river"}
    task = next(iter(tasks_in(server, campaign).values()))
    del server.live.tasks[task["task_id"]]["params"]["geometries"]["polygon"]
    assert set(scale.list_labels(campaign).names) == {"vehicle", "car"}


def test_a_batch_that_somebody_else_made_is_not_taken_over(server: ScaleServer, scale: Scale) -> None:
    campaign_order = order()
    project = scale.client.create_project(unique("p"), "imageannotation")["name"]
    scale.client.create_batch(campaign_order.title, project)
    with pytest.raises(PlatformRefused, match="another batch has that name") as caught:
        scale.create_campaign(campaign_order)
    assert caught.value.status == 409
    with pytest.raises(PlatformRefused, match="not created by Labelwright"):
        scale.send_images(campaign_order.title, 1, THREE)
    with pytest.raises(PlatformRefused):
        scale.create_campaign(replace(order(), title=scale.create_campaign(order()).id, instructions="other words"))


def test_a_refusal_stops_the_batch_and_names_the_task(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    server.live.batches[campaign]["project"] = "gone"
    with pytest.raises(InvalidRequest, match=f"{campaign}/"):
        scale.send_images(campaign, 1, THREE)


def test_a_platform_that_is_away_is_not_asked_for_every_image(server: ScaleServer) -> None:
    scale = scale_of(server, threads=1, attachments="url")
    campaign = scale.create_campaign(order()).id
    fault = server.fail("POST", "/task/", 503, times=1000)
    many = [at("https://s.example.com/x", to_send(f"{number}.png")) for number in range(60)]
    with pytest.raises(PlatformUnavailable):
        scale.send_images(campaign, 1, many)
    assert 8 <= fault.met <= 8 + 3, "some may be on their way when it is given up"


# Attachments


@pytest.mark.usefixtures("no_batch_retries")
def test_an_upload_whose_answer_was_lost_is_made_good(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    server.fail("POST", "/files/upload", 500, after=True)
    with pytest.raises(PlatformUnavailable):
        scale.send_images(campaign, 1, THREE[:1])
    scale.send_images(campaign, 1, THREE[:1])
    assert server.statuses_of("POST", "/files/upload") == [500, 409, 200]
    assert len(tasks_in(server, campaign)) == 1


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        ({"format": "WEBP"}, "is WEBP"),
        ({"size": Size(10_001, 5)}, "10001 x 5 pixels"),
        ({"bytes": 80_000_001}, "80,000,001 bytes"),
    ],
)
def test_unsupported_images_are_refused_before_sending(
    server: ScaleServer, scale: Scale, image: dict[str, Any], fault: str
) -> None:
    campaign = scale.create_campaign(order()).id
    valid = THREE[0].image
    facts = {name: getattr(valid, name) for name in Image.__slots__} | image
    with pytest.raises(PlatformRefused, match=fault):
        scale.send_images(campaign, 1, [*THREE, replace(THREE[0], image=Image(**facts))])
    assert tasks_in(server, campaign) == {}


def test_attachments_go_the_way_that_the_campaign_prefers(server: ScaleServer) -> None:
    for attachments, uploads in (("auto", 2), ("upload", 3)):
        scale, before = scale_of(server, attachments=attachments), len(server.statuses_of("POST", "/files/upload"))
        started(scale, [at("https://s.example.com/0.png"), *THREE[1:]])
        assert len(server.statuses_of("POST", "/files/upload")) - before == uploads
    with pytest.raises(PlatformRefused, match="no URL that Scale can read"):
        started(scale_of(server, attachments="url"))


def test_unfetchable_attachment_is_a_failed_image_with_reason(server: ScaleServer, scale: Scale) -> None:
    server.live.attachment = lambda url: 403 if "gone" in url else 200
    campaign = started(scale, [at("https://s.example.com/gone.png?sig=CANARY"), *THREE[1:]])
    now = scale.read_campaign(campaign)
    assert (now.state, now.done, now.total, now.failed, now.cancelled) == (RemoteState.ACTIVE, 0, 3, 1, 0)
    (failed,) = scale.list_failed_images(campaign)
    assert failed.name == "0.png"
    assert failed.reason == "One or more attachments could not be downloaded. 403 from s.example.com/gone.png"
    # The address has changed: the same image is sent again.
    ((name, id),) = scale.send_again(campaign, [at("https://s.example.com/back.png")])
    assert (name, id != failed.id) == ("0.png", True)
    assert list(scale.list_failed_images(campaign)) == []
    now = scale.read_campaign(campaign)
    assert (now.total, now.failed) == (3, 0)
    assert {image.id for image in scale.list_campaign_images(campaign)} == {
        task["task_id"] for task in tasks_in(server, campaign).values()
    }


def test_failed_images_are_found_without_a_status_filter(
    server: ScaleServer, scale: Scale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scale's own client knows pending, completed and canceled."""
    campaign = started(scale)
    first, second = (tasks_in(server, campaign)[name]["task_id"] for name in NAMES[:2])
    server.live.fail(first)
    server.live.cancel(second, {})

    def strict(query: Any) -> Any:
        if set(query.get("status", ())) - {"pending", "completed", "canceled"}:
            raise bad("status is none")
        return State.list_tasks(server.live, query)

    monkeypatch.setattr(server.live, "list_tasks", strict)
    failed = {image.id: image.reason for image in scale.list_failed_images(campaign)}
    assert failed.keys() == {first, second}
    assert "could not be downloaded" in failed[first]
    assert failed[second] == "it was cancelled"
    ((_, again),) = scale.send_again(campaign, THREE[:1])
    assert again != first
    now = scale.read_campaign(campaign)
    assert (now.total, now.failed, now.cancelled) == (3, 0, 1)


@pytest.mark.usefixtures("no_batch_retries")
@pytest.mark.parametrize("fault", [("DELETE", "/unique_id", True), ("POST", "/task/", False), ("POST", "/task/", True)])
def test_interrupted_resend_can_be_repeated(server: ScaleServer, scale: Scale, fault: tuple[str, str, bool]) -> None:
    campaign = started(scale)
    lost = tasks_in(server, campaign)["0.png"]["task_id"]
    server.live.fail(lost)
    method, path, after = fault
    server.fail(method, path, 500, after=after)
    with pytest.raises(PlatformUnavailable):
        scale.send_again(campaign, THREE[:1])
    for _ in range(2):
        ((_, id),) = scale.send_again(campaign, THREE[:1])
    assert id != lost
    assert len([task for task in server.live.tasks.values() if task.get("batch") == campaign]) == 4
    assert scale.read_campaign(campaign).total == 3


def test_what_is_at_work_or_labeled_is_never_sent_again(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    ids = {name: task["task_id"] for name, task in tasks_in(server, campaign).items()}
    server.live.complete(ids["0.png"], {"annotations": []})
    assert dict(scale.send_again(campaign, THREE)) == ids
    with pytest.raises(PlatformRefused, match="Only failed images"):
        scale.leave_out(campaign, [ids["0.png"]])


def test_an_image_that_is_left_out_counts_no_longer(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    first, second, third = (task["task_id"] for task in tasks_in(server, campaign).values())
    server.live.fail(first)
    server.live.complete(second, {"annotations": []})
    server.live.complete(third, {"annotations": []})
    assert scale.read_campaign(campaign).state is RemoteState.ACTIVE
    for _ in range(2):
        scale.leave_out(campaign, [first])
    now = scale.read_campaign(campaign)
    assert (now.state, now.done, now.total) == (RemoteState.COMPLETED, 2, 2)
    assert {image.id for image in scale.list_campaign_images(campaign)} == {second, third}


# States


def test_completed_batch_with_failed_images_stays_active(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    first, second, third = (task["task_id"] for task in tasks_in(server, campaign).values())
    server.live.complete(first, {"annotations": [drawn(BOX)]})
    server.live.cancel(second, {})
    server.live.fail(third)
    assert server.live.batches[campaign]["status"] == "completed"
    now = scale.read_campaign(campaign)
    assert (now.state, now.done, now.total, now.failed, now.cancelled) == (RemoteState.ACTIVE, 1, 3, 1, 1)


def test_a_recalled_task_makes_the_campaign_active_again(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    for task in tasks_in(server, campaign).values():
        server.live.complete(task["task_id"], {"annotations": [drawn(BOX)]})
    assert scale.read_campaign(campaign).state is RemoteState.COMPLETED
    server.live.recall(task["task_id"])
    now = scale.read_campaign(campaign)
    assert (now.state, now.done, now.total) == (RemoteState.ACTIVE, 2, 3)
    assert len(all_labels(scale, campaign)) == 2


def test_labels_know_their_time_and_the_customers_review(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    reviews = dict(zip(NAMES, ("accepted", "rejected", "commented"), strict=False))
    tasks = tasks_in(server, campaign)
    for name, review in reviews.items():
        server.live.complete(tasks[name]["task_id"], {"annotations": [drawn(BOX)]})
        server.live.review(tasks[name]["task_id"], review)
    images = {image.name: image for image in all_labels(scale, campaign)}
    states = [images[name].state for name in reviews]
    assert states == [ImageState.ACCEPTED, ImageState.REJECTED, ImageState.LABELED]
    for name, image in images.items():
        (annotation,) = image.annotations
        assert annotation.labeled_at == datetime.fromisoformat(tasks[name]["completed_at"])
        assert (annotation.labeler, annotation.origin) == (None, None), "Scale does not report them"


def test_unlabeled_images_are_failed_cancelled_rejected_or_waiting(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale, [to_send(name) for name in NAMES[:4]])
    first, second, third, fourth = (tasks_in(server, campaign)[name]["task_id"] for name in NAMES[:4])
    server.live.complete(first, {"annotations": [drawn(BOX)]})
    assert {image.state for image in scale.list_unlabeled_images(campaign)} == {ImageState.NOT_LABELED}
    server.live.review(first, "rejected")
    server.live.recall(first)
    server.live.cancel(second, {})
    server.live.fail(third)
    unlabeled = {image.id: image for image in scale.list_unlabeled_images(campaign)}
    assert {id: image.state for id, image in unlabeled.items()} == {
        first: ImageState.REJECTED,
        second: ImageState.CANCELLED,
        third: ImageState.FAILED,
        fourth: ImageState.NOT_LABELED,
    }
    assert "could not be downloaded" in unlabeled[third].detail


def test_an_empty_batch_is_not_activated(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    with pytest.raises(PlatformRefused, match="it has no images"):
        scale.activate_campaign(campaign)
    assert campaign not in server.live.finalized


def test_activation_works_without_batch_metadata(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order()).id
    scale.send_images(campaign, 1, THREE)
    server.fail("POST", "/setMetadata", 404)
    scale.activate_campaign(campaign)
    assert server.live.finalized[-1] == campaign


def test_refused_finalize_is_ignored_when_the_batch_is_active(server: ScaleServer) -> None:
    scale = scale_of(server, kind="rapid", project=unique("rapid"))
    campaign = scale.create_campaign(order()).id
    scale.send_images(campaign, 1, THREE)
    server.fail("POST", "/finalize", 400)
    with pytest.raises(InvalidRequest):
        scale.activate_campaign(campaign)
    server.fail("POST", "/finalize", 400, after=True)
    scale.activate_campaign(campaign)
    assert scale.read_campaign(campaign).state is RemoteState.ACTIVE


def test_a_status_that_nobody_knows_is_named(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    server.live.batches[campaign]["status"] = "paused"
    with pytest.raises(PlatformRefused, match="'paused'"):
        scale.read_campaign(campaign)


def test_foreign_task_in_the_batch_is_listed_under_its_id(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    boxes = {"attachment": "https://x.example.com/1", "geometries": {"box": {"objects_to_annotate": ["x"]}}}
    task_id = scale.client.create_task("imageannotation", unique_id=unique("x"), batch=campaign, **boxes)["task_id"]
    assert task_id in {image.name for image in scale.list_campaign_images(campaign)}
    server.live.complete(task_id, {"annotations": []})
    assert all_labels(scale, campaign) == []


def test_annotations_at_an_address_are_fetched_without_our_key(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale, THREE[:1])
    (task,) = tasks_in(server, campaign).values()
    server.live.complete(task["task_id"], {"annotations": f"{server.url}/annotations/1?sig=CANARY"})
    with pytest.raises(PlatformRefused) as caught:  # the stand-in serves none, and asks for a key
        scale.read_labels(campaign)
    assert (caught.value.status, caught.value.operation) == (401, "fetch annotations")
    assert "CANARY" not in str(caught.value)


# Keys


@pytest.mark.parametrize(
    ("key", "mode"),
    [("test_x", "test"), ("abc|test", "test"), ("live_x", "live"), ("abc|live", "live"), ("scaleint_x", "unknown")],
)
def test_live_and_test_keys_are_told_apart(key: str, mode: str) -> None:
    assert mode_of(key) == mode
    scale = Scale("https://api.scale.com/v1", key, None, Options(max_tasks=5))
    bill = scale.bill(7)
    assert (bill.tasks, bill.live, bill.most) == ((0, False, 5) if mode == "test" else (7, True, 5))
    assert key not in repr(scale) + bill.message
    connection = Connection("https://api.scale.com/v1", key, options={"only_test": True})
    if mode == "test":
        PLATFORMS["scale"].connect(connection)
    else:
        with pytest.raises(PlatformRefused, match="only_test"):
            PLATFORMS["scale"].connect(connection)


def test_a_campaign_of_one_world_is_not_there_in_the_other(server: ScaleServer, scale: Scale) -> None:
    campaign = started(scale)
    other = scale_of(server, "test_key")
    assert other.find_campaign(campaign) is None
    with pytest.raises(NotFound):
        other.read_labels(campaign)
    assert "test key" in other.check()
    assert "live key" in scale.check()


def test_a_title_that_is_taken_in_the_account_is_a_duplicate(server: ScaleServer, scale: Scale) -> None:
    project = scale.client.create_project(unique("p"), "imageannotation")["name"]
    name = scale.client.create_batch(unique("b"), project)["name"]
    with pytest.raises(Duplicate):
        scale.client.create_batch(name, project)


def test_the_machines_rate_wins_over_the_campaigns(server: ScaleServer) -> None:
    options = {**HASTE, "requests_per_second": 5.0}
    scale: Any = PLATFORMS["scale"].connect(
        Connection(server.url, "live_key", options=options, requests_per_second=70.0)
    )
    assert scale.client._pace.rate == 70.0
    assert Connection(server.url, "live_key").requests_per_second is None
    PLATFORMS["scale"].connect(Connection(server.url, "live_key"))  # lifts the limit for the tests that follow
