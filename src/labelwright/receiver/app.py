"""The application: two places to tell something, one to ask whether it is well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labelwright.ledger import Ledger, LedgerError
from labelwright.network.json_depth import depth_of
from labelwright.settings import ReceiverSettings

from . import event_grid
from .answers import Refused
from .telling import Teller
from .webhooks import take_webhook

LARGEST = 1024 * 1024
"""Bytes of a request; Event Grid sends at most this much."""

DEEPEST = 64
"""Lists and objects inside each other; notifications of the platforms have fewer than ten."""

PATIENCE = 10.0
"""Seconds to send a request, and as many to write it down."""

Handler = Callable[[Request], Awaitable[Response]]


def create_app(ledger: Ledger, settings: ReceiverSettings, teller: Teller) -> Starlette:
    """Everything that is answered with success stands in the ledger; the teller tells it on by itself."""

    quickly = Quickly()

    async def webhook(request: Request) -> Response:
        connection, headers = request.path_params["connection"], dict(request.headers)
        body = await _body(request)
        new = await quickly(take_webhook, ledger, connection, headers, body)
        teller.wake()
        return JSONResponse({"new": new})

    async def grid(request: Request) -> Response:
        given = request.query_params.get("secret") or request.headers.get("x-labelwright-secret")
        event_grid.let_in(settings, given)
        if request.method == "OPTIONS":
            return Response(headers=event_grid.allow(dict(request.headers)))
        body = await _body(request)
        answer = await quickly(event_grid.take_events, ledger, settings, body)
        teller.wake()
        return JSONResponse(answer)

    async def health(_request: Request) -> Response:
        return JSONResponse({"waiting": len(await quickly(ledger.inbox.waiting, 1000))})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        teller.start()
        yield
        await run_in_threadpool(teller.stop)
        quickly.end()

    return Starlette(
        routes=[
            Route("/webhooks/{connection}", _told(webhook), methods=["POST"]),
            Route("/eventgrid", _told(grid), methods=["POST", "OPTIONS"]),
            Route("/health", _told(health), methods=["GET"]),
        ],
        lifespan=lifespan,
    )


def _told(handler: Handler) -> Handler:
    """Every refusal as a short JSON answer; what we could not write down is asked for again."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return JSONResponse({"error": refused.message}, refused.status)
        except (SQLAlchemyError, LedgerError, TimeoutError):
            return JSONResponse({"error": "it could not be written down; say it again"}, 503, {"Retry-After": "30"})
        except ClientDisconnect:
            return Response(status_code=400)

    return answered


async def _body(request: Request) -> bytes:
    """Raises Refused for one that is too large or too slow."""
    try:
        if int(request.headers.get("content-length", 0)) > LARGEST:
            raise Refused(413, "this is too large")
    except ValueError:
        raise Refused(400, "Content-Length is no number") from None
    content = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for piece in request.stream():
                content += piece
                if len(content) > LARGEST:
                    raise Refused(413, "this is too large")
    except TimeoutError:
        raise Refused(408, "this was too slow") from None
    if depth_of(content) > DEEPEST:
        raise Refused(400, "this is nested too deeply")
    return bytes(content)


class Quickly:
    """Work for the ledger in threads of its own, given up by the request when it takes too long.

    A thread cannot be stopped: one that waits for a locked ledger writes down what it has later on, where the same
    notification, sent again, is recognized by its id. While all threads wait, further work waits too and is given up
    without being begun.
    """

    def __init__(self, threads: int = 20) -> None:
        self._threads = ThreadPoolExecutor(threads, "ledger")

    async def __call__(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def end(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
