"""What happened to campaigns, told to Prefect: each thing once, whatever was interrupted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import Event as PrefectEvent
from prefect.events import RelatedResource, Resource

from labelwright.datasets.titles import file_stem
from labelwright.ledger import Event

from .reporting import log
from .workbench import the_ledger

_AT_ONCE = 100


def resource_of(title: str) -> dict[str, str]:
    """The campaign as Prefect's events know it: all that is told of it is one feed."""
    return {"prefect.resource.id": f"labelwright.campaign.{file_stem(title)}", "prefect.resource.name": title}


def send_events() -> int:
    """Send what waits in the outbox, in its order. Answers how many were sent; what was not sent waits on.

    Killed before it is marked, an event is sent again under the same id, which Prefect takes once.
    """
    outbox, sent = the_ledger().outbox, 0
    try:
        with get_client(sync_client=True) as client:
            while waiting := outbox.waiting(_AT_ONCE):
                told = [_as_prefect(event).model_dump(mode="json") for event in waiting]
                client.request("POST", "/events", json=told)
                outbox.mark_sent(event.id for event in waiting)
                sent += len(waiting)
    except HTTPError as error:
        log().warning("events wait for the next run: Prefect did not take them (%s)", type(error).__name__)
    return sent


def _as_prefect(event: Event) -> PrefectEvent:
    payload: dict[str, Any] = {"title": event.campaign, **event.payload}
    return PrefectEvent(
        id=UUID(event.id),
        occurred=event.occurred_at,
        event=f"labelwright.campaign.{event.kind}",
        resource=Resource(resource_of(event.campaign)),
        related=_this_run(),
        payload=payload,
    )


def _this_run() -> list[RelatedResource]:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return []
    return [
        RelatedResource(
            {
                "prefect.resource.id": f"prefect.flow-run.{run.id}",
                "prefect.resource.role": "flow-run",
                "prefect.resource.name": run.name,
            }
        )
    ]
