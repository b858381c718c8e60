"""After a command: the Prefect pages of the campaigns that it changed.

A command never fails because of Prefect. What cannot be written now, the next sweep writes.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelwright.ledger import Ledger

_NEXT_SWEEP = "the next sweep writes the campaign's page there"


def update_prefect_pages() -> None:
    """Writes the pages of campaigns whose state this process changed, if a Prefect API is configured and responds."""
    if "labelwright.ledger" not in sys.modules:
        return
    from labelwright.ledger import opened_ledgers

    for ledger in opened_ledgers():
        try:
            _update(ledger)
        except Exception as error:  # noqa: BLE001 - the command's work is done
            _note(f"was not updated ({type(error).__name__}): {_NEXT_SWEEP}")
        finally:
            ledger.campaigns.moved.clear()
            ledger.campaigns.forgotten.clear()


def _update(ledger: Ledger) -> None:
    campaigns = ledger.campaigns
    if not campaigns.forgotten and not (campaigns.moved and ledger.outbox.waiting(1)):
        return
    from labelwright.prefect_integration.runtime import reachable_prefect

    from .output import console

    with console.waiting("updating Prefect") if console.err.is_terminal else nullcontext():
        reachable = reachable_prefect()
        if reachable:
            from labelwright.tasks.campaign.pages import retire_page
            from labelwright.tasks.events import send_events
            from labelwright.tasks.reporting import publishing_outside_of_runs

            with publishing_outside_of_runs():
                send_events()
                for title in sorted(campaigns.forgotten):
                    reachable = retire_page(title) and reachable
    if campaigns.forgotten and reachable is False:
        titles = ", ".join(f"'{title}'" for title in sorted(campaigns.forgotten))
        _note(f"was not reached: the page of {titles} there still shows the campaign, and can be deleted by hand")
    elif reachable is False or (reachable and ledger.outbox.waiting(1)):
        _note(f"was not reached: {_NEXT_SWEEP}")


def _note(what: str) -> None:
    from .output import console

    console.note(f"Prefect {what}")
