"""What the receiver takes, what it refuses, and what it writes down before it answers."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pydantic import SecretStr

from labelwright.domain.error_table import ERRORS
from labelwright.domain.errors import EventsRejected
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.receiver import app
from labelwright.receiver.event_sender import EventSender
from labelwright.settings import SettingsError

from .conftest import DROP, SECRET, signature


def ring(receiver: str, note: dict[str, Any], account: str = "north", *, signed_by: str = "") -> requests.Response:
    body = json.dumps(note).encode()
    headers = {"X-Signature": signature(f"secret of {signed_by or account}", body)}
    return requests.post(f"{receiver}/webhooks/{account}", data=body, headers=headers, timeout=300)


def grid(receiver: str, events: Any, **headers: str) -> requests.Response:
    return requests.post(f"{receiver}/eventgrid?secret={SECRET}", json=events, headers=headers, timeout=300)


def created(name: str, *, etag: str = "0x1", url: str = DROP, container: str = "drop", **data: Any) -> dict[str, Any]:
    """As Event Grid's own schema tells of a blob."""
    return {
        "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/photos",
        "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "eventTime": "2026-11-22T07:00:00.0000000Z",
        "data": {"api": "PutBlob", "eTag": etag, "contentLength": 524, "url": f"{url}/{name}", **data},
        "dataVersion": "",
        "metadataVersion": "1",
    }


def waiting(ledger) -> list[dict[str, Any]]:
    return [letter.payload for letter in ledger.inbox.waiting()]


@pytest.fixture(autouse=True)
def nothing_is_sent(post) -> None:
    post.broken = True


def test_a_signed_note_is_written_down_once(receiver, ledger):
    note = {"id": "1", "kind": "task done", "campaign": "77"}
    assert ring(receiver, note).json() == {"new": True}
    assert ring(receiver, note).json() == {"new": False}
    (letter,) = ledger.inbox.waiting()
    assert letter.event == "labelwright.webhook.received"
    assert letter.resource["prefect.resource.id"] == "labelwright.connection.north"
    assert letter.payload == {"connection": "north", "platform": "bell", "kind": "task done", "campaign": "77"}


def test_the_same_note_of_two_accounts_is_two(receiver, ledger):
    assert ring(receiver, {"id": "1", "kind": "k"}, "north").json()["new"]
    assert ring(receiver, {"id": "1", "kind": "k"}, "south").json()["new"]
    assert [note["connection"] for note in waiting(ledger)] == ["north", "south"]


@pytest.mark.parametrize(
    ("account", "signed_by", "note", "status"),
    [
        ("north", "south", {"id": "1", "kind": "k"}, 401),
        ("north", "north", {"id": "1"}, 400),
        ("nobody", "north", {"id": "1", "kind": "k"}, 404),
        ("campaign_api", "north", {"id": "1", "kind": "k"}, 404),
    ],
)
def test_invalid_webhook_is_refused_and_not_stored(receiver, ledger, account, signed_by, note, status):
    response = ring(receiver, note, account, signed_by=signed_by)
    assert response.status_code == status
    assert response.json()["error_code"] in ERRORS
    assert "secret of" not in response.text
    assert waiting(ledger) == []


def test_a_note_that_cannot_be_written_down_is_asked_for_again(receiver, ledger, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def full(*_: object, **__: object) -> bool:
        raise OperationalError("insert", {}, Exception("database or disk is full"))

    monkeypatch.setattr(ledger.inbox, "put", full)
    response = ring(receiver, {"id": "1", "kind": "k"})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
    assert response.json()["error_code"] == "LW8105"
    assert "disk" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/webhooks/north", 405),
        ("PUT", "/webhooks/north", 405),
        ("DELETE", "/eventgrid", 405),
        ("POST", "/health", 405),
        ("GET", "/", 404),
    ],
)
def test_other_methods_and_places_are_refused(receiver, method, path, status):
    assert requests.request(method, f"{receiver}{path}", timeout=300).status_code == status


@pytest.mark.parametrize("with_length", [True, False])
def test_what_is_too_large_is_refused_before_it_is_read(receiver, with_length):
    def pieces():
        for _ in range(40):
            yield b"x" * 65536

    body = b"x" * (app.MAX_BODY + 1) if with_length else pieces()
    try:
        assert requests.post(f"{receiver}/webhooks/north", data=body, timeout=300).status_code == 413
    except requests.ConnectionError:
        assert not with_length, "the answer may be lost only when the body is still being sent"


def test_a_body_that_drips_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr(app, "REQUEST_TIMEOUT", 0.3)
    connection = http.client.HTTPConnection(urlsplit(receiver).netloc, timeout=300)
    connection.putrequest("POST", "/webhooks/north")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    assert connection.getresponse().status == 408
    connection.close()


def test_while_one_drips_others_are_served(receiver):
    connection = http.client.HTTPConnection(urlsplit(receiver).netloc, timeout=300)
    connection.putrequest("POST", "/webhooks/north")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    assert ring(receiver, {"id": "1", "kind": "k"}).status_code == 200
    connection.close()


# Azure Event Grid


def test_event_grids_own_handshake_is_answered_with_its_code(receiver, ledger):
    event = {
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
        "topic": "/subscriptions/s",
        "subject": "",
        "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://x.azure.net/v"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-11-22T07:00:00Z",
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    response = grid(receiver, [event], **{"aeg-event-type": "SubscriptionValidation"})
    assert response.status_code == 200
    assert response.json() == {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}
    assert waiting(ledger) == []


def test_the_handshake_of_cloud_events_is_answered_with_its_origin(receiver):
    headers = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    response = requests.options(f"{receiver}/eventgrid?secret={SECRET}", headers=headers, timeout=300)
    assert response.status_code == 200
    assert response.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert response.headers["WebHook-Allowed-Rate"] == "120"
    assert requests.options(f"{receiver}/eventgrid?secret={SECRET}", timeout=300).status_code == 400


def test_a_campaign_file_is_written_down_once_a_version(receiver, ledger):
    event = created("river/2026/campaign.yaml")
    assert grid(receiver, [event, event]).json() == {"new": 1}
    assert grid(receiver, [event]).json() == {"new": 0}
    assert grid(receiver, [created("river/2026/campaign.yaml", etag="0x2")]).json() == {"new": 1}
    assert waiting(ledger) == [{"blob": "river/2026/campaign.yaml", "etag": etag} for etag in ("0x1", "0x2")]
    resources = {letter.resource["prefect.resource.id"] for letter in ledger.inbox.waiting()}
    assert len(resources) == 1
    assert resources.pop().startswith("labelwright.drop.river-2026-")


def test_cloud_events_are_read_as_well_alone_and_in_a_list(receiver, ledger):
    def cloud(name: str) -> dict[str, Any]:
        event = created(name)
        return {
            "specversion": "1.0",
            "type": event["eventType"],
            "source": event["topic"],
            "id": event["id"],
            "time": event["eventTime"],
            "subject": event["subject"],
            "data": event["data"],
        }

    kind = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    assert grid(receiver, cloud("a/campaign.yaml"), **kind).json() == {"new": 1}
    assert grid(receiver, [cloud("b/campaign.yaml"), cloud("c/campaign.yaml")]).json() == {"new": 2}
    assert [drop["blob"][0] for drop in waiting(ledger)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "event",
    [
        created("river/photo.jpg"),
        created("campaign.yaml"),
        created("river/my-campaign.yaml"),
        created("river/campaign.yaml", contentLength=0),
        created("river/campaign.yaml", container="other"),
        created("river/campaign.yaml", url="https://elsewhere.blob.core.windows.net/drop"),
        created("river/campaign.yaml") | {"eventType": "Microsoft.Storage.BlobDeleted"},
        created("river/campaign.yaml") | {"subject": None},
        created("river\ud800/campaign.yaml"),
        created("river/campaign.yaml", url="https://[photos"),
        {},
    ],
)
def test_other_blobs_and_events_are_taken_and_left_alone(receiver, ledger, event):
    assert grid(receiver, [event]).json() == {"new": 0}
    assert waiting(ledger) == []


def test_a_receiver_without_a_drop_container_asks_for_the_file_again(receiver, ledger, settings):
    settings.drop_container = None
    assert grid(receiver, [created("river/photo.jpg")]).json() == {"new": 0}
    assert grid(receiver, [created("river/campaign.yaml")]).status_code == 503
    assert waiting(ledger) == []
    settings.drop_container = DROP
    assert grid(receiver, [created("river/campaign.yaml")]).json() == {"new": 1}


def test_the_name_of_a_hierarchical_account_is_the_same_account(receiver, ledger):
    event = created("river/campaign.yaml", url="https://photos.dfs.core.windows.net/drop", api="FlushWithClose")
    assert grid(receiver, [event]).json() == {"new": 1}


def test_sequencer_identifies_a_version_without_etag(receiver, ledger):
    for number, new in ((1, 1), (1, 0), (2, 1)):
        event = created("river/campaign.yaml", sequencer=f"00000000000000EB000000000004653{number}")
        del event["data"]["eTag"]
        assert grid(receiver, [event]).json() == {"new": new}


@pytest.mark.parametrize("body", ["no JSON", "[1]", '"text"', "[" * 100_000])
def test_what_is_no_event_is_refused(receiver, body):
    assert requests.post(f"{receiver}/eventgrid?secret={SECRET}", data=body, timeout=300).status_code == 400


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
@pytest.mark.parametrize("query", ["", "?secret=", "?secret=what+only+the+tests+kno", "?secret=é"])
def test_without_the_secret_nothing_is_taken(receiver, ledger, method, query):
    headers = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    response = requests.request(
        method, f"{receiver}/eventgrid{query}", json=[created("river/campaign.yaml")], headers=headers, timeout=300
    )
    assert response.status_code == 401
    assert waiting(ledger) == []


def test_the_secret_may_come_as_a_header(receiver):
    response = requests.post(
        f"{receiver}/eventgrid",
        json=[created("river/campaign.yaml")],
        headers={"X-Labelwright-Secret": SECRET},
        timeout=300,
    )
    assert response.json() == {"new": 1}


@pytest.mark.parametrize("secret", [None, ""])
def test_where_no_secret_is_set_event_grid_is_not_let_in(receiver, settings, ledger, secret):
    settings.event_grid_secret = None if secret is None else SecretStr(secret)
    response = requests.post(f"{receiver}/eventgrid?secret=", json=[created("river/campaign.yaml")], timeout=300)
    assert response.status_code in (401, 403)
    assert waiting(ledger) == []


def test_many_at_once_are_all_written_down_once(receiver, ledger):
    def send(number: int) -> None:
        ring(receiver, {"id": str(number % 20), "kind": "k"})

    threads = [threading.Thread(target=send, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waiting(ledger)) == 20


# Telling Prefect


def until(condition: Any) -> None:
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_came_is_told_on_and_then_no_more(receiver, ledger, post):
    post.broken = False
    ring(receiver, {"id": "1", "kind": "k"})
    grid(receiver, [created("river/campaign.yaml")])
    until(lambda: len(post.taken) == 2 and not ledger.inbox.waiting())
    assert {event["event"] for event in post.taken} == {"labelwright.webhook.received", "labelwright.drop.arrived"}


def test_events_wait_while_prefect_is_down(receiver, ledger, post):
    ring(receiver, {"id": "1", "kind": "k"})
    (letter,) = ledger.inbox.waiting()
    post.broken = False
    until(lambda: post.taken)
    assert post.taken[0]["id"] == letter.id


def test_events_are_resent_under_the_same_id_after_a_crash(ledger, post):
    ledger.inbox.put("drop", "a", "labelwright.drop.arrived", {"prefect.resource.id": "x"}, {"blob": "a"})
    ledger.inbox.put("drop", "b", "labelwright.drop.arrived", {"prefect.resource.id": "y"}, {"blob": "b"})
    ids = [letter.id for letter in ledger.inbox.waiting()]
    post.broken = False
    taken = []

    def dies_after_the_first(events: Any) -> None:
        taken.extend(events)
        raise SystemExit

    with pytest.raises(SystemExit):
        EventSender(ledger, dies_after_the_first).send_due()
    EventSender(ledger, post).send_due()
    assert [event["id"] for event in taken + post.taken] == [ids[0], ids[0], ids[1]]
    assert ledger.inbox.waiting() == []


def test_rejected_event_does_not_block_later_ones(ledger, post):
    for name in ("a", "b"):
        ledger.inbox.put("drop", name, "labelwright.drop.arrived", {"prefect.resource.id": name}, {"blob": name})
    post.broken = False

    def send(events: Any) -> None:
        if events[0]["payload"]["blob"] == "a":
            raise EventsRejected("status 422")
        post(events)

    EventSender(ledger, send).send_due()
    assert [event["payload"]["blob"] for event in post.taken] == ["b"]
    assert ledger.inbox.waiting() == []


def test_the_teller_goes_on_after_a_fault_of_its_own(ledger, post):
    post.broken, faults = False, [ZeroDivisionError()]

    def send(events: Any) -> None:
        if faults:
            raise faults.pop()
        post(events)

    ledger.inbox.put("drop", "a", "labelwright.drop.arrived", {"prefect.resource.id": "a"}, {"blob": "a"})
    teller = EventSender(ledger, send, poll_interval=0.05)
    teller.start()
    try:
        until(lambda: len(post.taken) == 1)
    finally:
        teller.stop()


def test_half_a_surrogate_pair_in_a_note_is_taken_and_told_on(receiver, ledger, post):
    assert ring(receiver, {"id": "\ud800", "kind": "k\udc00"}).json() == {"new": True}
    (letter,) = ledger.inbox.waiting()
    assert letter.payload["kind"] == "k?"
    post.broken = False
    until(lambda: post.taken)


def test_ten_thousand_callbacks_are_told_as_few_events(ledger, post):
    post.broken = False
    teller = EventSender(ledger, post, min_interval=3600)
    for number in range(30):
        ledger.inbox.put(
            "webhook north",
            str(number),
            "labelwright.webhook.received",
            {"prefect.resource.id": "x"},
            {"kind": "k", "campaign": str(number)},
        )
    assert teller.send_due() > 0
    ledger.inbox.put(
        "webhook north", "late", "labelwright.webhook.received", {"prefect.resource.id": "x"}, {"kind": "k"}
    )
    assert teller.send_due() <= 15
    (event,) = post.taken
    assert (event["payload"]["count"], len(event["payload"]["notes"])) == (30, 30)
    assert len(ledger.inbox.waiting()) == 1
    EventSender(ledger, post, min_interval=3600).send_due()
    assert ledger.inbox.waiting() == []


@pytest.mark.parametrize("headers", [{}, {"X-Signature-256": ""}, {"Authorization": "Bearer x"}])
def test_a_webhook_of_a_block_without_a_key_asks_prefect_nothing(receiver, monkeypatch, headers):
    calls = []
    monkeypatch.setattr(CONNECTIONS, "connect_platform", calls.append)
    for name in ("block:river", "block:other", "block%3Ariver"):
        response = requests.post(f"{receiver}/webhooks/{name}", json={"event": "x"}, headers=headers, timeout=300)
        assert response.status_code == 401
    assert calls == []


def test_a_block_that_is_not_there_is_not_asked_for_again_at_once(receiver, monkeypatch):
    calls = []

    def connect_platform(name):
        calls.append(name)
        raise SettingsError("there is no such block")

    monkeypatch.setattr(CONNECTIONS, "connect_platform", connect_platform)
    for _ in range(3):
        headers = {"X-Signature-256": "sha256=00"}
        response = requests.post(f"{receiver}/webhooks/block:nowhere", json={}, headers=headers, timeout=300)
        assert response.status_code == 404
    assert calls == ["block:nowhere"]
