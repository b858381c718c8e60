"""Lets Prefect's server handle one request after the other on SQLite.

Prefect lets 100 requests in at once. Most of them read and then write in one transaction, which SQLite refuses
("database is locked") when another one has written meanwhile; the client repeats it, and in a burst, such as a hundred
launch forms, hardly any succeeds. Those that wait for the lock hold all 15 connections that SQLAlchemy has for a file.
All requests share one thread of Python, so that nothing is lost by their order.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from typing import Any

import anyio

PATIENCE = 30.0
"""Seconds that a request waits for those before it, at most: the client of one may have been suspended."""

LOCK_SECONDS = 5
"""Seconds that a statement waits for SQLite's lock; Prefect has 60.

A statement waits in a thread of its own. If Python meanwhile removes the cursor of a statement that failed on the same
connection, in the thread that handles all requests, SQLite lets that thread wait, too, and with it the transaction that
has the lock. Nothing goes on until this time is over.
"""

_BEGINS = "a transaction that has not begun"

App = Callable[[Any, Any, Any], Awaitable[None]]


class OneRequestAtATime:
    """ASGI middleware: requests are handled in the order in which they arrive."""

    def __init__(self, app: App, **_options: object) -> None:
        self._app = app
        self._lock = anyio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"].endswith("/health"):
            # A websocket stays open, and a busy server is no hanging one.
            await self._app(scope, receive, send)
            return
        with anyio.move_on_after(PATIENCE) as waiting:
            await self._lock.acquire()
        try:
            await self._app(scope, receive, send)
        finally:
            if not waiting.cancelled_caught:
                self._lock.release()


class WritesFromTheStart:
    """Prefect's context variable for the mode of an SQLite transaction, in which every transaction begins as IMMEDIATE.

    Prefect begins most of them as DEFERRED. One that reads first and writes later is refused when another one has
    written meanwhile, and its repetitions keep the others waiting; of 200 runs few came through.

    Some of Prefect's requests open a second session inside a transaction. That one begins as Prefect has it: as
    IMMEDIATE it would wait for the first, which waits for it.
    """

    def __init__(self, variable: ContextVar[str | None]) -> None:
        self._variable = variable

    def get(self) -> str | None:
        mode = self._variable.get()
        if mode is not _BEGINS:
            return mode
        self._variable.set("DEFERRED")
        return "IMMEDIATE"

    def set(self, mode: str | None) -> Token[str | None]:
        if mode == "DEFERRED" and self._variable.get() is None:
            mode = _BEGINS
        return self._variable.set(mode)

    def reset(self, token: Token[str | None]) -> None:
        self._variable.reset(token)


def with_shorter_waits(setup: Callable[..., None]) -> Callable[..., None]:
    """Prefect's `setup_sqlite`, which prepares a new connection, with LOCK_SECONDS."""

    @functools.wraps(setup)
    def setup_sqlite(self: Any, connection: Any, record: Any) -> None:
        setup(self, connection, record)
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")
        cursor.close()

    return setup_sqlite


def handle_one_by_one() -> None:
    """The server of this process takes these where it would take its own, with SQLite only."""
    from prefect.server.api import server
    from prefect.server.database import configurations

    server.RequestLimitMiddleware = OneRequestAtATime  # type: ignore[assignment,misc]
    configurations.SQLITE_BEGIN_MODE = WritesFromTheStart(configurations.SQLITE_BEGIN_MODE)  # type: ignore[assignment]
    sqlite = configurations.AioSqliteConfiguration
    sqlite.setup_sqlite = with_shorter_waits(sqlite.setup_sqlite)  # type: ignore[method-assign]
