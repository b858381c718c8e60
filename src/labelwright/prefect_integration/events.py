"""Events on their way to Prefect: sent by one request, and known to be taken when it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from typing import Any
from uuid import UUID

from labelwright.domain.errors import EventsNotSent, EventsRejected
from labelwright.network.deadlines import OutOfTime, run_within

_LONGEST = 60.0
"""Seconds: Prefect's client waits for the next byte only, and tries again by itself."""
_REFUSALS = (400, 413, 422)


def send_to_prefect(events: Sequence[dict[str, Any]]) -> None:
    """By one request that is answered when they are taken, within a minute. Raises EventsNotSent, EventsRejected."""
    from prefect.events import Event

    try:
        made = [Event.model_validate({**one, "id": UUID(one["id"])}).model_dump(mode="json") for one in events]
    except ValueError as error:
        raise EventsRejected(type(error).__name__) from None
    # Sent late after all, they are the same events: Prefect takes each id once.
    try:
        run_within(_LONGEST, copy_context().run, _send, made)
    except OutOfTime:
        raise EventsNotSent(f"no answer within {_LONGEST:g} seconds") from None


def _send(made: list[dict[str, Any]]) -> None:
    from httpx import HTTPError, HTTPStatusError
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=made).raise_for_status()
    except (HTTPError, RuntimeError) as error:
        if isinstance(error, HTTPStatusError) and error.response.status_code in _REFUSALS:
            raise EventsRejected(f"status {error.response.status_code}") from None
        raise EventsNotSent(type(error).__name__) from None
