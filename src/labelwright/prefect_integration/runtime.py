"""Prefect in this process: connects commands to the configured server, or to a server that ends with the command."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path

from labelwright.local.servers import NotStarted, Server, start_prefect, use_prefect_of_up
from labelwright.network.deadlines import OutOfTime, run_within
from labelwright.network.proxies import keep_loopback_direct
from labelwright.settings import settings

Waiting = Callable[[str], contextlib.AbstractContextManager[None]]
"""Shows an activity for as long as its context is open."""

_HEALTH_TIMEOUT = 30.0
"""Seconds within which a configured Prefect server has to respond."""


@contextlib.contextmanager
def prefect_runtime(
    server: Server | None = None, waiting: Waiting = lambda _activity: contextlib.nullcontext()
) -> Iterator[None]:
    """Sets Prefect up for flows of this process. Import the flows within the context, not before.

    Flows talk to `server`; else to the configured API; else to a server that is started here and stopped at the end.
    That server is started as `labelwright up` starts one, not by Prefect: Prefect's own temporary server waits for
    three minutes for one that has ended, prints its traceback, and gets the Ctrl+C that is meant for this process.

    Raises NotStarted when the configured server does not respond, or the temporary one does not start.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # Prefect warns of a home folder that cannot be written and goes on without it.
    warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")
    if server is not None:
        os.environ["PREFECT_API_URL"] = f"{server.url}/api"
    use_prefect_of_up(settings().home)
    keep_loopback_direct()
    _require_reachable_prefect()
    with contextlib.ExitStack() as stack:
        if server is None and not configured_api_url():
            server = stack.enter_context(_temporary_prefect(settings().home, waiting))
        if server is not None:
            stack.enter_context(without_heartbeats())
        try:
            yield
        finally:
            flush_logs_and_events()


@contextlib.contextmanager
def _temporary_prefect(home: Path, waiting: Waiting) -> Iterator[Server]:
    """Starts a Prefect server, points this process to it, and stops it at the end. Raises NotStarted, OSError."""
    from prefect.context import refresh_global_settings_context

    with waiting("starting Prefect"):
        server = start_prefect(home)
    before = {name: os.environ.get(name) for name in ("PREFECT_API_URL", "PREFECT_HOME")}
    try:
        os.environ["PREFECT_API_URL"] = f"{server.url}/api"
        os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
        refresh_global_settings_context()
        yield server
    finally:
        try:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
            refresh_global_settings_context()
        finally:
            server.stop()


def without_heartbeats() -> contextlib.AbstractContextManager[object]:
    """Turns heartbeats of runs off, unless the environment sets their frequency.

    Nobody listens for them on a server that ends with its runs, and at its end each flow would wait up to a second for
    the thread that sends them.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    configured = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_RUNNER_HEARTBEAT_FREQUENCY"} & os.environ.keys()
    return contextlib.nullcontext() if configured else temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def configured_api_url() -> str | None:
    """Returns the URL of the API that flows talk to, from the environment or from a Prefect profile."""
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    return url


def flush_logs_and_events() -> None:
    """Sends what Prefect's background threads still hold. After their server has stopped they would wait for it."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=20)


def _require_reachable_prefect() -> None:
    """Raises NotStarted when the configured API does not respond. Without this check a flow ends in a traceback."""
    from httpx import HTTPError, HTTPStatusError

    url = configured_api_url()
    if not url:
        return
    try:
        error = run_within(_HEALTH_TIMEOUT, copy_context().run, _healthcheck)
    except (HTTPError, OutOfTime) as failure:
        error = failure
    # Any status is a response: some servers ask for a credential.
    if error is not None and not isinstance(error, HTTPStatusError):
        raise NotStarted(
            f"Prefect's API at {url} does not answer. Nothing was done. Start it with: labelwright up, or unset "
            "PREFECT_API_URL to run with a server of our own"
        ) from None


def _healthcheck() -> Exception | None:
    """Returns the error of one request to the API's health check; None when it is healthy."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: 10}),
        get_client(sync_client=True) as client,
    ):
        return client.api_healthcheck()
