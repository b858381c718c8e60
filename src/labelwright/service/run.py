"""Serves the application over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from labelwright.network.listening import AnnouncingServer, ConnectionLimits, protocol_with

from .app import Mounts, create_app
from .config import ServiceConfig


class RefusesToListen(RuntimeError):
    """Listening beyond loopback was refused, because no secret was configured."""

    error_code = "LW6009"


class CannotListen(RuntimeError):
    """The address is in use, or does not belong to this machine."""

    error_code = "LW6014"


def serve(
    config: ServiceConfig, ready: Callable[[str], None] | None = None, mounts: Mounts = lambda _access: {}
) -> None:
    """Serves until interrupted. Calls `ready` with the URL once it accepts connections.

    The URL is also written to `<data_dir>/service.json` then. mounts: applications of other packages.
    """
    listening, settings = prepare_server(config, mounts)

    def announce() -> None:
        address = _announce(config, listening)
        if ready:
            ready(address)

    with listening:
        AnnouncingServer(settings, announce).run(sockets=[listening])


@contextmanager
def serving(config: ServiceConfig, mounts: Mounts = lambda _access: {}) -> Iterator[str]:
    """Serves from a thread of this process during the block; yields the URL without a trailing slash."""
    listening, settings = prepare_server(config, mounts)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, args=([listening],), name="service", daemon=True)
    with listening:
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the service did not start; its log says why")
            time.sleep(0.01)
        try:
            yield _announce(config, listening)
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def prepare_server(config: ServiceConfig, mounts: Mounts = lambda _access: {}) -> tuple[socket.socket, uvicorn.Config]:
    """Returns a listening socket and uvicorn's configuration. Raises RefusesToListen, CannotListen."""
    if not config.loopback and (not config.admin_key or len(config.admin_secret or "") < 16):
        raise RefusesToListen(
            f"The service does not listen on {config.host}, where others can reach it, with an admin secret that"
            " nobody chose. Set an admin key and an admin secret of at least 16 characters, or listen on 127.0.0.1."
        )
    app = create_app(config, mounts)
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # The protocol is named because asyncio turns off Nagle's algorithm only where it is: else answers take 40 ms more.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((config.host, config.port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise CannotListen(
            f"cannot listen on {config.host}:{config.port}: {error.strerror or error}. Give another --port"
        ) from None
    except BaseException:
        listening.close()
        raise
    # No access log: the signatures in its lines are secrets. No server header: it is nobody's business.
    settings = uvicorn.Config(
        app,
        http=protocol_with(ConnectionLimits()),
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    return listening, settings


def _announce(config: ServiceConfig, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"http://{host}:{port}"
    (config.data_dir / "service.json").write_text(json.dumps({"url": address, "port": port}))
    return address
