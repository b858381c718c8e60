"""What happened to campaigns, told to Prefect: each thing once, whatever was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect.context import FlowRunContext

from labelwright.datasets.names import file_stem
from labelwright.domain.errors import EventsNotSent, EventsRejected
from labelwright.ledger import Event
from labelwright.prefect_integration.events import send_to_prefect

from .context import the_ledger
from .reporting import log

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
        while waiting := outbox.waiting(_AT_ONCE):
            _send(waiting)
            outbox.mark_sent(event.id for event in waiting)
            sent += len(waiting)
    except EventsNotSent as error:
        log().warning("events wait for the next run: Prefect did not take them (%s)", error)
    return sent


def _send(events: Sequence[Event]) -> None:
    """One that Prefect will never take is given up, so that it does not hold up all others. Raises EventsNotSent."""
    try:
        send_to_prefect([_as_told(event) for event in events])
    except EventsRejected as refusal:
        if len(events) > 1:
            for event in events:
                _send([event])
        else:
            log().error(
                "%s: '%s' is not told: Prefect does not take it (%s)", events[0].campaign, events[0].kind, refusal
            )


def _as_told(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "occurred": event.occurred_at.isoformat(),
        "event": f"labelwright.campaign.{event.kind}",
        "resource": resource_of(event.campaign),
        "related": _this_run(),
        "payload": {"title": event.campaign, **event.payload},
    }


def _this_run() -> list[dict[str, str]]:
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
