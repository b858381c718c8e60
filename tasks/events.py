"""Sends campaign events from the outbox to Prefect, each one once even if a run is interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.context import FlowRunContext

from labelwright.datasets.names import file_stem
from labelwright.domain.errors import EventsNotSent, EventsRejected
from labelwright.ledger import Event
from labelwright.prefect_integration.events import send_to_prefect

from .campaign.pages import update_pages
from .context import the_ledger
from .reporting import log

_BATCH_SIZE = 100


def resource_of(title: str) -> dict[str, str]:
    """The campaign as a resource of Prefect events; all of its events share it."""
    return {"prefect.resource.id": f"labelwright.campaign.{file_stem(title)}", "prefect.resource.name": title}


def send_events() -> int:
    """Send the events in the outbox, oldest first, after the pages of their campaigns were written.

    Returns how many were sent; the others stay in the outbox.

    If the process dies before an event is marked as sent, it is sent again with the same id, which Prefect ignores.
    """
    outbox, sent = the_ledger().outbox, 0
    try:
        while waiting := outbox.waiting(_BATCH_SIZE):
            update_pages(waiting)
            _send(waiting)
            outbox.mark_sent(event.id for event in waiting)
            sent += len(waiting)
    except EventsNotSent as error:
        log().warning("events stay in the outbox until the next run: Prefect could not be reached (%s)", error)
    return sent


def _send(events: Sequence[Event]) -> None:
    """Send events; one that Prefect rejects is dropped, so that it does not block the others. Raises EventsNotSent."""
    try:
        send_to_prefect([_to_prefect_event(event) for event in events])
    except EventsRejected as error:
        if len(events) > 1:
            for event in events:
                _send([event])
        else:
            message = "%s: the event '%s' is dropped: Prefect rejected it (%s)"
            log().error(message, events[0].campaign, events[0].kind, error)


def _to_prefect_event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "occurred": event.occurred_at.isoformat(),
        "event": f"labelwright.campaign.{event.kind}",
        "resource": resource_of(event.campaign),
        "related": _related_run(),
        "payload": {"title": event.campaign, **event.payload},
    }


def _related_run() -> list[dict[str, str]]:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return []
    return [
        {
            "prefect.resource.id": f"prefect.flow-run.{run.id}",
            "prefect.resource.role": "flow-run",
            "prefect.resource.name": run.name,
        }
    ]
