"""What the labeling page asks for beyond the contract: own campaigns, stored objects, revisions."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from PIL import Image


@pytest.fixture
def path():
    return lambda campaign, image=None: (
        f"/labeling/campaigns/{campaign['campaign_id']}" + (f"/images/{image}" if image else "")
    )


def put(caller, where, objects, revision):
    return caller("PUT", where, {"objects": objects}, headers={"If-Match": f'"{revision}"'} if revision else {})


def test_a_labeler_sees_the_own_campaigns_with_what_labeling_needs(service):
    campaign, ids, labeler = service.campaign(
        2, labels=["Wood"], instructions="Look.", label_translations={"Wood": {"nl": "Hout"}}
    )
    service.campaign(1)
    body = labeler.get("/labeling/campaigns")
    assert body["me"]["role"] == "labeler"
    (mine,) = body["campaigns"]
    assert mine["campaign_id"] == campaign["campaign_id"]
    assert mine["labels"] == ["Wood"]
    assert mine["instructions"] == "Look."
    assert mine["label_translations"] == {"Wood": {"nl": "Hout"}}
    assert mine["progress"] == {"done": 0, "total": len(ids)}
    assert mine["status"] == "active"
    assert "access_token" not in mine
    assert labeler.get(f"/labeling/campaigns/{campaign['campaign_id']}") == mine


def test_an_admin_sees_all_campaigns_and_who_labels(service):
    campaign, _, labeler = service.campaign(1)
    email = labeler.get("/labeling/campaigns")["me"]["email"]
    body = service.get("/labeling/campaigns", params={"per_page": 10000})
    assert body["me"]["role"] == "admin"
    assert {c["campaign_id"]: c["labeler"] for c in body["campaigns"]}[campaign["campaign_id"]] == email


def test_another_labelers_campaign_does_not_exist(service, path):
    campaign, (image,), _ = service.campaign(1)
    _, _, other = service.campaign(1)
    for method, where, body in (
        ("GET", path(campaign), None),
        ("GET", path(campaign, image), None),
        ("GET", f"{path(campaign, image)}/picture", None),
        ("PUT", path(campaign, image), {"objects": []}),
        ("PUT", f"{path(campaign)}/images", {"images": [{"image_id": image, "objects": [], "revision": "none"}]}),
        ("PUT", f"{path(campaign)}/images", {"nonsense": 1}),
    ):
        response = other(method, where, body, headers={"If-Match": '"none"'})
        unknown = other(
            method, where.replace(f"/{campaign['campaign_id']}", "/999999", 1), body, headers={"If-Match": '"none"'}
        )
        assert response.status_code == unknown.status_code == 404
        assert response.json()["error"]["code"] == unknown.json()["error"]["code"]
        assert requests.request(method, service.api + where, json=body, timeout=60).status_code == 401


def test_an_image_of_another_campaign_is_not_in_this_one(service, path):
    campaign, _, labeler = service.campaign(1)
    _, (foreign,), _ = service.campaign(1)
    assert labeler("GET", path(campaign, foreign)).status_code == 404
    assert put(labeler, path(campaign, foreign), [], "none").status_code == 404
    assert labeler("GET", f"{path(campaign, foreign)}/picture").status_code == 404


def test_what_is_submitted_is_what_is_stored_and_told(service, make, path):
    campaign, (first, two), labeler = service.campaign(2)
    where = path(campaign, first)
    fresh = labeler.get(where)
    assert fresh == {
        "image_id": first,
        "name": "0000.png",
        "width": 100,
        "height": 80,
        "done": False,
        "objects": [],
        "revision": "none",
        "reopened": None,
        "predictions": [],
        "skipped": None,
        "notes": [],
    }
    objects = [make.thing(confidence=0.433), make.thing("Wood")]
    response = put(labeler, where, objects, "none").json()
    assert response["campaign"]["progress"] == {"done": 1, "total": 2}
    body = labeler("GET", where)
    assert body.json()["objects"] == objects
    assert body.headers["ETag"] == f'"{response["revision"]}"'
    listed = service.get(f"/campaigns/{campaign['campaign_id']}/objects")["images"]
    assert [entry["objects"] for entry in listed] == [objects]
    assert put(labeler, path(campaign, two), [], "none").json()["campaign"]["status"] == "completed"


def test_a_stale_write_is_refused_and_changes_nothing(service, make, path):
    campaign, (image, _), labeler = service.campaign(2)
    where = path(campaign, image)
    revision = put(labeler, where, [make.thing("Wood")], "none").json()["revision"]
    labeler.ok("PUT", f"/campaigns/{campaign['campaign_id']}/objects", [{"image_id": image, "objects": []}])
    response = put(labeler, where, [make.thing("Plastic")], revision)
    assert response.status_code == 412
    assert response.json()["error"]["code"] == "stale"
    now = labeler.get(where)
    assert now["objects"] == []
    assert response.json()["error"]["details"] == {"image_id": image, "revision": now["revision"]}
    assert put(labeler, where, [make.thing("Plastic")], now["revision"]).status_code == 200


def test_saying_the_same_twice_is_no_conflict(service, make, path):
    campaign, (image, _), labeler = service.campaign(2)
    first = put(labeler, path(campaign, image), [make.thing()], "none")
    again = put(labeler, path(campaign, image), [make.thing()], "none")
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["revision"] == again.json()["revision"]


def test_several_images_are_submitted_at_once_all_or_none(service, make, path):
    campaign, ids, labeler = service.campaign(3)
    where = f"{path(campaign)}/images"
    entries = [{"image_id": image, "objects": [make.thing()], "revision": "none"} for image in ids]
    stale = [*entries[:2], {**entries[2], "revision": "something else"}]
    response = labeler("PUT", where, {"images": stale})
    assert response.status_code == 412
    assert response.json()["error"]["details"] == {"image_id": ids[2], "revision": "none"}
    assert not any(labeler.get(path(campaign, image))["done"] for image in ids)
    submitted = labeler.ok("PUT", where, {"images": entries})
    assert submitted["campaign"]["status"] == "completed"
    assert submitted["revisions"] == {str(image): labeler.get(path(campaign, image))["revision"] for image in ids}
    for body in ({"images": [entries[0], entries[0]]}, {"images": [{"image_id": ids[0]}]}, {"images": 1}, []):
        assert labeler("PUT", where, body).status_code == 422


def test_a_write_without_a_revision_is_refused(service, path):
    campaign, (image, _), labeler = service.campaign(2)
    response = put(labeler, path(campaign, image), [], None)
    assert response.status_code == 428
    assert not labeler.get(path(campaign, image))["done"]


def test_of_many_that_write_at_once_one_wins(service, make, path):
    campaign, (image, _), labeler = service.campaign(2)
    where = path(campaign, image)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: put(labeler, where, [make.thing(f"label {n}")], "none"), range(8)))
    assert sorted(response.status_code for response in answers) == [200] + [412] * 7
    winner = next(n for n, response in enumerate(answers) if response.status_code == 200)
    assert labeler.get(where)["objects"][0]["label"] == f"label {winner}"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"objects": 3}', b'{"objects": [], "x": 1}', b'{"objects": [{"label": 1}]}', b"\xff"]
)
def test_what_is_no_submission_is_refused(service, path, body):
    campaign, (image, _), labeler = service.campaign(2)
    headers = {**labeler.headers, "If-Match": '"none"'}
    response = requests.put(labeler.api + path(campaign, image), data=body, headers=headers, timeout=60)
    assert response.status_code == 422
    assert response.json()["error"]["message"]


def test_nothing_is_taken_while_the_campaign_is_not_active(service, path):
    campaign, (image,), labeler = service.campaign(1, active=False)
    assert put(labeler, path(campaign, image), [], "none").status_code == 409
    assert labeler("GET", path(campaign, image)).status_code == 200


def test_a_picture_comes_from_the_same_host_and_as_browsers_show_it(service, make):
    shown = Image.new("RGB", (30, 20), (10, 200, 30))
    target = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    shown.save(target, "TIFF", exif=exif)
    sealed = service.set_of({"a.png": make.picture(10, 10), "b.tiff": target.getvalue()})
    ids = [image["image_id"] for image in service.images_of(sealed["imageset_id"])]
    campaign = service.ok(
        "POST", "/campaigns", {"title": make.fresh("c"), "metadata": None, "labeler_email": "p@x.org"}
    )
    service.ok("POST", f"/campaigns/{campaign['campaign_id']}/images", [{"id": image} for image in ids])
    where = f"/labeling/campaigns/{campaign['campaign_id']}/images"
    png = service("GET", f"{where}/{ids[0]}/picture", allow_redirects=False)
    assert png.status_code == 302
    assert png.headers["Location"].startswith("/blob/")
    fetched = requests.get(service.url + png.headers["Location"], timeout=60)
    assert fetched.content == make.picture(10, 10)
    tiff = service("GET", f"{where}/{ids[1]}/picture")
    assert tiff.headers["Content-Type"] == "image/png"
    body = service.get(f"{where}/{ids[1]}")
    assert Image.open(io.BytesIO(tiff.content)).size == (body["width"], body["height"]) == (20, 30)
