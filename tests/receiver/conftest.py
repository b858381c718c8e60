"""The receiver on a real socket, its ledger, and a platform that tells by webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from pydantic import BaseModel

from labelwright.domain.errors import EventsNotSent
from labelwright.ledger import Ledger
from labelwright.platforms.errors import AccessDenied, PlatformRefused
from labelwright.platforms.protocol import WebhookNote
from labelwright.platforms.registry import PLATFORMS, Connection, Credential, PlatformEntry
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.receiver.app import create_app
from labelwright.receiver.event_sender import EventSender
from labelwright.receiver.run import server_config
from labelwright.settings import ReceiverSettings, forget_settings

SECRET = "what only the tests know"
DROP = "https://photos.blob.core.windows.net/drop"


class Options(BaseModel):
    """The fake platform has none."""


class Bell:
    """A platform that signs what it tells with HMAC-SHA256 of the body."""

    name = "bell"

    def __init__(self, connection: Connection) -> None:
        self._secret = connection.secret.value if connection.secret else ""

    def open_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNote:
        if not hmac.compare_digest(headers.get("x-signature", ""), signature(self._secret, body)):
            raise AccessDenied("bell", "open the webhook", status=401)
        told = json.loads(body)
        if "kind" not in told:
            raise PlatformRefused("bell", "open the webhook", message="no kind")
        return WebhookNote(told["id"], told["kind"], told.get("campaign"))


def connect(connection: Connection) -> Any:
    return Bell(connection)


def signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
def bell(monkeypatch) -> Iterator[None]:
    """Two accounts of one platform, with a secret each."""
    entry = PlatformEntry("bell", "rings", __name__, "Bell", (Credential.SECRET,))
    monkeypatch.setitem(PLATFORMS, "bell", entry)
    for account in ("north", "south"):
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{account.upper()}__PLATFORM", "bell")
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{account.upper()}__URL", "http://127.0.0.1:1")
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{account.upper()}__KEY", "key")
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__{account.upper()}__SECRET", f"secret of {account}")
    forget_settings()
    yield
    forget_settings()


@dataclass
class Post:
    """In Prefect's place: takes events, or does not."""

    taken: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False

    def __call__(self, events: Any) -> None:
        if self.broken:
            raise EventsNotSent("down")
        self.taken += events


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def ledger(tmp_path) -> Iterator[Ledger]:
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture
def settings() -> ReceiverSettings:
    return ReceiverSettings(event_grid_secret=SECRET, drop_container=DROP)  # type: ignore[arg-type]


@pytest.fixture
def receiver(ledger, settings, post, bell) -> Iterator[str]:
    """Its address."""
    app = create_app(ledger, settings, EventSender(ledger, post, min_interval=0, poll_interval=0.05), CONNECTIONS)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(server_config(app))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
