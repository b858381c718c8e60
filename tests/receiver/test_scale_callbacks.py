"""Scale's callbacks through the receiver: taken once, never believed, and not needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from labelwright.platforms.protocol import RemoteState
from labelwright.platforms.scale.adapter import Options, Scale
from labelwright.settings import forget_settings
from tests.platforms.contract import NAMES, order, to_send
from tests.platforms.scale.harness import HASTE
from tests.platforms.scale.server import ScaleServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, bell: None, post: Any) -> Iterator[ScaleServer]:
    """The stand-in, and a connection to it that knows the callback key."""
    post.broken = True  # what arrived stays in the inbox, where it can be seen
    with ScaleServer() as server:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__URL", server.url)
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__KEY", "live_key")
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__SECRET", server.callback_key)
        forget_settings()
        yield server


@pytest.fixture
def campaign(server: ScaleServer, receiver: str) -> tuple[Scale, str, list[str]]:
    """An active one of two images that calls back, and its tasks."""
    options = {**HASTE, "callback_url": f"{receiver}/webhooks/scale"}
    scale = Scale(server.url, "live_key", None, Options.model_validate(options))
    title = scale.create_campaign(order()).id
    scale.send_images(title, 1, [to_send(name) for name in NAMES[:2]])
    scale.activate_campaign(title)
    return scale, title, [image.id for image in scale.list_campaign_images(title)]


def notes(ledger: Any) -> list[tuple[str, str, str | None]]:
    told = [letter.payload for letter in ledger.inbox.waiting()]
    return [(one["platform"], one["kind"], one["campaign"]) for one in told]


def test_a_callback_is_written_down_once_however_often_it_comes(server, campaign, ledger) -> None:
    _, title, (task, _) = campaign
    server.live.complete(task, {"annotations": []})
    assert server.call_back(server.live, task) == [200], "one answer is enough for Scale"
    assert server.live.task(task)["callback_succeeded"] is True
    assert server.call_back(server.live, task) == [200]
    assert notes(ledger) == [("scale", "task completed", title)]


def test_a_forged_one_is_refused_every_time_and_leaves_no_trace(server, campaign, ledger) -> None:
    _, _, (task, _) = campaign
    for key in ("", "wrong", server.callback_key[:-1]):
        assert server.call_back(server.live, task, key=key) == [401] * 20
    assert notes(ledger) == []
    assert server.live.task(task)["callback_succeeded"] is False


def test_what_is_told_too_early_late_or_in_another_order_is_not_believed(server, campaign, ledger) -> None:
    scale, title, (first, second) = campaign
    address = server.live.task(first)["callback_url"]
    lie = {"task": server.live.task(first) | {"status": "completed"}, "task_id": first, "status": "completed"}
    headers = {"scale-callback-auth": server.callback_key}
    assert requests.post(address, json=lie, headers=headers, timeout=60).status_code == 200
    now = scale.read_campaign(title)
    assert (now.state, now.done) == (RemoteState.ACTIVE, 0)
    for task in (first, second):
        server.live.complete(task, {"annotations": []})
    late = {"task": dict(server.live.task(second)), "task_id": second, "status": "completed"}
    server.live.recall(second)
    server.call_back(server.live, second)
    assert requests.post(address, json=late, headers=headers, timeout=60).status_code == 200
    now = scale.read_campaign(title)
    assert (now.state, now.done) == (RemoteState.ACTIVE, 1)
    assert notes(ledger) == [
        ("scale", "task completed", title),
        ("scale", "task pending", title),
        ("scale", "task completed", title),
    ]


def test_a_note_of_the_whole_batch_names_the_campaign_and_counts_are_read_again(server, campaign, ledger) -> None:
    scale, title, (first, second) = campaign
    server.live.complete(first, {"annotations": []})
    server.live.fail(second)
    body = {"batch": title, "status": "completed", "stats": {"completed": 1, "error": 1}}
    headers = {"scale-callback-auth": server.callback_key}
    answer = requests.post(server.live.batches[title]["callback"], json=body, headers=headers, timeout=60)
    assert answer.status_code == 200
    assert notes(ledger) == [("scale", "batch completed", title)]
    assert scale.read_campaign(title).state is RemoteState.ACTIVE


def test_without_a_callback_key_nothing_is_taken(server, campaign, ledger, monkeypatch) -> None:
    monkeypatch.delenv("LABELWRIGHT_CONNECTIONS__SCALE__SECRET")
    forget_settings()
    _, _, (task, _) = campaign
    assert server.call_back(server.live, task, tries=1) == [401]
    assert notes(ledger) == []
