"""What the notebook of the seeds shows is read field for field, and what is not understood is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from labelwright.domain import (
    UNKNOWN,
    Annotation,
    Attribute,
    Box,
    Boxes,
    Geometry,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    MultiPolygon,
    Origin,
    Polygon,
    Provenance,
    ShapeNotice,
    Size,
    WholeImage,
)
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.campaign_api.models import labeled_from
from labelwright.platforms.errors import NotFound, PlatformRefused
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import (
    CampaignOrder,
    LabelerAccess,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    Secret,
    SetState,
)
from labelwright.platforms.shape_notices import ShapeNotices
from tests.platforms.scripted import Scripted, answer, scripted

CAMPAIGN: dict[str, Any] = {
    "campaign_id": 3,
    "created_by": "jayke@test.com",
    "date_completed": None,
    "date_created": "2020-10-26T07:48:54.402585Z",
    "date_finished": None,
    "date_started": None,
    "label_translations": None,
    "metadata": {"to_be_used_for": "New train set"},
    "progress": {"done": 2, "total": 4},
    "status": "active",
    "title": "campaign-26-10-2020",
}
CREATED = CAMPAIGN | {
    "status": "created",
    "access_token": {"apikey": "cb250d843e36cf66", "apisecret": "5b01a0dca725024d"},
}
IMAGE_SET: dict[str, Any] = {
    "blobstorage_path": "dropbox-imageset-26-10-2020",
    "created_by": "jayke@test.com",
    "date_created": "2020-10-26T07:44:56.562150Z",
    "date_finished": None,
    "dropbox_url": "https://x.blob.core.windows.net/dropbox-imageset-26-10-2020?sp=rwdl&sr=c&sig=ns2m6l%2B",
    "imageset_id": 2,
    "metadata": {"country": "Nederland"},
    "status": "created",
    "title": "imageset-26-10-2020",
}
IMAGE: dict[str, Any] = {
    "blobstorage_path": "extra-images/uploads/imageset-22-10-2020/car.png",
    "date_taken": None,
    "file": {"dimensions": {"height": 200, "width": 300}, "filesize": 4486, "filetype": "PNG"},
    "image_id": 1,
    "imageset": {"imageset_id": 1, "title": "imageset-22-10-2020"},
    "location": {"description": None, "lat": None, "lon": None},
    "metadata": None,
    "tss_id": None,
    "type": None,
}
LABELED: dict[str, Any] = {
    "image_id": 1,
    "file_name": "car.png",
    "width": 300,
    "height": 200,
    "objects": [
        {
            "label": "Plastic",
            "confidence": 0.56,
            "bounding_box": {"xmin": 13, "xmax": 57, "ymin": 123, "ymax": 198},
        }
    ],
}
ONE_PAGE = {"next": None, "page": 1, "pages": 1, "per_page": 1000, "prev": None, "total": 1}


def said(value: Any, status: int = 200) -> bytes:
    return answer(status, json.dumps(value).encode())


def client(server: Scripted) -> CampaignApi:
    return CampaignApi(f"{server.url}/api/v1", "KEY", Secret("S3CRET"), timeout=(1, 2), patience=0)


def test_a_campaign_is_read() -> None:
    with scripted(said(CAMPAIGN)) as server:
        now = client(server).read_campaign("3")
    assert now == RemoteCampaign("3", "campaign-26-10-2020", RemoteState.ACTIVE, 2, 4, None)


def test_a_campaign_tells_how_many_notes_have_no_answer() -> None:
    with scripted(said(CAMPAIGN | {"unanswered_notes": 3})) as server:
        assert client(server).read_campaign("3").unanswered_notes == 3
        assert len(server.requests) == 1


def test_creating_a_campaign_sends_the_notebooks_fields_and_ours() -> None:
    schema = LabelSchema((Label("wood", translations={"nl": "hout"}), Label("glass")))
    order = CampaignOrder("campaign-26-10-2020", schema, "a@b.nl", "Look.", {"x": 1})
    with scripted(said({"status": "ok", "features": ["label_schema"]}), said(CREATED)) as server:
        campaign = client(server).create_campaign(order)
        request = server.requests[1]
    assert campaign.access == LabelerAccess("a@b.nl", "cb250d843e36cf66", Secret("5b01a0dca725024d"))
    assert campaign.state is RemoteState.CREATED
    assert request.startswith("POST /api/v1/campaigns HTTP/1.1")
    assert "Authentication-Key: KEY\r\n" in request
    assert "Authentication-Secret: S3CRET\r\n" in request


FULL = LabelSchema(
    (
        Label("boat", color="#e69f00", attributes=(Attribute("state"),)),
        Label("sail", Geometry.POLYGON, parent="boat"),
        Label("fog", Geometry.IMAGE),
        Label("buoy"),
    )
)


@pytest.mark.parametrize(
    "health", [answer(404), said({"status": "ok", "version": "0.1.0"})], ids=["the notebook", "an older version"]
)
def test_a_server_of_bare_names_is_refused_before_anything_is_created(health: bytes) -> None:
    with scripted(health, said(CREATED)) as server, pytest.raises(PlatformRefused) as caught:
        client(server).create_campaign(CampaignOrder("t", FULL, "a@b.nl"))
    assert [request.split(" ")[0] for request in server.requests] == ["GET"]
    assert (
        "label 'boat' needs its colour, the attribute 'state'; "
        "label 'sail' needs the geometry polygon, its parent 'boat'; "
        "label 'fog' needs the geometry image"
    ) in caught.value.message
    assert "buoy" not in caught.value.message
    assert "Update the server" in caught.value.advice


def test_a_server_of_bare_names_gets_names_where_the_file_ignores_the_rest() -> None:
    order = CampaignOrder("t", FULL, "a@b.nl", ignore_unsupported=True)
    with scripted(answer(404), said(CREATED)) as server:
        client(server).create_campaign(order)
        sent = json.loads(server.bodies[1])
    assert sent["labels"] == list(FULL.names)
    assert "label_schema" not in sent


def test_a_campaign_of_bare_names_is_not_changed_to_more_in_silence() -> None:
    current = {name: value for name, value in CREATED.items() if name != "label_schema"} | {"labels": ["boat"]}
    with scripted(said(current)) as server, pytest.raises(PlatformRefused) as caught:
        client(server).change_campaign("7", CampaignOrder("t", FULL, "a@b.nl"))
    assert "label 'sail' needs the geometry polygon" in caught.value.message
    assert "on_unsupported: ignore" in caught.value.advice
    assert [request.split(" ")[0] for request in server.requests] == ["GET"]


@pytest.mark.parametrize("geometry", [Geometry.BOX, Geometry.ANY])
def test_a_server_of_bare_names_gets_names_where_the_campaign_needs_no_more(geometry: Geometry) -> None:
    schema = LabelSchema((Label("wood", geometry, translations={"nl": "hout"}),))
    with scripted(answer(404), said(CREATED)) as server:
        client(server).create_campaign(CampaignOrder("t", schema, "a@b.nl"))
        sent = json.loads(server.bodies[1])
    assert sent["labels"] == ["wood"]
    assert sent["label_translations"] == {"wood": {"nl": "hout"}}
    assert "label_schema" not in sent


def test_the_schema_is_sent_to_a_server_that_takes_it() -> None:
    with scripted(said({"features": ["label_schema"]}), said(CREATED)) as server:
        client(server).create_campaign(CampaignOrder("t", FULL, "a@b.nl"))
        sent = json.loads(server.bodies[1])
    assert sent["labels"] == ["boat", "sail", "fog", "buoy"]
    assert [label["geometry"] for label in sent["label_schema"]] == ["box", "polygon", "image", "box"]
    assert sent["label_schema"][0] == {
        "name": "boat",
        "geometry": "box",
        "color": "#e69f00",
        "parent": None,
        "attributes": [{"name": "state", "values": [], "default": None, "required": False}],
        "translations": {},
    }


def test_the_key_of_a_labeler_who_is_known_comes_without_a_secret() -> None:
    for token in ({"apikey": "k", "apisecret": None}, {"apikey": "k"}):
        with scripted(said(CREATED | {"access_token": token})) as server:
            order = CampaignOrder("t", LabelSchema((Label("wood"),)), "a@b.nl")
            assert client(server).create_campaign(order).access == LabelerAccess("a@b.nl", "k", None)


def test_equal_orders_have_equal_idempotency_keys() -> None:
    with scripted(said(IMAGE_SET)) as server:
        for metadata in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 2}):
            client(server).create_image_set("t", metadata)
        keys = [
            next(line for line in request.split("\r\n") if line.startswith("Idempotency-Key: "))
            for request in server.requests
        ]
    assert keys[0] == keys[1] != keys[2]


def test_changes_of_state_carry_no_idempotency_key() -> None:
    with scripted(said(CAMPAIGN | {"status": "completed"}), said("ok")) as server:
        client(server).reopen_campaign("3")
        assert server.requests[1].startswith("PUT /api/v1/campaigns/3 ")
        assert "Idempotency-Key" not in server.requests[1]


def test_an_image_set_is_read_with_what_was_rejected() -> None:
    with scripted(said(IMAGE_SET | {"status": "finished", "rejected": [{"name": "x", "reason": "torn"}]})) as at:
        image_set = client(at).read_image_set("2")
    assert (image_set.id, image_set.state, image_set.rejected) == ("2", SetState.FINISHED, (("x", "torn"),))


def test_the_dropbox_is_a_secret() -> None:
    with scripted(said(IMAGE_SET)) as server:
        dropbox = client(server).dropbox("2")
    assert dropbox.value == IMAGE_SET["dropbox_url"]
    assert "sig" not in repr(dropbox)


def test_a_sealed_set_has_no_dropbox() -> None:
    with (
        scripted(said(IMAGE_SET | {"status": "finished", "dropbox_url": None})) as server,
        pytest.raises(PlatformRefused, match="the image set is finished"),
    ):
        client(server).dropbox("2")


def test_an_images_name_is_its_file_name_or_read_from_its_path() -> None:
    inner = deepcopy(IMAGE)
    inner["blobstorage_path"] = "main/uploads/imageset-22-10-2020/sub/uploads/imageset-22-10-2020/b c.png"
    image = IMAGE | {"blobstorage_path": "main/uploads/a%2Fb/c.png", "file_name": "c.png"}
    with scripted(said({"images": [IMAGE, inner, image], "pagination": ONE_PAGE})) as server:
        first, second, third = client(server).list_images("1")
    assert third.name == "c.png"
    assert first == RemoteImage("1", "car.png", 300, 200, 4486)
    assert second.name == "sub/uploads/imageset-22-10-2020/b c.png"


def test_lists_are_followed_over_all_pages() -> None:
    pages = [
        said({"images": [IMAGE | {"image_id": n}], "pagination": ONE_PAGE | {"page": n, "pages": 3}}) for n in (1, 2, 3)
    ]
    with scripted(*pages) as server:
        assert [image.id for image in client(server).list_images("1")] == ["1", "2", "3"]
        assert "page=3" in server.requests[2]


def test_a_server_that_does_not_count_pages_is_not_read_for_ever() -> None:
    stuck = said({"images": [IMAGE], "pagination": ONE_PAGE | {"pages": 2}})
    with scripted(stuck) as server, pytest.raises(PlatformRefused, match=r"pagination\.page is 1 though 2"):
        list(client(server).list_images("1"))


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"campaigns": items}])
def test_a_campaign_is_found_without_filters_and_pages(wrap: Callable[[Any], Any]) -> None:
    others = [CAMPAIGN | {"campaign_id": n, "title": f"other-{n}"} for n in (1, 2)]
    with scripted(said(wrap([*others, CAMPAIGN]))) as server:
        campaign = client(server).find_campaign("campaign-26-10-2020")
        assert campaign is not None
        assert campaign.id == "3"
        assert client(server).find_campaign("campaign-26") is None
        assert "title=campaign-26 " in server.requests[1].replace("&", " ")


def test_two_campaigns_of_one_title_are_refused() -> None:
    with (
        scripted(said([CAMPAIGN, CAMPAIGN | {"campaign_id": 9}])) as server,
        pytest.raises(PlatformRefused, match="there are 2 of that title: 3, 9"),
    ):
        client(server).find_campaign("campaign-26-10-2020")


def test_labels_are_read_without_images_that_are_not_labeled() -> None:
    polygon = {"label": "Wood", "confidence": 1, "bounding_box": None, "polygon": [[0, 0], [9, 0.5], [5, 8]]}
    items = [
        LABELED,
        LABELED | {"image_id": 2, "file_name": "b.png", "objects": []},
        LABELED | {"image_id": 3, "file_name": "c.png", "objects": None},
        LABELED | {"image_id": 4, "file_name": "d.png", "objects": [], "done": False},
        LABELED | {"image_id": 5, "file_name": "e.png", "objects": [polygon], "done": True},
    ]
    with scripted(said({"images": items, "pagination": ONE_PAGE | {"pages": 2}})) as server:
        page = client(server).read_labels("3")
    size = Size(300, 200)
    assert page.images == (
        LabeledImage("car.png", size, (Annotation("Plastic", Box(13, 123, 57, 198), 0.56),), "1"),
        LabeledImage("b.png", size, (), "2"),
        LabeledImage("e.png", size, (Annotation("Wood", Polygon(((0, 0), (9, 0.5), (5, 8))), 1),), "5"),
    )
    assert page.next == "2"


def test_what_a_labeler_is_sure_of_was_drawn_by_a_person() -> None:
    (box,) = LABELED["objects"]
    item = LABELED | {"labeled_by": "anna@example.com", "objects": [box | {"confidence": 1}, box]}
    with scripted(said({"images": [item], "pagination": ONE_PAGE})) as server:
        (image,) = client(server).read_labels("3").images
    assert [(a.confidence, a.labeler, a.origin) for a in image.annotations] == [
        (1, "anna@example.com", Origin.PERSON),
        (box["confidence"], "anna@example.com", None),
    ]


PREDICTED = LabeledImage("car.png", Size(300, 200), (Annotation("Plastic", Box(1, 2, 30, 40), 0.5),), "1")


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_the_newer_routes_is_told_apart_from_a_missing_campaign(status: int) -> None:
    """An older server knows neither PATCH /campaigns/{id}, POST /campaigns/{id}/images/reopen nor predictions."""
    current = CREATED | {"labels": ["boat"]}
    change = CampaignOrder("t", LabelSchema((Label("boat"), Label("buoy"))), "a@b.nl")
    calls: list[tuple[str, Callable[[CampaignApi], object], list[bytes]]] = [
        ("PATCH /campaigns/{id}", lambda api: api.change_campaign("7", change), [said(current), answer(status)]),
        ("images/reopen", lambda api: api.reopen_images("7", {"1": "x"}, "call"), [answer(status)]),
        ("PUT /campaigns/{id}/predictions", lambda api: api.put_predictions("7", [PREDICTED]), [answer(status)]),
    ]
    for route, call, before in calls:
        with scripted(*before, said(current)) as server, pytest.raises(PlatformRefused, match="this server") as caught:
            call(client(server))
        assert route in caught.value.message
        assert "Update the platform" in caught.value.advice
        assert not isinstance(caught.value, NotFound)
        with scripted(*before, answer(404)) as server, pytest.raises(NotFound):
            call(client(server))


def test_origins_that_the_server_tells_are_those_of_its_objects() -> None:
    (box,) = LABELED["objects"]
    model = {"origin": "prediction", "model_version": "yolo-3"}
    whole = {"label": "Fog", "confidence": 0.5, "whole_image": True}
    objects = [
        [box | model, box | model | {"confidence": 1}],
        [box | model, box | model | {"origin": "corrected", "confidence": 1}, whole | model],
        [box | {"origin": "prediction"}, box | {"confidence": 1}],
        [box | {"origin": "person", "model_version": None}],
        [box | {"origin": None, "model_version": None}],
    ]
    items = [LABELED | {"labeled_by": "anna@example.com", "objects": listed} for listed in objects]
    with scripted(said({"images": items, "pagination": ONE_PAGE})) as server:
        images = client(server).read_labels("3").images
    assert [[(a.origin, a.provenance.model_version) for a in image.annotations] for image in images] == [
        [(Origin.PREDICTION, "yolo-3")] * 2,
        [(Origin.PREDICTION, "yolo-3"), (Origin.CORRECTED, "yolo-3"), (Origin.PREDICTION, "yolo-3")],
        [(Origin.PREDICTION, None), (Origin.PERSON, None)],
        [(Origin.PERSON, None)],
        [(None, None)],
    ]
    assert {a.labeler for image in images for a in image.annotations} == {"anna@example.com"}
    assert [type(image.annotations) is Boxes for image in images] == [True, False, False, True, True]


@pytest.mark.parametrize("polygon", [None, [[0, 0], [4, 0], [4, 4]]], ids=["boxes", "one by one"])
@pytest.mark.parametrize("origin", ["robot", ["person"], 7])
def test_an_origin_that_nobody_knows_is_refused_by_its_place(origin: Any, polygon: Any) -> None:
    (box,) = LABELED["objects"]
    with (
        scripted(said({"images": [LABELED | {"objects": [box | {"origin": origin, "polygon": polygon}]}]})) as server,
        pytest.raises(PlatformRefused, match=r"images\[0\]\.objects\[0\]\.origin is"),
    ):
        client(server).read_labels("3")


def test_predictions_are_sent_in_requests_that_a_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelwright.platforms.campaign_api.predictions.OBJECTS_A_REQUEST", 3)
    monkeypatch.setattr("labelwright.platforms.campaign_api.predictions.CORNERS_A_REQUEST", 10)
    model = Provenance(origin=Origin.PREDICTION, model_version="yolo-3")
    triangle = Polygon(((0, 0), (4, 0), (4, 4)))
    shapes: list[list[Any]] = [
        [Box(1, 2, 3, 4)],
        [Box(1, 2, 3, 4)] * 2,
        [WholeImage()],
        [Box(1, 2, 3, 4)] * 5,
        [],
        [triangle, MultiPolygon((triangle, Polygon(((10, 10), (14, 10), (14, 14)))))],
        [triangle],
    ]
    images = [
        LabeledImage(
            f"{n}.png",
            Size(300, 200),
            tuple(Annotation("Wood", shape, 0.5, provenance=model) for shape in some),
            str(n),
        )
        for n, some in enumerate(shapes, 1)
    ]
    with scripted(said("ok")) as server:
        client(server).put_predictions("3", images)
        bodies = [json.loads(body) for body in server.bodies]
        assert all(request.startswith("PUT /api/v1/campaigns/3/predictions ") for request in server.requests)
        assert not any("Idempotency-Key" in request for request in server.requests)
    assert [[entry["image_id"] for entry in body] for body in bodies] == [[1, 2], [3], [4], [5, 6], [7]]
    sent = {entry["image_id"]: entry["objects"] for body in bodies for entry in body}
    about = {"label": "Wood", "confidence": 0.5, "model_version": "yolo-3"}
    assert sent[1] == [about | {"bounding_box": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}}]
    assert sent[3] == [about | {"whole_image": True}]
    assert sent[5] == []
    assert sent[6][0]["polygon"] == [[0, 0], [4, 0], [4, 4]]
    assert [len(part) for part in sent[6][1]["polygons"]] == [3, 3]
    assert sent[6][1]["bounding_box"] == {"xmin": 0, "ymin": 0, "xmax": 14, "ymax": 14}


def test_predictions_that_cannot_be_sent_are_refused_before_a_request() -> None:
    mask = LabeledImage("a.png", Size(9, 9), (Annotation("Wood", Mask(((1, 0, 2),))),), "1")
    for image, message in (
        (mask, "image 'a.png': .* no masks"),
        (replace(PREDICTED, remote_id=""), "no image with id ''"),
    ):
        with scripted(said("ok")) as server, pytest.raises(PlatformRefused, match=message):
            client(server).put_predictions("3", [PREDICTED, image])
        assert server.requests == []


def test_labeler_and_time_of_an_image_are_those_of_its_objects() -> None:
    items = [
        LABELED | {"labeled_by": "anna@example.com", "date_labeled": "2026-11-29T12:00:00.5Z"},
        LABELED | {"labeled_by": None, "date_labeled": "some day"},
        LABELED | {"labeled_by": 7, "date_labeled": "2026-11-29T14:00:00+02:00"},
    ]
    with scripted(said({"images": items, "pagination": ONE_PAGE})) as server:
        page = client(server).read_labels("3")
    noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    assert [annotation.provenance for image in page.images for annotation in image.annotations] == [
        Provenance("anna@example.com", changed_at=noon.replace(microsecond=500_000)),
        UNKNOWN,
        Provenance(changed_at=noon),
    ]


def test_whole_images_and_attributes_are_read_as_optional_fields() -> None:
    whole = {"label": "Fog", "confidence": 1, "bounding_box": None, "whole_image": True, "attributes": {"how": "thick"}}
    plain = LABELED["objects"][0] | {"whole_image": False, "attributes": None, "polygons": None}
    with scripted(said({"images": [LABELED | {"objects": [whole, plain]}]})) as server:
        (image,) = client(server).read_labels("3").images
    assert image.annotations == (
        Annotation("Fog", WholeImage(), 1, {"how": "thick"}),
        Annotation("Plastic", Box(13, 123, 57, 198), 0.56),
    )


@pytest.mark.parametrize(("total", "gone"), [(2, ["7"]), (3, [])], ids=["all are listed", "the listing is cut off"])
def test_an_image_that_vanished_is_found_when_the_listing_is_whole(total: int, gone: list[str]) -> None:
    items = [LABELED, LABELED | {"image_id": 2, "file_name": "b.png", "objects": None}]
    counted = CAMPAIGN | {"progress": {"done": 1, "total": total}}
    with scripted(said({"images": items}), said(counted)) as server:
        deleted = client(server).deleted_images("3", ["1", "2", "7"])
    assert list(deleted) == gone


def test_labels_of_a_campaign_are_listed_where_the_server_has_them() -> None:
    with scripted(said(CAMPAIGN | {"labels": ["Plastic", "Wood"]})) as server:
        labels = client(server).list_labels("3")
    assert labels is not None
    assert labels.names == ("Plastic", "Wood")
    with scripted(said(CAMPAIGN)) as server:
        assert client(server).list_labels("3") is None


def _with(path: str, value: Any) -> Any:
    item = deepcopy(LABELED)
    place: Any = item
    *parts, last = path.split(".")
    for part in parts:
        place = place[int(part)] if part.isdigit() else place[part]
    place[last] = value
    return item


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (_with("objects.0.bounding_box.xmax", 10**400), "xmax is too large a number"),
        (_with("objects.0.bounding_box.xmax", "57"), "images[0].objects[0].bounding_box.xmax is a text, not a number"),
        (_with("objects.0.bounding_box", None), "images[0].objects[0].bounding_box is null, not an object"),
        (_with("objects.0.confidence", 1.5), "of image 'car.png' cannot be: confidence is a fraction"),
        (_with("objects.0.confidence", True), "confidence is true or false, not a number"),
        (_with("objects.0.label", ""), "of image 'car.png' cannot be: an annotation needs a label"),
        (_with("objects.0.polygon", [[0, 0], [4]]), "polygon[1] is not a pair of numbers"),
        (_with("objects.0.polygons", [[[0, 0], [4, 0], [4, 4]], 7]), "polygons[1] is not a list of corners"),
        (_with("objects.0.attributes", {"state": 7}), "attributes.state is a number, not a text"),
        (_with("objects.0.polygon", [[0, 0], [4, None]]), "polygon[1] is null, not a number"),
        (_with("objects", {}), "images[0].objects is an object, not a list"),
        (_with("width", 0), "images[0].width (image 'car.png'): an image is at least 1 x 1 pixels"),
        (_with("file_name", None), "images[0].file_name is null, not a text"),
        ([], "images[0] is a list, not an object"),
    ],
)
def test_labels_that_cannot_be_are_refused_with_image_and_object(item: Any, message: str) -> None:
    with scripted(said({"images": [item]})) as server, pytest.raises(PlatformRefused) as caught:
        client(server).read_labels("3")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("item", "message", "reason", "dropped"),
    [
        (_with("objects.0.bounding_box.xmax", 5), "box is inverted", "no area", True),
        (_with("objects.0.bounding_box.xmin", float("nan")), "box: xmin is not a number", "malformed", True),
        (_with("objects.0.bounding_box.xmax", float("inf")), "box: xmax is infinite", "malformed", True),
        (_with("objects.0.polygon", [[0, 0], [4, 4], [4, 0], [0, 4]]), "polygon crosses", "crosses itself", True),
        (_with("objects.0.polygon", [[300, 0], [304, 4], [304, 0]]), "outside the image", "outside its image", True),
        (_with("objects.0.polygon", [[0, 0], [4]]), "polygon[1] is not a pair of numbers", "malformed", True),
        (_with("objects.0.confidence", 1.5), "confidence is a fraction", "malformed", True),
        (_with("objects.0.bounding_box.xmax", 400), "reached beyond its image", "cut to its image", False),
    ],
)
def test_an_object_that_cannot_be_kept_blocks_no_other_one(item: Any, message: str, reason: str, dropped: bool) -> None:
    other = LABELED | {"image_id": 2, "file_name": "b.png"}
    with scripted(said({"images": [item, other], "pagination": ONE_PAGE})) as server:
        page = client(server).read_labels("3")
    assert [len(image.annotations) for image in page.images] == [0 if dropped else 1, 1]
    (notice,) = page.left_out
    assert (notice.reason, notice.image, notice.dropped) == (reason, "car.png", dropped)
    assert message in notice.detail
    assert "images[0].objects[0] of image 'car.png'" in notice.detail


@pytest.mark.parametrize(
    ("campaign", "message"),
    [
        (CAMPAIGN | {"status": "paused"}, "status is 'paused', which is none of created, active, completed, finished"),
        ({k: v for k, v in CAMPAIGN.items() if k != "progress"}, "progress is missing"),
        (CAMPAIGN | {"progress": {"done": "2", "total": 4}}, "progress.done is a text, not a whole number"),
        (CAMPAIGN | {"campaign_id": None}, "campaign_id is null, not an id"),
        ("ok", "the answer is a text, not an object"),
        (None, "the answer is null, not an object"),
    ],
)
def test_a_malformed_campaign_is_refused_with_the_fields_name(campaign: Any, message: str) -> None:
    with scripted(said(campaign)) as server, pytest.raises(PlatformRefused) as caught:
        client(server).read_campaign("3")
    assert message in str(caught.value)


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_of_the_notebooks_api_has_no_labels_to_read(status: int) -> None:
    with scripted(answer(status), said(CAMPAIGN)) as server, pytest.raises(PlatformRefused) as caught:
        client(server).read_labels("3")
    assert "knows no GET /campaigns/{id}/objects" in caught.value.message
    assert not isinstance(caught.value, NotFound)
    assert "Update the platform" in str(caught.value)


def test_the_labels_of_a_campaign_that_is_not_there_are_not_found() -> None:
    with scripted(answer(404)) as server, pytest.raises(NotFound):
        client(server).read_labels("3")


def test_a_race_for_a_state_that_somebody_else_won_is_no_error() -> None:
    waiting, won = said(CAMPAIGN | {"status": "completed"}), said(CAMPAIGN | {"status": "finished"})
    with scripted(waiting, said({}, 409), won) as server:
        client(server).finish_campaign("3")
        assert len(server.requests) == 3
    with scripted(waiting, said({}, 409), waiting) as server, pytest.raises(PlatformRefused):
        client(server).finish_campaign("3")


def test_a_set_that_somebody_else_sealed_is_sealed() -> None:
    with scripted(said({}, 409), said(IMAGE_SET | {"status": "finishing"})) as server:
        client(server).seal_image_set("2")
    with scripted(said({}, 409), said(IMAGE_SET)) as server, pytest.raises(PlatformRefused):
        client(server).seal_image_set("2")


def test_images_are_added_a_thousand_at_a_time() -> None:
    with scripted(said("ok")) as server:
        client(server).add_images("3", [str(number) for number in range(2500)])
        assert len(server.requests) == 3


def test_ids_and_addresses_cannot_leave_their_place_in_a_path() -> None:
    with scripted(said(CAMPAIGN)) as server:
        client(server).read_campaign("../image_sets/1?x=")
        assert server.requests[0].startswith("GET /api/v1/campaigns/..%2Fimage_sets%2F1%3Fx%3D ")
    with scripted(said({"apikey": "k", "apisecret": "s"})) as server:
        access = client(server).rotate_labeler_key("a/b+c@d.nl")
        assert access == LabelerAccess("a/b+c@d.nl", "k", Secret("s"))
        assert server.requests[0].startswith("POST /api/v1/users/a%2Fb%2Bc@d.nl/keys ")


def test_an_image_has_an_address_on_the_platform() -> None:
    api = CampaignApi("http://u:p@localhost:8080/api/v1/", "k", Secret("s"))
    assert api.image_url("7") == "http://localhost:8080/api/v1/images/7"


CORNERS = {"xmin": 0, "ymin": 1.5, "xmax": 9, "ymax": 8}
PLAIN: dict[str, Any] = {"label": "boat", "confidence": 1, "bounding_box": CORNERS}


def labeled(*objects: Any, **fields: Any) -> tuple[LabeledImage, list[ShapeNotice]]:
    image = {"image_id": 7, "file_name": "a.png", "width": 10, "height": 10, "objects": list(objects)}
    image |= {"labeled_by": "ann@example.com", "date_labeled": "2026-11-29T12:00:00+00:00"}
    notices = ShapeNotices()
    return labeled_from(Fields("campaign_api", "read", image | fields), notices), notices.left_out


@pytest.mark.parametrize("confidences", [(1, 1.0), (0.25, 0.5), (1, 0.5), ()])
def test_plain_boxes_are_read_as_those_with_further_fields_are(confidences: tuple[float, ...]) -> None:
    objects = [PLAIN | {"confidence": confidence} for confidence in confidences]
    for fields in ({}, {"labeled_by": None}, {"date_labeled": None, "labeled_by": None}):
        quick, slow = (labeled(*boxes, **fields) for boxes in (objects, [{**box, "attributes": {}} for box in objects]))
        assert quick == slow
        assert [one.provenance for one in quick[0].annotations] == [one.provenance for one in slow[0].annotations]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"label": 3}, "images[0].objects[1].label is a number, not a text"),
        ({"confidence": True}, "objects[1].confidence is true or false, not a number"),
        ({"confidence": 2}, "confidence is a fraction from 0 to 1, not 2"),
        ({"bounding_box": CORNERS | {"xmin": False}}, "xmin is true or false, not a number"),
        ({"bounding_box": CORNERS | {"ymax": "8"}}, "ymax is a text, not a number"),
        ({"bounding_box": CORNERS | {"xmax": 0}}, "box is empty: xmin and xmax are both 0"),
        ({"bounding_box": {"xmin": 1}}, "is missing"),
    ],
)
def test_one_bad_box_among_plain_ones_is_left_out_with_its_fault(change: dict[str, Any], fault: str) -> None:
    image, left_out = labeled(PLAIN, PLAIN | change)
    assert len(image.annotations) == 1
    assert len(left_out) == 1
    assert fault.removeprefix("images[0].") in left_out[0].detail


def test_a_box_beyond_its_image_is_cut_though_others_are_plain() -> None:
    image, left_out = labeled(PLAIN, PLAIN | {"bounding_box": {"xmin": 1, "ymin": 1, "xmax": 30, "ymax": 8}})
    assert [annotation.shape for annotation in image.annotations] == [Box(0, 1.5, 9, 8), Box(1, 1, 10, 8)]
    assert [notice.dropped for notice in left_out] == [False]
