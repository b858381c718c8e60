"""What one client can take of the service: threads, memory, the database; and that others still get an answer."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

import orjson
import pytest
import requests
from azure.storage.blob import ContainerClient

from labelwright.service import Limits, objects
from labelwright.service.blobs.xml import BadXml, block_ids
from labelwright.service.bodies import BodyBudget, BodyBudgetExceeded, BodyShare
from labelwright.service.objects import Objects

JSON = {"Content-Type": "application/json"}

GUARD = 60
"""Seconds after which a test fails that would hang."""


def star(corners: int) -> list[list[float]]:
    """A polygon in 100 x 80 pixels whose edges' bounding boxes overlap, so that comparing all pairs takes long."""
    ring = []
    for number in range(corners):
        radius, angle = (39 if number % 2 else 0.5), 2 * math.pi * number / corners
        ring.append([50 + radius * math.cos(angle), 40 + radius * math.sin(angle)])
    return ring


def outlined(make, ring):
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    return make.thing(polygon=ring) | {"bounding_box": make.box(min(xs), min(ys), max(xs), max(ys))}


@pytest.fixture
def held_up(monkeypatch):
    """Objects.put waits until the event is set; the list holds the bodies that it was called with."""
    go, calls, real = threading.Event(), [], Objects.put

    def put(self, campaign, body, *more, **options):
        calls.append(body)
        assert go.wait(GUARD)
        return real(self, campaign, body, *more, **options)

    monkeypatch.setattr(Objects, "put", put)
    yield go, calls
    go.set()


def test_a_polygon_of_ten_thousand_corners_is_taken(service, make):
    campaign, (image,), labeler = service.campaign(1)
    body = [{"image_id": image, "objects": [outlined(make, star(10_000))]}]
    assert labeler.ok("PUT", f"/campaigns/{campaign['campaign_id']}/objects", body) == "ok"


def test_others_are_answered_while_one_labelers_requests_wait(service, make, held_up):
    go, calls = held_up
    campaign, (image,), labeler = service.campaign(1)
    other, (others_image,), colleague = service.campaign(1)
    body = [{"image_id": image, "objects": [outlined(make, star(100))]}]
    with ThreadPoolExecutor(46) as threads:
        puts = [
            threads.submit(labeler, "PUT", f"/campaigns/{campaign['campaign_id']}/objects", body) for _ in range(45)
        ]
        while not calls:
            time.sleep(0.01)
        assert requests.get(f"{service.url}/health", timeout=GUARD).json()["status"] == "ok"
        assert service.get(f"/campaigns/{campaign['campaign_id']}")["progress"]["done"] == 0, "other routes answer too"
        where = f"/campaigns/{other['campaign_id']}/objects"
        mine = threads.submit(colleague, "PUT", where, [{"image_id": others_image, "objects": []}])
        while len(calls) < 2:
            time.sleep(0.01)
        assert orjson.loads(calls[1])[0]["image_id"] == others_image, "one request of a user at a time"
        assert not any(put.done() for put in puts)
        go.set()
        assert mine.result().status_code == 200
        assert sorted({put.result().status_code for put in puts}) == [200, 409], "the first one completes the campaign"


def test_work_of_a_client_that_is_gone_is_not_begun(service, make, held_up):
    go, calls = held_up
    campaign, (image,), labeler = service.campaign(1)
    where = f"/api/v1/campaigns/{campaign['campaign_id']}/objects"
    body = orjson.dumps([{"image_id": image, "objects": []}])
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(labeler, "PUT", f"/campaigns/{campaign['campaign_id']}/objects", [])
        while not calls:
            time.sleep(0.01)
        gone = HTTPConnection(urlsplit(service.url).netloc, timeout=GUARD)
        gone.request("PUT", where, body, {**labeler.headers, "Content-Type": "application/json"})
        time.sleep(0.5)  # until it waits
        gone.close()
        time.sleep(1)  # until that was noticed
        go.set()
        assert first.result().status_code == 200
    assert labeler.ok("PUT", f"/campaigns/{campaign['campaign_id']}/objects", []) == "ok"
    assert calls == [b"[]", b"[]"]


def test_checking_ends_between_two_objects_when_the_client_is_gone(monkeypatch):
    class Gone(Exception):
        pass

    checked = []
    monkeypatch.setattr(objects, "object_faults", lambda *_, **_options: checked.append(1) or [])
    row = type("Row", (), {"id": 1, "status": "active", "labels": None, "label_schema": None})
    monkeypatch.setattr(objects, "find_campaign", lambda *_: row)
    monkeypatch.setattr(objects, "_sizes", lambda *_: {1: None})

    class Connection:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    class Database:
        read = Connection

    def pause():
        if len(checked) == 2:
            raise Gone

    body = orjson.dumps([{"image_id": 1, "objects": [{}] * 10}])
    with pytest.raises(Gone):
        Objects(Database(), Limits()).put(1, body, None, pause=pause)
    assert len(checked) == 2


def test_the_corners_of_one_request_are_limited(serve, make):
    with serve(limits=Limits(corners_per_request=300)) as service:
        campaign, (image,), labeler = service.campaign(1)
        body = [{"image_id": image, "objects": [outlined(make, star(100))] * 4}]
        response = labeler("PUT", f"/campaigns/{campaign['campaign_id']}/objects", body)
        assert response.status_code == 422
        assert "at most 300 corners" in response.json()["error"]["message"]


@pytest.mark.parametrize("piece", [b"[]", b"{}", b'{"a":[]}'])
@pytest.mark.parametrize("where", ["/campaigns/{}/objects", "/labeling/campaigns/{}/images", "/campaigns/{}/images"])
def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(service, piece, where):
    campaign, _, _ = service.campaign(1)
    body = b"[" + b",".join([piece] * (3_700_000 // (len(piece) + 1))) + b"]"
    method = "POST" if where.endswith("}/images") and "labeling" not in where else "PUT"
    response = service(method, where.format(campaign["campaign_id"]), None, data=body, headers=JSON)
    assert response.status_code == 422, response.text
    assert "are allowed: send it in parts" in response.json()["error"]["message"]


def test_bodies_are_limited_by_route(service):
    campaign, _, _ = service.campaign(1)
    body = b'[{"id": 1}' + b" " * 5_000_000 + b"]"
    assert (
        service("POST", f"/campaigns/{campaign['campaign_id']}/images", None, data=body, headers=JSON).status_code
        == 413
    )
    assert (
        service("PUT", f"/campaigns/{campaign['campaign_id']}/objects", None, data=body, headers=JSON).status_code
        == 422
    )


@pytest.mark.parametrize("depth", [100, 900, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(
    ("method", "where"),
    [
        ("POST", "/image_sets"),
        ("POST", "/campaigns"),
        ("PUT", "/image_sets/1"),
        ("PUT", "/campaigns/{}"),
        ("POST", "/campaigns/{}/images"),
        ("PUT", "/campaigns/{}/objects"),
        ("PUT", "/labeling/campaigns/{}/images"),
        ("PUT", "/labeling/campaigns/{}/images/1"),
    ],
)
def test_a_deeply_nested_body_is_the_clients_fault(service, depth, start, end, method, where):
    body = start * depth + "1" + end * depth
    for text in (body, f'{{"title": "deep", "metadata": {body}}}'):
        response = service(method, where.format(1), None, data=text, headers=JSON)
        assert 400 <= response.status_code < 500, response.text


def test_metadata_may_hold_brackets_in_texts(service, make):
    metadata = {"a": "[{" * 100 + '"', "b": [[["]" * 90]]]}
    image_set = service.ok("POST", "/image_sets", {"title": make.fresh("set"), "metadata": metadata})
    assert image_set["metadata"] == metadata


def test_a_block_list_of_very_many_elements_is_refused_before_it_is_parsed():
    with pytest.raises(BadXml, match="50,000"):
        block_ids(b"<BlockList>" + b"<a/>" * 200_000 + b"</BlockList>")
    with pytest.raises(BadXml):
        block_ids(b"<a>" * 900 + b"</a>" * 900)


def test_a_block_list_of_attributes_is_refused_before_it_is_parsed():
    many = b" ".join(b"a%d = ''" % number for number in range(100_000))
    with pytest.raises(BadXml, match="no attributes"):
        block_ids(b"<BlockList " + many + b"/>")
    ids = block_ids(b"<?xml version='1.0' encoding='utf-8'?><BlockList><Latest>QQ==</Latest></BlockList>")
    assert ids == ["QQ=="]


def test_a_block_list_in_another_encoding_hides_no_document_type():
    entities = "".join(f'<!ENTITY e{number + 1} "{f"&e{number};" * 10}">' for number in range(8))
    text = f'<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><BlockList><Latest>&e8;</Latest></BlockList>'
    for body in (text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-16-be")):
        with pytest.raises(BadXml, match="UTF-8"):
            block_ids(body)
    with pytest.raises(BadXml, match="unknown encoding"):
        block_ids(b"<?xml version='1.0' encoding='nosuch'?><BlockList/>")


def test_one_user_gets_half_of_the_memory_for_bodies():
    held = BodyBudget(100)
    with held.body(1) as mine, held.body(1) as mine_too, held.body(2) as others:
        mine.add(30)
        mine_too.add(20)
        with pytest.raises(BodyBudgetExceeded):
            mine.add(1)
        others.add(50)
        with held.body(3) as third, pytest.raises(BodyBudgetExceeded):
            third.add(1)
    with held.body(3) as body:
        assert isinstance(body, BodyShare)
        body.add(50)


def test_beyond_the_memory_for_bodies_the_answer_is_503(serve):
    with serve(limits=Limits(bodies_bytes=1000)) as service:
        response = service("PUT", "/campaigns/1/objects", None, data=b"[" + b" " * 600 + b"]")
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert response.json()["error"]["code"] == "unavailable"


def test_a_locked_database_is_503_on_every_kind_of_route(serve, make, tmp_path):
    with serve(limits=Limits(lock_seconds=0.2)) as service:
        image_set = service.image_set()
        lock = sqlite3.connect(tmp_path / "data" / "labelwright.sqlite3", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        try:
            order = {"title": "another", "metadata": None}
            for headers in ({}, {"Idempotency-Key": "one"}):
                response = service("POST", "/image_sets", order, headers=headers)
                assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
                assert int(response.headers["Retry-After"]) > 0
            blob = image_set["dropbox_url"].replace("?", "/a.png?")
            response = requests.put(blob, data=b"x", headers={"x-ms-blob-type": "BlockBlob"}, timeout=GUARD)
            assert (response.status_code, response.headers["x-ms-error-code"]) == (503, "ServerBusy")
            assert response.headers["Retry-After"]
            assert service.get("/image_sets")["image_sets"], "reading goes on"
            assert requests.get(f"{service.url}/health", timeout=GUARD).status_code == 200
        finally:
            lock.close()
        assert service.ok("POST", "/image_sets", order, headers={"Idempotency-Key": "one"})["title"] == "another"


def test_an_exclusively_locked_database_is_503_for_readers_too(serve, tmp_path, monkeypatch):
    from sqlalchemy.exc import OperationalError

    from labelwright.service.access import Access

    def recognize(*_):
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError("SELECT", {}, error)

    with serve() as service:
        monkeypatch.setattr(Access, "recognize", recognize)
        response = service("GET", "/image_sets")
        assert response.status_code == 503
        assert response.headers["Retry-After"]


_KILLED = """
import os, sys
from pathlib import Path
from labelwright.service import ServiceConfig, image_checks
from labelwright.service.run import serve
real = image_checks.inspect_image
def look(path, *more):
    if b"deadly" in path.read_bytes():
        os._exit(9)
    return real(path, *more)
image_checks.inspect_image = look
config = ServiceConfig(Path(sys.argv[1]), admin_key=sys.argv[2], admin_secret=sys.argv[3])
serve(config, lambda url: print(url, flush=True))
"""


def test_an_image_that_kills_the_process_is_left_out_with_a_reason(serve, make, tmp_path):
    folder = tmp_path / "data"
    with serve(folder) as service:
        image_set = service.image_set()
        with ContainerClient.from_container_url(image_set["dropbox_url"]) as dropbox:
            for name in ("a.png", "b.png", "d.png", "e.png"):
                dropbox.upload_blob(name, make.picture(9, 9))
            dropbox.upload_blob("c.png", make.picture(9, 9) + b"deadly")
    command = [sys.executable, "-c", _KILLED, str(folder), make.key, make.secret]
    deaths = 0
    while deaths < 5:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            caller = make.caller(process.stdout.readline().strip(), make.key, make.secret)
            where = f"/image_sets/{image_set['imageset_id']}"
            try:
                caller("PUT", where, {"new_status": "finished"})
                while (image_set_now := caller.get(where))["status"] != "finished":
                    time.sleep(0.05)
            except (
                requests.ConnectionError,
                requests.exceptions.ChunkedEncodingError,
                requests.exceptions.MissingSchema,  # it died before it told its address
            ):
                assert process.wait(GUARD) == 9
                deaths += 1
                continue
            process.terminate()
            break
    assert deaths == 2
    assert image_set_now["image_count"] == 4
    (rejected,) = image_set_now["rejected"]
    assert rejected["name"] == "c.png"
    assert "the service ended 2 times while it decoded this file" in rejected["reason"]
    assert not list((folder / "decoding").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_largest_images_and_hostile_body_stay_within_memory(tmp_path):
    from tests.benchmarks.bench_memory import BOUND, measure

    measured = measure(tmp_path, 13_377)
    assert measured["set"]["image_count"] == 4
    assert {status for status, _ in measured["pictures"]} == {200}
    assert len({head for _, head in measured["pictures"]}) == 1
    assert set(measured["bodies"]) <= {413, 422, 503}
    assert measured["peak"] < BOUND
