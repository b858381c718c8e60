"""Prefect's server on SQLite handles one request after the other, and lets health checks and websockets pass."""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from typing import Any

import anyio
from prefect.server.api import server
from prefect.server.database import configurations

from labelwright.local import prefect_server
from labelwright.local.prefect_server import LOCK_SECONDS, OneRequestAtATime, WritesFromTheStart, with_shorter_waits


class App:
    """Requests stay until `done` is set."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.handled: list[str] = []
        self.most = 0
        self.done = anyio.Event()

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.active.append(scope["path"])
        self.most = max(self.most, len(self.active))
        await self.done.wait()
        self.active.remove(scope["path"])
        self.handled.append(scope["path"])


async def run(scopes: list[dict[str, str]], seconds: float = 0.0) -> tuple[list[str], App]:
    """The paths that are handled before any is done, after some seconds; and the app when all are."""
    app = App()
    limited = OneRequestAtATime(app, limit=100)
    async with anyio.create_task_group() as group:
        for scope in scopes:
            group.start_soon(limited, scope, None, None)
        await anyio.wait_all_tasks_blocked()
        await anyio.sleep(seconds)
        active = list(app.active)
        app.done.set()
    return active, app


def http(path: str) -> dict[str, str]:
    return {"type": "http", "path": path}


def test_requests_are_handled_one_after_the_other_in_order():
    paths = [f"/api/{number}" for number in range(9)]
    active, app = anyio.run(run, [http(path) for path in paths])
    assert active == paths[:1]
    assert app.handled == paths
    assert app.most == 1


def test_health_checks_and_websockets_do_not_wait():
    others = [http("/api/health"), {"type": "websocket", "path": "/api/events/in"}]
    active, app = anyio.run(run, [http("/api/one"), http("/api/late"), *others])
    assert sorted(active) == ["/api/events/in", "/api/health", "/api/one"]
    assert len(app.handled) == 4


def test_a_request_that_hangs_does_not_stop_the_server(monkeypatch):
    monkeypatch.setattr(prefect_server, "PATIENCE", 0.01)
    active, app = anyio.run(run, [http("/api/hangs"), http("/api/next")], 0.1)
    assert active == ["/api/hangs", "/api/next"]
    assert len(app.handled) == 2


def test_prefect_takes_the_middleware_from_the_name_that_is_replaced():
    assert "app.add_middleware(RequestLimitMiddleware, " in inspect.getsource(server.create_app)


def test_nobody_waits_long_for_the_lock_of_sqlite(monkeypatch, tmp_path):
    sqlite = configurations.AioSqliteConfiguration
    monkeypatch.setattr(sqlite, "setup_sqlite", with_shorter_waits(sqlite.setup_sqlite))

    async def read_timeout() -> int:
        engine = await sqlite(f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}").engine()
        try:
            async with engine.connect() as connection:
                return int((await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one())
        finally:
            await engine.dispose()

    assert anyio.run(read_timeout) == 1000 * LOCK_SECONDS


def test_transactions_that_may_write_begin_as_immediate():
    mode = WritesFromTheStart(ContextVar("mode", default=None))
    assert mode.get() is None, "reads outside of a transaction have none"
    token = mode.set("DEFERRED")
    assert mode.get() == "IMMEDIATE"
    mode.reset(token)
    assert mode.get() is None


def test_a_session_inside_a_transaction_does_not_wait_for_it():
    mode = WritesFromTheStart(ContextVar("mode", default=None))
    outer = mode.set("DEFERRED")
    assert mode.get() == "IMMEDIATE"
    assert mode.get() == "DEFERRED", "a read of another connection"
    inner = mode.set("DEFERRED")
    assert mode.get() == "DEFERRED"
    mode.reset(inner)
    mode.reset(outer)
    migrations = mode.set("IMMEDIATE")
    assert [mode.get(), mode.get()] == ["IMMEDIATE", "IMMEDIATE"], "each migration begins a transaction"
    mode.reset(migrations)
    assert mode.get() is None
