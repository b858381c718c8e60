"""What a client, or a locked ledger, can take of the receiver."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import sqlite3
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from labelwright.network.json_depth import depth_of
from labelwright.receiver import app

GUARD = 60


def webhook(receiver, body: bytes):
    headers = {"X-Signature": hmac.new(b"secret of north", body, hashlib.sha256).hexdigest()}
    return requests.post(f"{receiver}/webhooks/north", data=body, headers=headers, timeout=GUARD)


def test_230_idle_sockets_do_not_keep_a_genuine_webhook_out(receiver, ledger):
    address = urlsplit(receiver)
    with ExitStack() as stack:
        for number in range(230):
            idle = stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=GUARD))
            if number % 2:
                idle.sendall(b"POST /webhooks/north HTTP/1.1\r\nHost: here\r\n")
        for number in range(5):
            answer = webhook(receiver, json.dumps({"id": str(number), "kind": "done"}).encode())
            assert (answer.status_code, answer.json()) == (200, {"new": True})


@pytest.mark.parametrize("depth", [100, 900, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_a_deeply_nested_body_is_the_senders_fault(receiver, settings, depth, start, end):
    deep = start * depth + "1" + end * depth
    secret = settings.event_grid_secret.get_secret_value()
    for body in (deep.encode(), f'{{"id": "1", "kind": "done", "more": {deep}}}'.encode()):
        assert webhook(receiver, body).status_code == 400
        answer = requests.post(f"{receiver}/eventgrid", params={"secret": secret}, data=body, timeout=GUARD)
        assert answer.status_code == 400


def test_brackets_in_texts_are_no_depth():
    assert depth_of(json.dumps({"a": "[" * 500 + '"' + "{" * 500, "b": ["\\", "]"]}).encode()) == 2
    assert depth_of(b'"never closed [[[[') == 0
    assert depth_of(b"]]]][") == 0
    assert depth_of(b"") == 0


def test_depth_is_found_in_one_pass_over_the_body():
    """Texts that never end would be tried from every quote again: a million of them would take hours."""
    for piece in (b'\\"', b'"', b'"\\', b"\\"):
        assert depth_of(piece * (1024 * 1024 // len(piece)) + b"[") <= 1


def test_a_locked_ledger_is_503_while_it_lasts_and_nothing_is_lost(receiver, ledger, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "REQUEST_TIMEOUT", 0.3)
    body = json.dumps({"id": "1", "kind": "done"}).encode()
    lock = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        answers = [webhook(receiver, body) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        assert requests.get(f"{receiver}/health", timeout=GUARD).status_code == 200
    finally:
        lock.close()
    monkeypatch.setattr(app, "REQUEST_TIMEOUT", GUARD)
    assert webhook(receiver, body).status_code == 200
    assert webhook(receiver, body).json() == {"new": False}
