"""Serving the receiver."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from labelwright.ledger import Ledger
from labelwright.network.listening import Patience, protocol_with
from labelwright.settings import ReceiverSettings

from .app import create_app
from .telling import Teller, send_to_prefect


def serve(ledger: Ledger, settings: ReceiverSettings, told: Path, ready: Callable[[str], None]) -> None:
    """Serve until interrupted. `ready` is told the address; it also stands in the file `told`. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(256)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{host}:{listening.getsockname()[1]}"
        told.write_text(json.dumps({"url": address}))
        ready(address)
        config = configured(create_app(ledger, settings, Teller(ledger, send_to_prefect)))
        uvicorn.Server(config).run(sockets=[listening])


def configured(app: Starlette) -> uvicorn.Config:
    """How the application is served: idle and slow clients do not keep others out."""
    return uvicorn.Config(
        app,
        http=protocol_with(Patience(body=5.0, connections=200)),
        access_log=False,  # the query holds Event Grid's secret
        server_header=False,
        log_level="warning",
        lifespan="on",
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
