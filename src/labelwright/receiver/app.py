"""The receiver's Starlette application: `/webhooks/CONNECTION`, `/eventgrid` and `/health`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelwright.campaigns.connections import Connections
from labelwright.ledger import Ledger, LedgerError
from labelwright.network.json_depth import depth_of
from labelwright.settings import ReceiverSettings

from . import event_grid
from .errors import NOT_STORED, RequestRefused
from .event_sender import EventSender
from .webhooks import Webhooks

MAX_BODY = 1024 * 1024
"""Bytes of a request; Event Grid sends at most this much."""

MAX_DEPTH = 64
"""Lists and objects inside each other; notifications of the platforms have fewer than ten."""

REQUEST_TIMEOUT = 10.0
"""Seconds to send a request, and as many to store it."""

Handler = Callable[[Request], Awaitable[Response]]
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def create_app(
    ledger: Ledger, settings: ReceiverSettings, event_sender: EventSender, connections: Connections
) -> Starlette:
    """The application. A notification is in the ledger before it is answered with success."""

    threads = LedgerThreads()
    webhooks = Webhooks(ledger, connections)

    async def webhook(request: Request) -> Response:
        connection, headers = request.path_params["connection"], dict(request.headers)
        body = await _read_body(request)
        is_new = await threads.run(webhooks.record, connection, headers, body)
        event_sender.wake()
        return JSONResponse({"new": is_new})

    async def grid(request: Request) -> Response:
        secret = request.query_params.get("secret") or request.headers.get("x-labelwright-secret")
        event_grid.check_secret(settings, secret)
        if request.method == "OPTIONS":
            return Response(headers=event_grid.handshake_headers(dict(request.headers)))
        body = await _read_body(request)
        payload = await threads.run(event_grid.record_events, ledger, settings, body)
        event_sender.wake()
        return JSONResponse(payload)

    async def health(_request: Request) -> Response:
        return JSONResponse({"waiting": len(await threads.run(ledger.inbox.waiting, 1000))})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        event_sender.start()
        yield
        await run_in_threadpool(event_sender.stop)
        threads.stop()

    return Starlette(
        routes=[
            Route("/webhooks/{connection}", _with_error_responses(webhook), methods=["POST"]),
            Route("/eventgrid", _with_error_responses(grid), methods=["POST", "OPTIONS"]),
            Route("/health", _with_error_responses(health), methods=["GET"]),
        ],
        lifespan=lifespan,
    )


def _with_error_responses(handler: Handler) -> Handler:
    """Turns refusals into short JSON responses, and ledger faults into 503 with Retry-After."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestRefused as refusal:
            return JSONResponse({"error": refusal.message, "error_code": refusal.code}, refusal.status)
        except (SQLAlchemyError, LedgerError, TimeoutError):
            message = {"error": "it could not be stored; send it again", "error_code": NOT_STORED}
            return JSONResponse(message, 503, {"Retry-After": "30"})
        except ClientDisconnect:
            return Response(status_code=400)

    return handle


async def _read_body(request: Request) -> bytes:
    """Raises RequestRefused for one that is too large, too slow or nested too deeply."""
    try:
        if int(request.headers.get("content-length", 0)) > MAX_BODY:
            raise RequestRefused(413, "the request is too large")
    except ValueError:
        raise RequestRefused(400, "Content-Length is not a number") from None
    content = bytearray()
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            async for piece in request.stream():
                content += piece
                if len(content) > MAX_BODY:
                    raise RequestRefused(413, "the request is too large")
    except TimeoutError:
        raise RequestRefused(408, "the request was sent too slowly") from None
    if depth_of(content) > MAX_DEPTH:
        raise RequestRefused(400, "the request is nested too deeply")
    return bytes(content)


class LedgerThreads:
    """A thread pool for ledger calls, each of which the request abandons after REQUEST_TIMEOUT.

    A thread cannot be stopped: one that waits for a locked ledger stores its notification later on, where the same
    notification, sent again, is recognized by its id. While all threads are busy, further calls queue; one that is
    abandoned in the queue never starts.
    """

    def __init__(self, threads: int = 20) -> None:
        self._pool = ThreadPoolExecutor(threads, "ledger")

    async def run(
        self, function: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        """Raises TimeoutError."""
        async with asyncio.timeout(REQUEST_TIMEOUT):
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
