"""A server, proxy or firewall that repeats what it was asked: no secret of it reaches an error, a log or a database.

Every platform and Azure, every status, on real sockets. Afterwards the canaries are looked for, in every way of writing
them, in the errors with their tracebacks, in what the command line prints, in the log, and in the ledger's file.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import pickle
import re
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.cli.exit_codes import print_error
from labelwright.domain import Image, Size, State
from labelwright.ledger import Ledger
from labelwright.platforms.errors import PlatformError
from labelwright.platforms.protocol import CampaignOrder, Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.settings import WorkspaceSettings
from tests.network.fault_server import ENCODINGS, Received, echo, fault_server, response

STATUSES = [302, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504]
USER, PASSWORD, TOKEN = "canary.user.71", 'CANARY-7b"1f&0c/44 é+x', "canarytoken0q44e1aa93"
PLAIN = "CANARY-7w1f-0q44-e1"
"""For headers, which take no other characters."""

CONNECTIONS = {
    "campaign_api": (PLAIN, PLAIN + "s"),
    "cvat": (USER, PASSWORD),
    "cvat token": ("", PLAIN),
    "remo": (f"{USER}@example.com", PASSWORD),
    "remo token": ("", PLAIN),
    "scale": (PLAIN, PLAIN + "s"),
    "geti": (USER, PASSWORD),
    "geti token": ("", PLAIN),
    "label_studio": (f"{PLAIN}.{PLAIN}.x", ""),
}


def traces(text: str) -> list[str]:
    """Where a canary is left in a text, however it is written; every canary begins with the same word."""
    results, visited = [], set()
    readings = [text]
    while readings:
        item = readings.pop()
        if item in visited or len(visited) > 40:
            continue
        visited.add(item)
        lowered = item.lower()
        for part in ("canary", "7w1f", "0q44"):
            for found in re.finditer(part, lowered):
                results.append(item[max(found.start() - 20, 0) : found.end() + 20])
        if len(visited) < 8:
            readings += [unquote(item), unquote_plus(item), html.unescape(item)]
            readings.append(re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), item))
        for run in set(re.findall(r"[0-9a-fA-F]{12,}", item)):
            if "canary" in bytes.fromhex(run[: len(run) // 2 * 2]).decode("latin-1").lower():
                results.append(f"hexadecimal {run[:40]}")
        for run in set(re.findall(r"[A-Za-z0-9+/_-]{12,}", item)):
            for shift in range(4):
                piece = run[shift:].replace("-", "+").replace("_", "/")
                raw = base64.b64decode(piece[: len(piece) // 4 * 4])
                if b"canary" in raw.lower():
                    results.append(f"base64 {run[:40]}")
    return results


class Watch:
    """Collects all that a failure leaves behind."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        self.file = folder / "ledger.db"
        self.texts: list[str] = []
        self.count = 0
        document = {"title": "river", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
        self.ledger.campaigns.add("river", validate_spec(document, "test").model_dump(mode="json"))

    def failing(self, work: Callable[[], object]) -> None:
        """Do what fails; keep what it says in every way in which somebody may see it."""
        try:
            work()
        except Exception as error:
            self.count += 1
            print_error(error)
            self.texts = list(dict.fromkeys(self.texts))
            again = pickle.loads(pickle.dumps(error))
            self.texts += [
                str(error),
                repr(error),
                str(again),
                repr(again.args),
                "".join(traceback.format_exception(error)),
            ]
            self.ledger.campaigns.move("river", State.NEEDS_ATTENTION, str(error))
            self.ledger.campaigns.move("river", State.UPLOADING)
            if not isinstance(error, PlatformError):
                logging.getLogger("test").exception("failed")


@pytest.fixture
def watch(tmp_path, capfd, caplog) -> Iterator[Watch]:
    caplog.set_level(logging.DEBUG)
    watch = Watch(tmp_path)
    yield watch
    watch.ledger.close()
    printed = capfd.readouterr()
    left = {"the errors": "\n".join(watch.texts), "stdout": printed.out, "stderr": printed.err}
    left["the log"] = "\n".join({f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records})
    left["the ledger"] = "\n".join(
        path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()
    )
    assert watch.count, "nothing failed"
    assert {place: traces(text)[:3] for place, text in left.items() if traces(text)} == {}


def adapter(kind: str, url: str) -> Any:
    key, secret = CONNECTIONS[kind]
    name = kind.split(maxsplit=1)[0]
    at_once = {"storm_seconds": 0.0, "back_off_seconds": 0.0, "patience_seconds": 0.0}
    options: dict[str, Any] = at_once if name == "scale" else {}
    return PLATFORMS[name].connect(Connection(url, key, Secret(secret), options))


def works_of(platform: Any) -> list[Callable[[], object]]:
    schema = validate_spec(
        {"title": "t", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}, "test"
    ).schema_of_labels()
    order = CampaignOrder("river", schema, "a@b.c", "please")
    return [
        platform.check,
        lambda: platform.find_campaign("river"),
        lambda: platform.create_campaign(order),
        lambda: platform.read_campaign("7"),
    ]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", CONNECTIONS)
def test_an_echo_of_the_login_shows_no_secret(kind: str, status: int, watch: Watch) -> None:
    medias = [("application/json", "plain"), ("text/html", "plain"), ("text/plain", "percent")]
    for media, encoding in medias[STATUSES.index(status) % 3 :][:1]:
        with fault_server(echo(status, media, encoding)) as server:
            for work in works_of(adapter(kind, server.url)):
                watch.failing(work)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", ["cvat", "remo", "scale"])
def test_an_echo_in_any_encoding_shows_no_secret(kind: str, encoding: str, watch: Watch) -> None:
    medias = ("application/json", "text/html", "text/plain")
    with fault_server(echo(403, medias[list(ENCODINGS).index(encoding) % 3], encoding)) as server:
        for work in works_of(adapter(kind, server.url)):
            watch.failing(work)


def logs_in_then(status: int) -> Callable[[Received, socket.socket], None]:
    """Takes every login, and repeats every request after it: with the token or the cookie that it gave."""
    repeat = echo(status)

    def behave(request: Received, connection: socket.socket) -> None:
        path, js = request.path.partition("?")[0], "Content-Type: application/json"
        if path in ("/api/auth/login", "/api/rest-auth/login/"):
            connection.sendall(response(200, json.dumps({"key": TOKEN}).encode(), js))
        elif path == "/api/token/refresh":
            connection.sendall(response(200, json.dumps({"access": TOKEN}).encode(), js))
        elif path == "/api/version":
            body = json.dumps({"app": "remo", "version": "0.6.1"}).encode()
            cookies = f"Set-Cookie: csrftoken={TOKEN}csrf; Path=/", f"Set-Cookie: sessionid={TOKEN}session; Path=/"
            connection.sendall(response(200, body, js, *cookies))
        elif path == "/user/login" and request.method == "GET":
            connection.sendall(response(200, b"<form><input name=password></form>", "Content-Type: text/html"))
        elif path == "/user/login":
            connection.sendall(response(302, b"", "Location: /", f"Set-Cookie: _oauth2_proxy={TOKEN}; HttpOnly"))
        elif path == "/":
            connection.sendall(response(200, b"<html></html>", "Content-Type: text/html"))
        else:
            repeat(request, connection)

    return behave


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", ["cvat", "remo", "geti", "label_studio"])
def test_echoed_session_tokens_are_masked(kind: str, status: int, watch: Watch) -> None:
    with fault_server(logs_in_then(status)) as server:
        for work in works_of(adapter(kind, server.url)):
            watch.failing(work)
    assert any(TOKEN in request.text for request in server.requests), "the token was sent"


@pytest.mark.parametrize("status", STATUSES)
def test_an_echo_of_a_signature_or_a_key_of_azure_shows_none(status: int, watch: Watch) -> None:
    from labelwright.ingest.sources.azure_container import ContainerSource
    from labelwright.ingest.upload.dropbox import open_dropbox
    from labelwright.stores.azure_ml.blobs import account_of, open_blobs

    sas = "sv=2024&sp=rl&sig=CANARY7w1f%2B0q44%3D"
    key = base64.b64encode(b"canary-account-key-0q44").decode()
    image = Image("a.jpg", Size(1, 1), 3, "0" * 64, "0" * 32, "JPEG")
    with fault_server(echo(status, "application/xml")) as server:
        url = f"{server.url}/account/box"
        connection = (
            f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={key};BlobEndpoint={server.url}/account"
        )
        source = ContainerSource(url, sas=sas, timeout=5)
        by_key = open_blobs(account_of(WorkspaceSettings(connection_string=connection)), threads=1, timeout=5)  # type: ignore[arg-type]
        by_sas = open_blobs(
            account_of(WorkspaceSettings(account_url=f"{server.url}/account", sas=sas)), threads=1, timeout=5
        )  # type: ignore[arg-type]
        watch.failing(lambda: list(source.find()))
        watch.failing(lambda: source.open("a.jpg"))
        for engine in ("azure", "obstore"):
            dropbox = open_dropbox(f"{url}?{sas}", threads=1, timeout=5, engine=engine)  # type: ignore[arg-type]
            watch.failing(lambda dropbox=dropbox: dropbox._engine.put(image, b"abc"))  # type: ignore[misc]
            watch.failing(lambda dropbox=dropbox: dropbox._engine.look("a.jpg"))  # type: ignore[misc]
        for blobs in (by_key, by_sas):
            watch.failing(lambda blobs=blobs: blobs.put_text("x", "y"))  # type: ignore[misc]
            watch.failing(lambda blobs=blobs: blobs.read_text("x") or 1 / 0)  # type: ignore[misc]
            watch.failing(lambda blobs=blobs: list(blobs.listed("x")))  # type: ignore[misc]


@pytest.mark.parametrize("status", STATUSES)
def test_an_echo_of_an_images_url_shows_no_credential(status: int, watch: Watch) -> None:
    from labelwright.ingest.sources.urls import UrlSource

    with fault_server(echo(status, "text/html")) as server:
        host = server.url.partition("//")[2]
        source = UrlSource(
            [f"http://{USER}:CANARY7w1f0q44@{host}/a.jpg?Expires=1&Signature=CANARY7w1f%2B0q44"], allow_private=True
        )
        (result,) = source.find()
        watch.failing(lambda: source.open(result.location))  # type: ignore[union-attr]


def test_sdk_output_is_masked_before_it_is_shortened(watch: Watch, tmp_path) -> None:
    from labelwright.stores.azure_ml.sdk_process import Calls

    secret = base64.b64encode(b"canary-account-key-0q44").decode()
    python = tmp_path / "python"
    for message in (f"no {secret}", "x" * 480 + f" AccountKey={secret}", f"at https://a/b?sig=CANARY7w1f0q44 {secret}"):
        payload = json.dumps({"failure": {"status": 403, "message": message}})
        for script in (f"cat >/dev/null; echo '{payload}'", f"cat >/dev/null; echo 'error: {message}' >&2; exit 3"):
            python.write_text(f"#!/bin/sh\n{script}\n")
            python.chmod(0o755)
            workspace = WorkspaceSettings(
                subscription_id="s", resource_group="g", workspace_name="w", python_v2=python, account_url="https://a.b"
            )
            question = {"operation": "datastore", "account_key": secret}
            watch.failing(
                lambda workspace=workspace, question=question: Calls("sdk_v2", workspace, 5.0).ask("x", [question])
            )  # type: ignore[misc]
    python.unlink()


def test_unreadable_headers_are_logged_masked(watch: Watch) -> None:
    """urllib3 logs them as a warning, which Python prints to stderr where nobody configured logging."""

    def broken(request: Received, connection: socket.socket) -> None:
        line = " ".join(request.text.split())
        connection.sendall(f"HTTP/1.1 403 No\r\nbroken {line}\r\nContent-Length: 0\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_RDWR)

    for kind in CONNECTIONS:
        with fault_server(broken) as server:
            watch.failing(adapter(kind, server.url).check)


def test_the_canaries_would_be_found() -> None:
    for encode in ENCODINGS.values():
        assert traces(f"x {encode(PLAIN)} y")
        assert traces(f"x {encode(PASSWORD)} y")
    assert traces(base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
