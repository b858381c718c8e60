"""Receives request bodies and limits how much memory they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from labelwright.network.json_depth import depth_of

from .config import Limits

PATIENCE = 8 * 1024**2


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


class Body:
    """The body of one request, read at most once. Can be passed on as ASGI's `receive`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.more = True

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.more = False
        return message

    async def chunk(self) -> bytes:
        """Receives the next chunk. Raises ClientGone."""
        message = await self()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        return chunk

    async def drain(self) -> None:
        """Reads what the client is still sending, up to a limit.

        Most clients send everything before they read a response."""
        left = PATIENCE
        while self.more and left > 0:
            left -= len((await self()).get("body", b""))


class BodyBudgetExceeded(Exception):
    """The current request bodies take all the memory that is reserved for them."""


class BodyBudget:
    """Counts the bytes of all request bodies in memory, by user. Used from the event loop only."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bodies: set[BodyShare] = set()

    @contextmanager
    def body(self, user: int | str) -> Iterator[BodyShare]:
        """Counts a body's bytes until the block ends."""
        counted = BodyShare(self, user)
        self._bodies.add(counted)
        try:
            yield counted
        finally:
            self._bodies.discard(counted)

    def has_room(self, user: int | str, size: int) -> bool:
        """Whether `size` more bytes fit. A user may take half of the memory at most, so that others are served."""
        total = sum(body.size for body in self._bodies)
        held = sum(body.size for body in self._bodies if body.user == user)
        return held + size <= self._limit // 2 and total + size <= self._limit


class BodyShare:
    """Counts the bytes of one body."""

    def __init__(self, held: BodyBudget, user: int | str) -> None:
        self._held, self.user, self.size = held, user, 0

    def add(self, size: int) -> None:
        """Raises BodyBudgetExceeded."""
        if not self._held.has_room(self.user, size):
            raise BodyBudgetExceeded
        self.size += size


def fault_of_json(body: bytes, limits: Limits, *, deep: bool) -> str | None:
    """Returns why a body must not be parsed, or None. Only counts bytes, without building values.

    `deep`: whether the nesting depth is left to the parser to check.
    """
    # Without objects of images no body has more than a list of images. Each fault in it makes a text of its own.
    most_here = 2**63 if deep else limits.images_per_request + 10_000
    for sign, most, what in (
        (b"[", min(limits.body_lists, most_here), "lists"),
        (b"{", min(limits.body_objects, most_here), "objects"),
        (b",", limits.body_values, "values"),
    ):
        count = body.count(sign)
        if count > most:
            return f"the body has {count} {what}, and {most} are allowed: send it in parts"
    if not deep and body.count(b"[") + body.count(b"{") > limits.body_depth:
        depth = depth_of(body)
        if depth > limits.body_depth:
            return f"the body is nested {depth} levels deep, and {limits.body_depth} are allowed"
    return None
