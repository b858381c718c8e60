"""Request bodies as they come in, and how much of them is held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from labelwright.network.json_depth import depth_of

from .config import Limits

PATIENCE = 8 * 1024**2


class ClientGone(Exception):
    """The connection was closed before the body was whole: there is nobody to answer."""


class Body:
    """The body of one request, read at most once. May be passed on as ASGI's `receive`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.more = True

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.more = False
        return message

    async def chunk(self) -> bytes:
        """The next piece. Raises ClientGone."""
        message = await self()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        return chunk

    async def drain(self) -> None:
        """Read what the client is still sending, within reason: most clients send all before they read an answer."""
        left = PATIENCE
        while self.more and left > 0:
            left -= len((await self()).get("body", b""))


class Overfull(Exception):
    """The bodies under way take all the memory that is set aside for them."""


class Held:
    """The bytes of all request bodies in memory, by user. Used from the event loop alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bodies: set[HeldBody] = set()

    @contextmanager
    def body(self, user: int | str) -> Iterator[HeldBody]:
        """Count a body until the block ends."""
        counted = HeldBody(self, user)
        self._bodies.add(counted)
        try:
            yield counted
        finally:
            self._bodies.discard(counted)

    def has_room(self, user: int | str, size: int) -> bool:
        """Whether `size` more bytes fit. Half of the memory is one user's at most: another one always gets through."""
        total = sum(body.size for body in self._bodies)
        held = sum(body.size for body in self._bodies if body.user == user)
        return held + size <= self._limit // 2 and total + size <= self._limit


class HeldBody:
    """The bytes of one body."""

    def __init__(self, held: Held, user: int | str) -> None:
        self._held, self.user, self.size = held, user, 0

    def add(self, size: int) -> None:
        """Raises Overfull."""
        if not self._held.has_room(self.user, size):
            raise Overfull
        self.size += size


def fault_of_json(body: bytes, limits: Limits, *, deep: bool) -> str | None:
    """Why a body is not parsed, or None. Looks at no more than counts of its bytes, without making any value of them.

    `deep`: whether how deep it is nested is left to what reads it.
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
