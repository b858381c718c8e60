"""Prefect in this process: connects commands to the configured server, or to a server that ends with the command."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextvars import copy_context
from importlib import import_module
from pathlib import Path

from labelwright.local.imports import without_collections
from labelwright.local.servers import (
    LOOPBACK,
    NotStarted,
    Server,
    begin_prefect,
    free_port,
    use_prefect_of_up,
)
from labelwright.network.deadlines import OutOfTime, run_within
from labelwright.network.proxies import keep_loopback_direct
from labelwright.settings import settings

Waiting = Callable[[str], contextlib.AbstractContextManager[None]]
"""Shows an activity for as long as its context is open."""

_HEALTH_TIMEOUT = 30.0
"""Seconds within which a configured Prefect server has to respond."""


def prepare_prefect(url: str | None = None) -> None:
    """Sets what Prefect reads when it is imported. `url`: the server that flows of this process are going to use.

    Called again with another URL, Prefect reads its settings again.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # Prefect warns of a home folder that cannot be written and goes on without it.
    warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")
    if url is not None and os.environ.get("PREFECT_API_URL") != f"{url}/api":
        os.environ["PREFECT_API_URL"] = f"{url}/api"
        _read_settings_again()


def import_flows(*modules: str) -> None:
    """Imports modules of `labelwright.flows`, and with them Prefect: a second in which a server can start."""
    with without_collections():
        for module in modules:
            import_module(f"labelwright.flows.{module}")


@contextlib.contextmanager
def prefect_runtime(
    server: Server | None = None,
    *flows: str,
    waiting: Waiting = lambda _activity: contextlib.nullcontext(),
) -> Iterator[None]:
    """Sets Prefect up for flows of this process. Import the flows within the context, not before.

    Flows talk to `server`; else to the configured API; else to a server that is started here and stopped at the end.
    That server is started as `labelwright up` starts one, not by Prefect: Prefect's own temporary server waits for
    three minutes for one that has ended, prints its traceback, and gets the Ctrl+C that is meant for this process.

    flows: modules of `labelwright.flows` that are imported here, while a server that is started here gets ready.
    Raises NotStarted when the configured server does not respond, or the temporary one does not start.
    """
    prepare_prefect(None if server is None else server.url)
    use_prefect_of_up(settings().home)
    keep_loopback_direct()
    with contextlib.ExitStack() as stack:
        if _is_api_configured():
            _require_reachable_prefect()
            import_flows(*flows)
        else:
            server = stack.enter_context(_temporary_prefect(settings().home, flows, waiting))
        if server is not None:
            stack.enter_context(without_heartbeats())
        try:
            yield
        finally:
            flush_logs_and_events()


@contextlib.contextmanager
def _temporary_prefect(home: Path, flows: tuple[str, ...], waiting: Waiting) -> Iterator[Server]:
    """Starts a Prefect server, points this process to it, and stops it at the end. Raises NotStarted, OSError.

    Imports the flows while the server starts.
    """
    before = {name: os.environ.get(name) for name in ("PREFECT_API_URL", "PREFECT_HOME")}
    if "prefect.events.worker" in sys.modules:
        flush_logs_and_events(within=0)  # else Prefect sends events, and so task runs, to the server of earlier ones
    with waiting("starting Prefect"):
        port = free_port(0)  # nobody looks for it, and another command may be starting its server on the usual one
        starting = begin_prefect(home, port, ui=False, block_types=False)
        try:
            os.environ["PREFECT_API_URL"] = f"http://{LOOPBACK}:{port}/api"
            os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
            _read_settings_again()
            import_flows(*flows)
            server = starting.wait()
        except BaseException:
            _restore(before)
            starting.stop()
            raise
    try:
        yield server
    finally:
        try:
            _restore(before)
        finally:
            server.stop()


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _read_settings_again()


def _read_settings_again() -> None:
    """Has Prefect read its settings from the environment again, if it was imported before."""
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def reachable_prefect() -> bool | None:
    """Whether the configured Prefect API, or that of this home's `up`, responds; None when none is configured.

    Afterwards Prefect may be used by this process outside of runs.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    before = os.environ.get("PREFECT_API_URL")
    use_prefect_of_up(settings().home)
    if os.environ.get("PREFECT_API_URL") != before:
        _read_settings_again()
    keep_loopback_direct()
    if not configured_api_url():
        return None
    return _unreachable_because() is None


def without_heartbeats() -> contextlib.AbstractContextManager[object]:
    """Turns heartbeats of runs off, unless the environment sets their frequency.

    Nobody listens for them on a server that ends with its runs, and at its end each flow would wait up to a second for
    the thread that sends them.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    configured = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "PREFECT_RUNNER_HEARTBEAT_FREQUENCY"} & os.environ.keys()
    return contextlib.nullcontext() if configured else temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def api_url() -> str | None:
    """The URL of the configured Prefect API, or of that of this home's `up`; None when there is none."""
    before = os.environ.get("PREFECT_API_URL")
    use_prefect_of_up(settings().home)
    if os.environ.get("PREFECT_API_URL") != before:
        _read_settings_again()
    keep_loopback_direct()
    return configured_api_url() if _may_name_an_api() else None


def _is_api_configured() -> bool:
    """Whether an API is configured. Asks Prefect, which takes a while to import, only when there may be one."""
    return _may_name_an_api() and bool(configured_api_url())


def _may_name_an_api() -> bool:
    """Whether there is a variable or a file in which Prefect would find the URL of an API."""
    names = {name.upper() for name in os.environ}
    if not names.isdisjoint({"PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"}):
        return True
    profiles = Path(os.environ.get("PREFECT_HOME") or "~/.prefect") / "profiles.toml"
    for name in (".env", "prefect.toml", "pyproject.toml", os.path.expanduser(profiles)):  # noqa: PTH111 - without an error
        try:
            text = Path(name).read_bytes().lower()
        except FileNotFoundError:
            continue
        except OSError:
            return True
        if b"prefect" in text or b"api" in text:
            return True
    return False


def configured_api_url() -> str | None:
    """Returns the URL of the API that flows talk to, from the environment or from a Prefect profile."""
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    return url


def flush_logs_and_events(within: float = 20) -> None:
    """Sends what Prefect's background threads still hold. After their server has stopped they would wait for it.

    within: seconds to wait; what is not sent by then is sent while the process goes on.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=within)


def _require_reachable_prefect() -> None:
    """Raises NotStarted when the configured API does not respond. Without this check a flow ends in a traceback."""
    url = configured_api_url()
    if url and _unreachable_because() is not None:
        raise NotStarted(
            f"Prefect's API at {url} does not answer. Nothing was done. Start it with: labelwright up, or unset "
            "PREFECT_API_URL to run with a server of our own"
        ) from None


def _unreachable_because() -> Exception | None:
    """Returns why the configured API does not respond; None when it does.

    Any status is a response: some servers ask for a credential.
    """
    from httpx import HTTPError, HTTPStatusError

    try:
        error = run_within(_HEALTH_TIMEOUT, copy_context().run, _healthcheck)
    except (HTTPError, OutOfTime) as failure:
        error = failure
    return None if isinstance(error, HTTPStatusError) else error


def _healthcheck() -> Exception | None:
    """Returns the error of one request to the API's health check; None when it is healthy."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: 10}),
        get_client(sync_client=True) as client,
    ):
        return client.api_healthcheck()
