"""Keeps the campaigns' pages in the Prefect UI as the ledger has them.

Every change of a campaign's state is recorded with an event. The page is written before its event is sent, so a change
that was recorded while Prefect's API was away, or by a run that died, is on the page after the next sweep or command.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from labelwright.campaigns.artifact_keys import artifact_key
from labelwright.domain.errors import EventsNotSent
from labelwright.ledger import Event
from labelwright.ledger.outbox import ON_PAGES
from labelwright.tasks.reporting import create_page, log, publish

from .summary import page_heading, publish_summary


def update_pages(events: Iterable[Event]) -> None:
    """Write the page of every campaign that these events make out of date. A page that fails does not stop others.

    Raises EventsNotSent when Prefect's API does not respond.
    """
    for title in dict.fromkeys(event.campaign for event in events if event.kind in ON_PAGES):
        try:
            reached = publish_summary(title)
        except Exception as error:  # noqa: BLE001 - the ledger is right, and the run or command is not about its page
            log().warning("the page of %s could not be written: %s", title, error)
        else:
            if not reached:
                raise EventsNotSent(f"the page of {title}")


def retire_page(title: str) -> bool:
    """Write on a campaign's page that its record was deleted. Returns whether Prefect's API responded."""
    moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    markdown = (
        f"{page_heading(title)}\n\n**forgotten**\n\nLabelwright's record of this campaign was deleted at {moment} "
        "(`labelwright forget`). Its platform and its datasets were not touched.\n"
    )
    key, description = artifact_key(title, "summary"), f"{title}: forgotten"
    return publish(create_page, markdown=markdown, key=key, description=description)
