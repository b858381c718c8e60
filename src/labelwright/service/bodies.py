"""Request bodies as they come in."""

from __future__ import annotations

from starlette.types import Message, Receive

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
