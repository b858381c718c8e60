"""Runs the receiver with uvicorn."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from labelwright.campaigns.connections import Connections
from labelwright.ledger import Ledger
from labelwright.network.listening import AnnouncingServer, ConnectionLimits, protocol_with
from labelwright.settings import ReceiverSettings

from .app import create_app
from .event_sender import EventSender, Send


def serve(
    ledger: Ledger,
    settings: ReceiverSettings,
    address_file: Path,
    on_ready: Callable[[str], None],
    *,
    connections: Connections,
    send: Send,
) -> None:
    """Serves until interrupted. Raises OSError when the port cannot be opened.

    Args:
        address_file: JSON file that the address is written to, under "url".
        on_ready: called with the address once connections are accepted.
        connections: whose platforms verify webhooks.
        send: sends events to Prefect.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(256)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{listener.getsockname()[1]}"

        def announce() -> None:
            address_file.write_text(json.dumps({"url": address}))
            on_ready(address)

        app = create_app(ledger, settings, EventSender(ledger, send), connections)
        AnnouncingServer(server_config(app), announce).run(sockets=[listener])


def server_config(app: Starlette) -> uvicorn.Config:
    """uvicorn's configuration: idle and slow clients do not keep others out."""
    return uvicorn.Config(
        app,
        http=protocol_with(ConnectionLimits(body=5.0, connections=200)),
        access_log=False,  # the query holds Event Grid's secret
        server_header=False,
        log_level="warning",
        lifespan="on",
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
