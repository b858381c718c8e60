"""Errors, limits, pages, repeated calls: what holds for every route."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator

import pytest
import requests
from azure.storage.blob import ContainerClient
from sqlalchemy import Engine, create_engine, event, insert

from labelwright.domain.error_table import ERRORS
from labelwright.service import Limits
from labelwright.service.database import campaign_images, image_sets, images, metadata


def assert_error(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    error = response.json()
    assert error.keys() == {"error"}
    assert error["error"].keys() == {"code", "error_code", "message", "details"}
    assert error["error"]["code"] == code
    assert f"HTTP {status}:" in ERRORS[error["error"]["error_code"]].cause


def test_every_refusal_has_one_shape(service):
    json_headers = {"Content-Type": "application/json"}
    assert_error(requests.get(f"{service.url}/nowhere"), 404, "not_found")
    assert_error(service("GET", "/nowhere"), 404, "not_found")
    assert_error(service("GET", "/image_sets/999999"), 404, "not_found")
    assert_error(service("DELETE", "/images"), 405, "method_not_allowed")
    assert_error(service("GET", "/image_sets/abc"), 422, "invalid")
    assert_error(service("GET", "/image_sets/99999999999999999999"), 422, "invalid")
    assert_error(service("POST", "/image_sets", None, data="{", headers=json_headers), 422, "invalid")
    assert_error(service("POST", "/image_sets", None, data=b"\xff", headers=json_headers), 422, "invalid")
    assert_error(service("POST", "/image_sets", None, data="[" * 100_000, headers=json_headers), 422, "invalid")
    assert_error(service("POST", "/image_sets", {"metadata": None}), 422, "invalid")
    fault = service("POST", "/campaigns/1/images", [{"id": 1}, {"id": "x"}]).json()["error"]
    assert fault["details"][0]["where"] == "body[1].id"


def test_a_broken_service_says_so_in_the_same_shape(serve, tmp_path):
    with serve() as service:
        with sqlite3.connect(tmp_path / "data" / "labelwright.sqlite3") as rows:
            rows.execute("drop table campaign_images")
        response = service("GET", "/campaigns/1/images")
        assert response.status_code == 404
        body = {"title": "a", "metadata": None, "labeler_email": "a@example.com"}
        number = service.ok("POST", "/campaigns", body)["campaign_id"]
        broken = service("GET", f"/campaigns/{number}/images")
        assert_error(broken, 500, "internal")
        assert "campaign_images" not in broken.text


def test_large_body_is_refused_with_or_without_content_length(serve):
    with serve(limits=Limits(body_bytes=1000)) as service:
        body = b'{"title": "' + b"x" * 2000
        assert_error(service("POST", "/image_sets", None, data=body), 413, "too_large")
        assert_error(service("POST", "/image_sets", None, data=iter([body, body])), 413, "too_large")
        assert service.image_set()["status"] == "created"


def test_counts_are_limited(serve, make):
    limits = Limits(images_per_request=2, objects_per_request=3, per_page=5, per_page_default=4)
    with serve(limits=limits) as service:
        campaign, ids, labeler = service.campaign(images=2)
        path = f"/campaigns/{campaign['campaign_id']}"
        assert_error(service("POST", f"{path}/images", [{"id": 1}] * 3), 422, "invalid")
        four = [{"image_id": image, "objects": [make.thing()] * 2} for image in ids]
        assert_error(labeler("PUT", f"{path}/objects", four), 422, "invalid")
        three = [{"image_id": number, "objects": []} for number in (1, 2, 3)]
        assert_error(labeler("PUT", f"{path}/objects", three), 422, "invalid")
        assert_error(service("GET", "/images", params={"per_page": 6}), 422, "invalid")
        assert service.get("/images")["pagination"]["per_page"] == 4


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "per_page=0", "per_page=10001", "page=99999999999"])
def test_a_page_that_cannot_be_is_refused(service, query):
    assert_error(service("GET", f"/images?{query}"), 422, "invalid")


def test_pages_miss_nothing_and_repeat_nothing(service):
    campaign, ids, labeler = service.campaign(images=7)
    path = f"/campaigns/{campaign['campaign_id']}"
    labeler.ok("PUT", f"{path}/objects", [{"image_id": image, "objects": []} for image in ids if image != ids[3]])
    for where, expected in ((f"{path}/images", ids), (f"{path}/objects", [*ids[:3], *ids[4:]])):
        listed, number = [], 1
        while number:
            page = service.get(where, params={"page": number, "per_page": 3})
            about = page["pagination"]
            assert (about["page"], about["per_page"], about["total"]) == (number, 3, len(expected))
            assert about["pages"] == -(-len(expected) // 3)
            assert about["prev"] == (number - 1 or None)
            listed += [image["image_id"] for image in page["images"]]
            number = about["next"]
        assert listed == expected
        beyond = service.get(where, params={"page": 9, "per_page": 3})
        assert beyond["images"] == []
        assert (beyond["pagination"]["next"], beyond["pagination"]["prev"]) == (None, about["pages"])


@pytest.fixture
def steps() -> Iterator[Callable[[], int]]:
    """The steps that SQLite made, in hundreds, since it was last asked; of connections opened from now on."""
    count = itertools.count()
    before = 0

    def since() -> int:
        nonlocal before
        now = next(count)
        before, start = now, now - before
        return start

    def watch(connection, _) -> None:
        connection.set_progress_handler(lambda: next(count) and None, 100)

    event.listen(Engine, "connect", watch)
    yield since
    event.remove(Engine, "connect", watch)


def test_last_page_of_100000_images_costs_no_more_than_the_first(steps, serve, tmp_path):
    count = 100_000
    with serve() as service:
        campaign, _, _ = service.campaign(images=0)
        engine = create_engine(f"sqlite:///{tmp_path}/data/labelwright.sqlite3")
        with engine.begin() as rows:
            image_set_values = {
                "title": "many",
                "status": "finished",
                "container": "x",
                "created_by": "a",
                "date_created": "b",
            }
            rows.execute(insert(image_sets).values(id=1, image_count=count, **image_set_values))
            image = {"imageset_id": 1, "width": 9, "height": 9, "filesize": 9, "filetype": "PNG"}
            numbers = range(1, count + 1)
            rows.execute(
                insert(images),
                [{"id": n, "position": n, "file_name": f"{n:06}", "blob": f"{n:06}", **image} for n in numbers],
            )
            image_values = {"campaign_id": campaign["campaign_id"], "done": True, "objects": "[]"}
            rows.execute(insert(campaign_images), [{"position": n, "image_id": n, **image_values} for n in numbers])
            rows.execute(metadata.tables["campaigns"].update().values(total=count, done=count))
        engine.dispose()
        path = f"/campaigns/{campaign['campaign_id']}"
        for where in ("/images", "/image_sets/1/images", f"{path}/images", f"{path}/objects"):
            assert service.get(where, params={"page": 100})["images"][-1]["image_id"] == count
            work = []
            for number in (1, 100):
                steps()
                service.get(where, params={"page": number})
                work.append(steps())
            assert 10 < work[1] < 3 * work[0], where


# --- Idempotency-Key


def test_a_call_said_again_is_answered_as_the_first_time(service, make):
    body = {"title": make.fresh("once"), "metadata": None, "labeler_email": f"{make.fresh('once')}@example.com"}
    headers = {"Idempotency-Key": make.fresh("key")}
    first = service("POST", "/campaigns", body, headers=headers)
    second = service("POST", "/campaigns", body, headers=headers)
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.json()["access_token"]["apisecret"]
    assert (first.headers.get("Idempotency-Replayed"), second.headers["Idempotency-Replayed"]) == (None, "true")
    refused = service("POST", "/campaigns", body, headers={"Idempotency-Key": make.fresh("key")})
    assert refused.status_code == 409


def test_a_refusal_is_remembered_too(service, make):
    image_set = service.image_set()
    headers = {"Idempotency-Key": make.fresh("key")}
    body = {"title": image_set["title"], "metadata": None}
    answers = [service("POST", "/image_sets", body, headers=headers) for _ in range(2)]
    assert [response.status_code for response in answers] == [409, 409]
    assert answers[0].json() == answers[1].json()


def test_the_same_key_with_another_call_is_refused(service, make):
    headers = {"Idempotency-Key": make.fresh("key")}
    assert service("POST", "/image_sets", {"title": make.fresh("a")}, headers=headers).status_code == 200
    other_body = service("POST", "/image_sets", {"title": make.fresh("b")}, headers=headers)
    assert_error(other_body, 422, "invalid")
    assert "Idempotency-Key" in other_body.json()["error"]["message"]
    assert (
        service("POST", "/image_sets", {"title": make.fresh("c")}, headers={"Idempotency-Key": ""}).status_code == 422
    )


def test_keys_of_different_callers_do_not_meet(service, make):
    headers = {"Idempotency-Key": make.fresh("key")}
    campaigns = [service.campaign(images=2) for _ in range(2)]
    for campaign, ids, labeler in campaigns:
        path = f"/campaigns/{campaign['campaign_id']}"
        labeler.ok("PUT", f"{path}/objects", [{"image_id": ids[0], "objects": []}], headers=headers)
        assert service.get(path)["progress"]["done"] == 1


def test_the_same_call_at_once_is_done_once(service, make):
    body, headers = {"title": make.fresh("at-once")}, {"Idempotency-Key": make.fresh("key")}
    answers = []
    callers = [
        threading.Thread(target=lambda: answers.append(service("POST", "/image_sets", body, headers=headers)))
        for _ in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert {response.status_code for response in answers} == {200}
    assert len({response.text for response in answers}) == 1


def test_a_key_is_forgotten_after_a_day(serve, make, tmp_path):
    with serve() as service:
        headers = {"Idempotency-Key": "k"}
        service.ok("POST", "/image_sets", {"title": "a"}, headers=headers)
        with sqlite3.connect(tmp_path / "data" / "labelwright.sqlite3") as rows:
            rows.execute("update answers set date_created = '2020-01-01T00:00:00.000000Z'")
        assert service.ok("POST", "/image_sets", {"title": "b"}, headers=headers)["title"] == "b"


# --- many at once


def test_eight_labelers_at_once_never_meet_a_locked_database(service, make):
    work = [service.campaign(images=6) for _ in range(8)]
    dropbox = service.image_set()
    failures = []

    def label(campaign, ids, labeler):
        path = f"/campaigns/{campaign['campaign_id']}"
        for image in ids:
            listed = labeler("GET", f"{path}/images")
            put = labeler("PUT", f"{path}/objects", [{"image_id": image, "objects": [make.thing()] * 10}])
            failures.extend(response.text for response in (listed, put) if response.status_code != 200)

    def upload():
        with ContainerClient.from_container_url(dropbox["dropbox_url"]) as client:
            for number in range(40):
                client.upload_blob(f"{number}.png", make.picture(50, 50))

    threads = [threading.Thread(target=label, args=arguments) for arguments in work] + [threading.Thread(target=upload)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for campaign, _, _ in work:
        assert service.get(f"/campaigns/{campaign['campaign_id']}")["status"] == "completed"
    assert service.seal(dropbox["imageset_id"])["image_count"] == 40


def test_labelers_of_one_campaign_complete_it_together(service):
    campaign, ids, labeler = service.campaign(images=16)
    path = f"/campaigns/{campaign['campaign_id']}"
    threads = [
        threading.Thread(target=labeler.ok, args=("PUT", f"{path}/objects", [{"image_id": image, "objects": []}]))
        for image in ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    campaign_now = service.get(path)
    assert (campaign_now["status"], campaign_now["progress"]) == ("completed", {"done": 16, "total": 16})
