"""Scale callbacks at the adapter: forged, repeated, late and out of order."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from labelwright.platforms.errors import AccessDenied, PlatformRefused
from labelwright.platforms.protocol import RemoteState, Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.platforms.scale.adapter import Options, Scale
from tests.platforms.contract import NAMES, order, to_send, unique

from .harness import CALLBACK_KEY, HASTE
from .server import ScaleServer

RIGHT = {"scale-callback-auth": CALLBACK_KEY, "content-type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[ScaleServer]:
    with ScaleServer() as server:
        yield server


@pytest.fixture
def scale(server: ScaleServer) -> Scale:
    return Scale(server.url, "live_key", Secret(CALLBACK_KEY), Options.model_validate(HASTE))


def body_of(task: dict[str, Any], **more: Any) -> bytes:
    """As Scale posts it."""
    payload = {"task": task, "response": task.get("response"), "task_id": task["task_id"], "status": task["status"]}
    return json.dumps(payload | more).encode()


TASK = {"task_id": "1", "status": "completed", "batch": "river", "updated_at": "2026-01-01T00:00:00.000Z"}


def test_a_note_of_a_task_names_its_campaign(scale: Scale) -> None:
    note = scale.open_webhook(RIGHT, body_of(TASK))
    assert (note.kind, note.campaign) == ("task completed", "river")
    assert scale.open_webhook(RIGHT, b'{"task_id": "1"}').campaign is None


def test_a_note_of_a_batch_names_its_campaign(scale: Scale) -> None:
    body = {"batch": "river", "status": "completed", "stats": {"completed": 20, "canceled": 3, "error": 5}}
    note = scale.open_webhook(RIGHT, json.dumps(body).encode())
    assert (note.kind, note.campaign) == ("batch completed", "river")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"scale-callback-auth": ""},
        {"scale-callback-auth": "wrong"},
        {"scale-callback-auth": CALLBACK_KEY + " "},
        {"scale-callback-auth": CALLBACK_KEY[:-1]},
        {"scale-callback-auth": "ключ"},
        {"authorization": CALLBACK_KEY},
    ],
)
def test_a_forged_one_is_denied_and_shows_no_key(scale: Scale, headers: dict[str, str]) -> None:
    with pytest.raises(AccessDenied) as caught:
        scale.open_webhook(headers, body_of(TASK))
    assert CALLBACK_KEY not in f"{caught.value} {scale!r}"


def test_without_a_callback_key_nothing_is_let_in(server: ScaleServer) -> None:
    for key in (None, Secret("")):
        with pytest.raises(AccessDenied, match="no callback key"):
            Scale(server.url, "live_key", key).open_webhook({"scale-callback-auth": ""}, body_of(TASK))


def test_keys_are_compared_in_constant_time(scale: Scale, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(key: bytes, expected: bytes) -> bool:
        compared.append((key, expected))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    with pytest.raises(AccessDenied):
        scale.open_webhook(RIGHT, body_of(TASK))
    assert compared == [(CALLBACK_KEY.encode(), CALLBACK_KEY.encode())]


def test_the_callback_key_is_the_connections_secret(server: ScaleServer) -> None:
    connection = Connection(server.url, "live_key", Secret("the-callback-key"))
    platform: Any = PLATFORMS["scale"].connect(connection)
    assert platform.open_webhook({"scale-callback-auth": "the-callback-key"}, body_of(TASK)).campaign == "river"
    assert "the-callback-key" not in repr(platform)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"null", b"{}", b'{"task": 3}', b'{"batch": {}}', b"\xff"])
def test_one_that_cannot_be_read_is_refused(scale: Scale, body: bytes) -> None:
    with pytest.raises(PlatformRefused) as caught:
        scale.open_webhook(RIGHT, body)
    assert not isinstance(caught.value, AccessDenied)


def test_repeated_callback_has_the_same_id(scale: Scale) -> None:
    def id_of(task: dict[str, Any], **more: Any) -> str:
        return scale.open_webhook(RIGHT, body_of(task, **more)).id

    first = id_of(TASK)
    assert id_of(dict(reversed(TASK.items()))) == first
    assert id_of(TASK | {"callback_succeeded": False}) == first
    assert id_of(TASK | {"status": "pending"}) != first
    assert id_of(TASK | {"updated_at": "2026-01-02T00:00:00.000Z"}) != first, "completed once more after a recall"


def test_callbacks_in_any_order_only_trigger_reading_the_tasks(server: ScaleServer, scale: Scale) -> None:
    campaign = scale.create_campaign(order(unique("river"))).id
    scale.send_images(campaign, 1, [to_send(name) for name in NAMES[:2]])
    scale.activate_campaign(campaign)
    first, second = (image.id for image in scale.list_campaign_images(campaign))

    def receive(task: str, **lie: Any) -> tuple[str | None, RemoteState, int]:
        note = scale.open_webhook(RIGHT, body_of(server.live.task(task) | lie))
        now = scale.read_campaign(campaign)
        return note.campaign, now.state, now.done

    # Told before it happened: the body is not believed.
    assert receive(first, status="completed", response={"annotations": []}) == (campaign, RemoteState.ACTIVE, 0)
    for task in (first, second):
        server.live.complete(task, {"annotations": []})
    late = body_of(server.live.task(first))
    assert receive(second) == (campaign, RemoteState.COMPLETED, 2)
    # Recalled, and only then comes the note of its completion.
    server.live.recall(first)
    assert scale.open_webhook(RIGHT, late).kind == "task completed"
    assert receive(first) == (campaign, RemoteState.ACTIVE, 1)
    assert [image.remote_id for image in scale.read_labels(campaign).images] == [second]
