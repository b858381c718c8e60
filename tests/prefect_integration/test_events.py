"""Prefect's response to an event: accepted, to be sent again later, or rejected."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from labelwright.domain.errors import EventsNotSent, EventsRejected
from labelwright.prefect_integration.events import send_to_prefect


def event(**more: object) -> dict[str, object]:
    return {
        "id": str(uuid4()),
        "occurred": "2026-11-22T07:00:00+00:00",
        "event": "labelwright.campaign.stalled",
        "resource": {"prefect.resource.id": "labelwright.campaign.river"},
        "payload": {},
        **more,
    }


@pytest.fixture
def answering():
    """A server that answers everything with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """Prefect's client asks for a token that older servers do not know."""
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/api"
        with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
            yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (204, None),
        *((status, EventsRejected) for status in (422, 413)),
        *((status, EventsNotSent) for status in (401, 404, 503, 500)),
    ],
)
def test_the_status_decides_whether_to_send_again(answering, status, failure):
    answering.status = status
    if failure is None:
        send_to_prefect([event()])
        return
    with pytest.raises(failure):
        send_to_prefect([event()])


def test_an_invalid_event_is_rejected(answering):
    answering.status = 204
    with pytest.raises(EventsRejected):
        send_to_prefect([event(resource={"prefect.resource.name": "river"})])


def test_without_an_api_an_event_is_not_sent():
    """Prefect's client refuses with a ValueError when no server is configured and it may not start one."""
    with pytest.raises(EventsNotSent):
        send_to_prefect([event()])
