"""ASGI middleware: routes blob requests, limits bodies, checks keys, and stores responses by Idempotency-Key."""

from __future__ import annotations

import re

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access, Identity
from .api.errors import DATABASE_ERRORS, Invalid, ServiceError, TooLarge, database_busy, error_response
from .blobs.app import BlobApi
from .bodies import PATIENCE, Body, BodyBudget, BodyBudgetExceeded, BodyShare, ClientGone, fault_of_json
from .config import API, BLOB, Limits
from .idempotency import KEY, StoredResponses, fingerprint_of

OPEN = frozenset({f"{API}/health", f"{API}/openapi.json"})
"""Paths of the API that need no key."""

_WITH_OBJECTS = re.compile(rf"{API}/(campaigns/\d+/(objects|predictions)|labeling/campaigns/\d+/images(/\d+)?)")
"""Paths of the API whose bodies are read by `objects`, without a framework."""

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class RequestLimits:
    def __init__(
        self, app: ASGIApp, *, blobs: BlobApi | None, access: Access, answers: StoredResponses, limits: Limits
    ) -> None:
        self._app = app
        self._blobs = blobs
        self._access = access
        self._answers = answers
        self._limits = limits
        self._guesses = CapacityLimiter(1)
        self._held = BodyBudget(limits.bodies_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if self._blobs is not None and path.startswith(f"{BLOB}/"):
            await self._blobs(scope, receive, send)
            return
        guarded, body = _guarded(send), Body(receive)
        scope.setdefault("state", {})
        try:
            if not path.startswith(f"{API}/") or path in OPEN:
                await self._app(scope, receive, guarded)
                return
            who = await self._identify(scope)
            if who is None:
                await body.drain()
                message = "send the headers Authentication-Key and Authentication-Secret of a known pair"
                await error_response(401, message)(scope, receive, guarded)
                return
            scope["state"]["identity"] = who
            with self._held.body(who.user_id) as held:
                await self._pass(who, scope, body, held, guarded)
        except ClientGone:
            return
        except BodyBudgetExceeded:
            await body.drain()
            message = "the service holds as many request bodies as it has memory for: try again"
            await error_response(503, message)(scope, receive, guarded)
        except DATABASE_ERRORS as error:  # of the key's or the remembered answer's look-up; routes answer for theirs
            busy = database_busy(error)
            if busy is None:
                raise
            await error_response(busy.status, busy.message)(scope, receive, guarded)
        except ServiceError as error:
            await error_response(error.status, error.message, error.details)(scope, receive, guarded)

    async def _identify(self, scope: Scope) -> Identity | None:
        key, secret = _header(scope, b"authentication-key"), _header(scope, b"authentication-secret")
        if not key or not secret or len(key) > 255 or len(secret) > 1024:
            return None
        if who := await run_in_threadpool(self._access.recognize, key, secret):
            return who
        # One at a time, and waiting without a thread: whoever guesses slows down nobody but those who guess.
        return await to_thread.run_sync(self._access.identify, key, secret, limiter=self._guesses)

    async def _pass(self, who: Identity, scope: Scope, receive: Body, held: BodyShare, send: Send) -> None:
        method = scope["method"]
        if method not in _CHANGING:
            await self._app(scope, receive, send)
            return
        body = await self._body(scope, receive, held)
        key = _header(scope, b"idempotency-key")
        if key is None:
            await self._app(scope, _given(body, receive), send)
            return
        if not re.fullmatch(KEY, key):
            raise Invalid("Idempotency-Key is 1 to 255 printable ASCII characters")
        fingerprint = fingerprint_of(method, scope["path"], scope["query_string"], body)
        async with self._answers.alone(who, key):
            kept = await run_in_threadpool(self._answers.recall, who, key, fingerprint)
            if kept:
                replayed = {"Idempotency-Replayed": "true"}
                await Response(kept[1], kept[0], replayed, "application/json")(scope, receive, send)
                return
            messages: list[Message] = []

            async def collect(message: Message) -> None:
                messages.append(message)

            await self._app(scope, _given(body, receive), collect)
            status = messages[0]["status"]
            if status < 500:
                error_body = b"".join(message.get("body", b"") for message in messages[1:])
                await run_in_threadpool(self._answers.keep, who, key, fingerprint, status, error_body)
        for message in messages:
            await send(message)

    async def _body(self, scope: Scope, body: Body, held: BodyShare) -> bytes:
        """Reads the whole body. Raises TooLarge, Invalid for one that would take too much memory when parsed,
        BodyBudgetExceeded when other requests take that memory."""
        with_objects = scope["method"] == "PUT" and _WITH_OBJECTS.fullmatch(scope["path"]) is not None
        largest = self._limits.body_bytes
        if not with_objects:
            largest = min(largest, self._limits.small_body_bytes)
        declared = _header(scope, b"content-length") or "0"
        too_large = declared.isdigit() and int(declared) > largest
        chunks, total = list[bytes](), 0
        while body.more and total <= largest + PATIENCE:
            chunk = await body.chunk()
            total += len(chunk)
            if total > largest:
                too_large = True
            if not too_large:
                held.add(len(chunk))
                chunks.append(chunk)
        if too_large:
            raise TooLarge(f"a body is at most {largest} bytes here: send it in parts")
        whole = b"".join(chunks)
        if fault := fault_of_json(whole, self._limits, deep=with_objects):
            raise Invalid(fault)
        return whole


def _given(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that first delivers the body that was read already."""
    delivered = False

    async def again() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _guarded(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in _HEADERS if pair[0] not in present)]
        await send(message)

    return guarded


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None
