"""Every call of the Scale client against the fake server, and every class of error."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labelwright.platforms.errors import AccessDenied, NotFound, PlatformError, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import Secret
from labelwright.platforms.scale.client import ScaleClient, utc
from labelwright.platforms.scale.errors import (
    Duplicate,
    InternalError,
    InvalidRequest,
    NotEnabled,
    ServiceUnavailable,
    TimedOut,
    TooManyRequests,
)
from labelwright.platforms.scale.pace import Pace
from tests.platforms.contract import unique

from .server import ScaleServer

BOXES = {"attachment": "https://store.example.com/a.jpg", "geometries": {"box": {"objects_to_annotate": ["boat"]}}}
IMAGES = "imageannotation"


@pytest.fixture(scope="module")
def shared() -> Iterator[ScaleServer]:
    with ScaleServer() as server:
        yield server


@pytest.fixture
def server(shared: ScaleServer) -> Iterator[ScaleServer]:
    shared.requests.clear()
    yield shared
    shared.heal()


def client_of(server: ScaleServer, key: str = "live_key", storm: float = 0) -> ScaleClient:
    return ScaleClient(server.url, key, timeout=(5, 20), patience=0, storm=storm, pace=Pace(0, 0.005))


@pytest.fixture
def client(server: ScaleServer) -> ScaleClient:
    return client_of(server)


@pytest.fixture
def batch(client: ScaleClient) -> str:
    project = unique("project")
    client.create_project(project, IMAGES, {"instruction": "Box it."})
    return str(client.create_batch(unique("batch"), project, metadata={"river": "Maas"})["name"])


def make(client: ScaleClient, batch: str, **more: Any) -> str:
    return str(client.create_task(IMAGES, unique_id=unique("u"), batch=batch, **(BOXES | more))["task_id"])


# Tasks


def test_a_task_of_any_type_is_made_and_fetched(client: ScaleClient) -> None:
    for type, params in {
        IMAGES: BOXES,
        "categorization": {"attachment": "https://x.example.com/a.jpg", "categories": ["sea", "river"]},
        "textcollection": {"fields": [{"type": "text"}]},
    }.items():
        task = client.create_task(type, unique_id=unique("u"), metadata={"a": 1}, **params)
        assert client.fetch_task(task["task_id"]) == task
        assert (task["type"], task["status"], task["metadata"]) == (type, "pending", {"a": 1})


def test_no_task_is_made_without_a_unique_id(server: ScaleServer, client: ScaleClient) -> None:
    with pytest.raises(PlatformRefused, match="billed twice"):
        client.create_task(IMAGES, unique_id="", **BOXES)
    assert server.requests == []


def test_tasks_are_listed_page_after_page_to_the_end(client: ScaleClient, batch: str) -> None:
    task_ids = [make(client, batch) for _ in range(5)]
    page = client.tasks(batch=batch, limit=2)
    assert ([doc["task_id"] for doc in page.docs], page.total) == ([task_ids[4], task_ids[3]], 5)
    last = client.tasks(batch=batch, limit=3, next_token=page.next)
    assert [doc["task_id"] for doc in last.docs] == [task_ids[2], task_ids[1], task_ids[0]]
    assert last.next is None
    assert [doc["task_id"] for doc in client.all_tasks(batch=batch)] == task_ids[::-1]


def test_tasks_are_filtered_by_all_that_scale_knows(client: ScaleClient, batch: str) -> None:
    first, second = make(client, batch, tags=["a", "b"]), make(client, batch, tags=["a"])
    now = datetime.now(UTC)
    for filters, expected in (
        ({"status": "pending", "type": IMAGES}, {first, second}),
        ({"status": "completed"}, set()),
        ({"tags": ["a", "b"]}, {first}),
        ({"tags": "a"}, {first, second}),
        ({"unique_id": client.fetch_task(second)["unique_id"]}, {second}),
        ({"project": client.get_batch(batch)["project"]}, {first, second}),
        (
            {"start_time": now - timedelta(hours=1), "end_time": (now + timedelta(hours=1)).replace(tzinfo=None)},
            {first, second},
        ),
        ({"start_time": now + timedelta(hours=1)}, set()),
        ({"updated_after": now - timedelta(hours=1), "updated_before": now + timedelta(hours=1)}, {first, second}),
        ({"completed_after": now - timedelta(hours=1)}, set()),
        ({"completed_before": now + timedelta(hours=1)}, set()),
        ({"customer_review_status": ["accepted", "fixed"]}, set()),
        ({"include_attachment_url": False, "limited_response": True, "status": None}, {first, second}),
    ):
        assert {doc["task_id"] for doc in client.tasks(batch=batch, **filters).docs} == expected, filters


@pytest.mark.parametrize("filters", [{"bogus": 1}, {"limit": 0}, {"limit": 101}])
def test_a_filter_that_scale_does_not_know_is_refused_here(
    server: ScaleServer, client: ScaleClient, filters: dict[str, Any]
) -> None:
    for ask in (client.tasks, client.list_batches):
        with pytest.raises(PlatformRefused):
            ask(**filters)
    assert server.requests == []


def test_cancelling_is_idempotent_except_for_completed_tasks(
    server: ScaleServer, client: ScaleClient, batch: str
) -> None:
    task = make(client, batch)
    for _ in range(2):
        assert client.cancel_task(task)["status"] == "canceled"
    assert "unique_id" not in client.cancel_task(make(client, batch), clear_unique_id=True)
    assert "unique_id" not in client.cancel_task(task, clear_unique_id=True), "though it was cancelled before"
    done = make(client, batch)
    server.live.complete(done, {"annotations": []})
    with pytest.raises(InvalidRequest, match="completed"):
        client.cancel_task(done)


def test_unique_ids_metadata_tags_and_audits(server: ScaleServer, client: ScaleClient, batch: str) -> None:
    task, name = make(client, batch), unique("u")
    assert client.set_unique_id(task, name)["unique_id"] == name
    assert "unique_id" not in client.clear_unique_id(task)
    assert client.set_task_metadata(task, {"b": 2})["metadata"] == {"b": 2}
    client.set_tags(task, ["a", "b"])
    client.add_tags(task, ["c"])
    assert client.remove_tags(task, ["a"])["tags"] == ["b", "c"]
    server.live.complete(task, {"annotations": []})
    client.audit_task(task, accepted=False, comments="look again")
    assert client.fetch_task(task)["customer_review_status"] == "rejected"


# Batches


def test_a_batch_is_made_read_counted_finalized_and_marked(
    server: ScaleServer, client: ScaleClient, batch: str
) -> None:
    read = client.get_batch(batch)
    assert (read["status"], read["metadata"]) == ("in_progress", {"river": "Maas"})
    assert client.batch_status(batch) == {"status": "in_progress"}
    make(client, batch)
    assert client.batch_status(batch) == {"status": "in_progress", "pending": 1}
    assert client.finalize_batch(batch)["name"] == batch
    assert client.finalize_batch(batch)["status"] == "in_progress"
    assert client.set_batch_metadata(batch, {"a": 1})["metadata"] == {"a": 1}


def test_batches_are_listed_by_offset_to_the_end(client: ScaleClient) -> None:
    project = unique("project")
    client.create_project(project, IMAGES)
    names = [client.create_batch(unique("b"), project)["name"] for _ in range(101)]
    page = client.list_batches(project=project, limit=2, offset=1)
    assert ([doc["name"] for doc in page.docs], page.total, page.next) == ([names[99], names[98]], 101, "3")
    assert [doc["name"] for doc in client.all_batches(project=project)] == names[::-1]


def test_names_are_encoded_to_the_last_character(server: ScaleServer, client: ScaleClient) -> None:
    name = f"a bc/дef #1? 100% {unique('')}"
    client.create_project(name, IMAGES)
    client.create_batch(name, name)
    assert client.get_batch(name)["name"] == client.get_project(name)["name"] == name
    assert "a%20bc%2F" in server.requests[-1][1]


# Projects


def test_a_project_is_made_read_listed_and_updated(client: ScaleClient) -> None:
    name = unique("project")
    created = client.create_project(name, IMAGES, {"instruction": "first", "tips": "none"})
    assert client.get_project(name) == created
    assert name in [project["name"] for project in client.projects()]
    patched = client.update_project(name, instruction="second")["param_history"][-1]
    assert (patched["version"], patched["instruction"], patched["tips"]) == (1, "second", "none")
    replaced = client.update_project(name, patch=False, instruction="third")["param_history"][-1]
    assert (replaced["version"], "tips" in replaced) == (2, False)


# Files


def test_files_are_uploaded_whole_and_imported(server: ScaleServer, client: ScaleClient, batch: str) -> None:
    data = bytes(range(256)) * 40 + b"\r\n--\r\n"
    fields = {"reference_id": unique("r"), "display_name": 'река "1".png'}
    upload = client.upload_file(data, 'sub/река "1".png', media_type="image/png", **fields)
    assert server.live.files[upload["attachment_url"]]["size"] == len(data)
    make(client, batch, attachment=upload["attachment_url"])
    with pytest.raises(Duplicate):
        client.upload_file(data, "a.png", media_type="image/png", **fields)
    assert client.import_file(Secret("https://x.example.com/a.png?sig=CANARY"))["attachment_url"]


# Errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, AccessDenied),
        (402, NotEnabled),
        (404, NotFound),
        (409, Duplicate),
        (418, PlatformRefused),
        (429, TooManyRequests),
        (500, InternalError),
        (502, PlatformUnavailable),
        (503, ServiceUnavailable),
        (504, TimedOut),
    ],
)
def test_each_status_raises_its_class_with_scales_message(
    server: ScaleServer, client: ScaleClient, status: int, kind: type[PlatformError]
) -> None:
    server.fail("GET", "/projects", status)
    with pytest.raises(kind) as caught:
        client.projects()
    assert type(caught.value) is kind
    assert isinstance(caught.value, PlatformUnavailable) is (status in (429, 500, 502, 503, 504))
    assert (caught.value.status, caught.value.message) == (status, f"This is fault {status}.")
    assert caught.value.__cause__ is None
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (kind, str(caught.value))


def test_the_servers_own_errors_are_told_apart(client: ScaleClient, batch: str) -> None:
    task = client.create_task(IMAGES, unique_id=(name := unique("u")), **BOXES)["task_id"]
    faults: list[tuple[type[PlatformError], str, Callable[[], object]]] = [
        (Duplicate, task, lambda: client.create_task(IMAGES, unique_id=name, **BOXES)),
        (Duplicate, "already exists", lambda: client.create_batch(batch, client.get_batch(batch)["project"])),
        (
            InvalidRequest,
            "geometries",
            lambda: client.create_task(IMAGES, unique_id=unique("u"), attachment="https://x.y/z"),
        ),
        (NotEnabled, "not enabled", lambda: client.create_task("lidarannotation", unique_id=unique("u"))),
        (NotFound, "no task", lambda: client.fetch_task("nobody")),
    ]
    for kind, message, call in faults:
        with pytest.raises(kind, match=message):
            call()


def test_a_wrong_key_is_denied_and_never_shown(server: ScaleServer) -> None:
    client = client_of(server, "CANARY-KEY")
    with pytest.raises(AccessDenied) as caught:
        client.list_batches()
    assert caught.value.status == 401
    assert "CANARY" not in f"{caught.value!r} {caught.value} {client!r} {vars(caught.value)}"


def test_no_error_repeats_the_key_that_the_server_repeats(client: ScaleClient, server: ScaleServer) -> None:
    with pytest.raises(NotFound) as caught:
        client.fetch_task("live_key")
    assert "live_key" not in caught.value.message


def test_live_and_test_are_two_worlds(server: ScaleServer, client: ScaleClient, batch: str) -> None:
    for key in ("test_key", "key|test"):
        with pytest.raises(NotFound):
            client_of(server, key).get_batch(batch)


# 429


def test_a_storm_of_429s_is_waited_out_at_a_slower_pace(server: ScaleServer) -> None:
    server.fail("GET", "/projects", 429, times=5)
    assert isinstance(client_of(server, storm=20).projects(), list)
    assert server.statuses_of("GET", "/projects") == [429] * 5 + [200]


def test_a_storm_that_does_not_end_is_raised(server: ScaleServer) -> None:
    fault = server.fail("GET", "/projects", 429, times=10_000)
    with pytest.raises(TooManyRequests):
        client_of(server, storm=0.1).projects()
    assert 2 <= fault.met < 100


@pytest.mark.parametrize("status", [500, 503, 504, 0])
def test_nothing_else_is_said_twice(server: ScaleServer, status: int) -> None:
    server.fail("POST", "/task/", status, after=True)
    with pytest.raises(PlatformUnavailable):
        client_of(server, storm=20).create_task(IMAGES, unique_id=unique("u"), **BOXES)
    assert len(server.statuses_of("POST", "/task/")) == 1


def test_tls_trusts_only_certificates_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScaleServer(tls=True) as server:
        with pytest.raises(PlatformError, match="certificate"):
            client_of(server).projects()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca or "")
        assert client_of(server).projects() == []


# Times and listings


def test_times_are_sent_in_utc_without_zone() -> None:
    assert utc(datetime.fromisoformat("2021-04-25T07:38:32.368")) == "2021-04-25T07:38:32.368"
    assert utc(datetime.fromisoformat("2021-04-25T09:38:32+02:00")) == "2021-04-25T07:38:32.000"


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ({"docs": [], "has_more": True}, "next_token is missing"),
        ({"docs": [{}], "has_more": True, "next_token": "same"}, "never end"),
        ({"has_more": False}, "docs is missing"),
        ({"docs": [1]}, r"docs\[0\] is a number"),
    ],
)
def test_inconsistent_page_tokens_are_refused(
    client: ScaleClient, monkeypatch: pytest.MonkeyPatch, payload: Any, fault: str
) -> None:
    monkeypatch.setattr(client._http, "call", lambda *a, **k: payload)
    with pytest.raises(PlatformRefused, match=fault):
        client.tasks(next_token="same")


def test_a_listing_whose_keys_are_absent_is_read_all_the_same(
    client: ScaleClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([{"docs": [{"task_id": "1"}], "next_token": "t"}, {"docs": [{"task_id": "2"}], "next_token": None}])
    monkeypatch.setattr(client._http, "call", lambda *a, **k: next(answers))
    assert [doc["task_id"] for doc in client.all_tasks()] == ["1", "2"]
    last = {"docs": [{"task_id": "1"}], "has_more": False, "next_token": "same"}
    monkeypatch.setattr(client._http, "call", lambda *a, **k: last)
    assert client.tasks(next_token="same").next is None, "nothing follows, whatever token it bears"
    monkeypatch.setattr(client._http, "call", lambda *a, **k: next(answers))
    answers = iter([{"docs": [{"name": "1"}], "totalDocs": 2}, {"docs": [{"name": "2"}], "totalDocs": 2}])
    assert [doc["name"] for doc in client.all_batches()] == ["1", "2"]
