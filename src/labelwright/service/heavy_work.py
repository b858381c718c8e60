"""Runs requests that take long in threads, in turns between users."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from labelwright.service.access import Identity
from labelwright.service.api.errors import Busy
from labelwright.service.bodies import ClientGone

T = TypeVar("T")

_LARGE = 1024**2
_LOOK_SECONDS = 0.25


class HeavyWork:
    """Threads for checking and storing objects: one request per user at a time, so that others get their turn, and
    one large body at a time, as it is parsed in memory."""

    def __init__(self, threads: int = 2, waiting: int = 200) -> None:
        self._threads = CapacityLimiter(threads)
        self._large = CapacityLimiter(1)
        self._waiting, self._most_waiting = 0, waiting
        self._users: dict[int, tuple[CapacityLimiter, int]] = {}

    async def run(self, request: Request, who: Identity, size: int, work: Callable[[Callable[[], None]], T]) -> T:
        """Runs `work` in a thread and returns its result.

        `work` gets a function to call now and then, which raises ClientGone once the client is gone. Work whose client
        leaves while it waits is not started. `size`: bytes of the body.

        Raises Busy when too many requests wait, ClientGone, and what `work` raises.
        """
        if self._waiting >= self._most_waiting:
            raise Busy("too many requests wait for their turn: try again")
        gone, begun = threading.Event(), threading.Event()

        def check() -> None:
            if gone.is_set():
                raise ClientGone

        def begin() -> T:
            begun.set()
            check()
            return work(check)

        task = asyncio.ensure_future(self._in_turn(who, size, begin))
        task.add_done_callback(_retrieve_exception)
        self._waiting += 1
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_SECONDS))[0]:
                if await request.is_disconnected():
                    raise ClientGone
            return await task
        finally:
            self._waiting -= 1
            gone.set()
            if not begun.is_set():  # else it holds its turn until its thread has ended
                task.cancel()

    async def _in_turn(self, who: Identity, size: int, work: Callable[[], T]) -> T:
        limiter, users = self._users.get(who.user_id, (CapacityLimiter(1), 0))
        self._users[who.user_id] = (limiter, users + 1)
        try:
            async with AsyncExitStack() as turns:
                await turns.enter_async_context(limiter)
                if size > _LARGE:
                    await turns.enter_async_context(self._large)
                return await to_thread.run_sync(work, limiter=self._threads)
        finally:
            limiter, users = self._users[who.user_id]
            if users == 1:
                del self._users[who.user_id]
            else:
                self._users[who.user_id] = (limiter, users - 1)


def _retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Retrieves the exception of work whose client is gone, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
