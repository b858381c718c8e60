"""Sends events to Prefect by one acknowledged request.

Prefect's own event clients queue events and do not report whether the server accepted them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from typing import Any
from uuid import UUID

from labelwright.domain.errors import EventsNotSent, EventsRejected
from labelwright.network.deadlines import OutOfTime, run_within

_DEADLINE = 60.0
"""Seconds for the whole call: Prefect's own timeout is for the next byte, and its client retries."""

_REJECTED = (400, 413, 422)


def send_to_prefect(events: Sequence[dict[str, Any]]) -> None:
    """Sends the events and returns when Prefect accepted them. Raises EventsNotSent, EventsRejected."""
    from prefect.events import Event

    try:
        payload = [Event.model_validate({**event, "id": UUID(event["id"])}).model_dump(mode="json") for event in events]
    except ValueError as error:
        raise EventsRejected(type(error).__name__) from None
    # If the request is carried out after the deadline, a second one does no harm: Prefect stores each id once.
    try:
        run_within(_DEADLINE, copy_context().run, _send, payload)
    except OutOfTime:
        raise EventsNotSent(f"no answer within {_DEADLINE:g} seconds") from None


def _send(payload: list[dict[str, Any]]) -> None:
    from httpx import HTTPError, HTTPStatusError
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=payload).raise_for_status()
    except (HTTPError, RuntimeError, ValueError) as error:  # ValueError: no URL of an API is configured
        if isinstance(error, HTTPStatusError) and error.response.status_code in _REJECTED:
            raise EventsRejected(f"status {error.response.status_code}") from None
        raise EventsNotSent(type(error).__name__) from None
