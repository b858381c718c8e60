"""Events on their way to Prefect: sent by one request, and known to be taken when it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID


class NotSent(Exception):
    """Prefect did not take the events: they are sent again later."""


def send_to_prefect(events: Sequence[dict[str, Any]]) -> None:
    """By one request that is answered when they are taken. Raises NotSent."""
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.events import Event
    from prefect.exceptions import PrefectHTTPStatusError

    made = [Event.model_validate({**one, "id": UUID(one["id"])}).model_dump(mode="json") for one in events]
    try:
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=made).raise_for_status()
    except (HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        raise NotSent(type(error).__name__) from None
