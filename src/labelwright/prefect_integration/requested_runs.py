"""Runs of deployments that a person asks for on the operations page. Prefect is imported with the first of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from labelwright.domain.errors import CannotRun
from labelwright.network.deadlines import OutOfTime, run_within

from .runtime import api_url

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_Result = TypeVar("_Result")

DEADLINE = 15.0
"""Seconds for all requests to Prefect that one request of a page needs."""

_RAISED = re.compile(r"^Flow run encountered an exception: (?:\w+: )?")
"""What Prefect puts before an error's message."""


class RunNotStarted(Exception):
    """Prefect did not start the run. The message says why, and what to do."""

    error_code = "LW6008"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run is."""

    state: str
    """Prefect's name of its state, such as "Running"."""
    is_over: bool
    succeeded: bool
    message: str
    """What was done, or why not."""
    page: str
    """Its page in the Prefect UI."""


class RequestedRuns:
    """Runs on the configured Prefect server, or on that of this home's `labelwright up`."""

    def ui(self) -> str | None:
        """The address of the Prefect UI, without asking it; None when no server is configured."""
        url = os.environ.get("PREFECT_UI_URL") or (api_url() or "").rstrip("/").removesuffix("/api")
        return url.rstrip("/") or None

    def start(self, deployment: str, parameters: Mapping[str, bool | str], key: str) -> str:
        """Creates a run of FLOW/DEPLOYMENT for a worker, and returns its id. With the same key it is the same run.

        Raises RunNotStarted.
        """

        def create(client: SyncPrefectClient) -> str:
            from prefect.exceptions import ObjectNotFound

            try:
                id = client.read_deployment_by_name(deployment).id
            except ObjectNotFound:
                raise RunNotStarted(
                    f"The Prefect server has no deployment {deployment}: register it with labelwright deploy"
                ) from None
            run = client.create_flow_run_from_deployment(id, parameters=dict(parameters), idempotency_key=key)
            return str(run.id)

        return _ask_prefect(create)

    def status(self, run: str) -> RunStatus:
        """How the run is. Raises RunNotStarted when Prefect does not tell."""
        page = f"{self.ui()}/runs/flow-run/{run}"
        try:
            run_id = UUID(run)
        except ValueError:
            return RunStatus("unknown", True, False, "There is no run of that id.", "")

        def read(client: SyncPrefectClient) -> RunStatus:
            from prefect.exceptions import ObjectNotFound

            try:
                state = client.read_flow_run(run_id).state
            except ObjectNotFound:
                return RunStatus("deleted", True, False, "The run was deleted in Prefect.", "")
            if state is None:
                return RunStatus("Scheduled", False, False, "", page)
            message = _RAISED.sub("", state.message or "") if state.is_final() else ""
            return RunStatus(state.name or state.type.value, state.is_final(), state.is_completed(), message, page)

        return _ask_prefect(read)


def _ask_prefect(ask: Callable[[SyncPrefectClient], _Result]) -> _Result:
    """Calls `ask` with a client, and does not wait for longer than DEADLINE. Raises RunNotStarted."""
    if api_url() is None:
        raise RunNotStarted(
            "No Prefect server is configured for this service, which would do it. Use the command, or start everything "
            "with labelwright up, or name a server with PREFECT_API_URL"
        )
    from httpx import HTTPError, HTTPStatusError
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from .client import require_prefect_client

    def within_settings() -> _Result:
        changed = {PREFECT_CLIENT_MAX_RETRIES: 1, PREFECT_API_REQUEST_TIMEOUT: DEADLINE / 2}
        with temporary_settings(changed), require_prefect_client() as client:
            return ask(client)

    try:
        result: _Result = run_within(DEADLINE, copy_context().run, within_settings)
    except HTTPStatusError as error:
        raise RunNotStarted(f"The Prefect server refused it (status {error.response.status_code}).") from None
    except (HTTPError, OutOfTime, RuntimeError) as error:
        raise RunNotStarted(
            f"The Prefect server did not respond ({type(error).__name__}): whether the run was started is not known. "
            "Send this form again: it starts one run at most."
        ) from None
    except CannotRun as error:
        raise RunNotStarted(str(error)) from None
    return result
