"""Runs a flow for a command, on the configured Prefect server or on one that ends with the command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from labelwright.campaigns.spec import CampaignSpec

_Result = TypeVar("_Result")


def in_prefect(flow: str, start_flow: Callable[[], _Result], campaign: CampaignSpec | None = None) -> _Result:
    """Returns the flow's result. `start_flow` imports and calls the flow; Prefect is set up before it is called.

    flow: the flow's module in `labelwright.flows`, which is imported while a server starts.
    campaign: the one that the flow works on; errors name its connection.
    """
    from labelwright.campaigns.platform_access import connection_named
    from labelwright.prefect_integration.runtime import prefect_runtime

    from .output import console

    named = connection_named(campaign) if campaign is not None else nullcontext()
    with named, prefect_runtime(None, flow, waiting=waiting_on_terminal), console.progress():
        return start_flow()


def waiting_on_terminal(activity: str) -> AbstractContextManager[None]:
    """Shows the activity on a terminal; prints nothing elsewhere, where a command's standard error is kept short."""
    from .output import console

    return console.waiting(activity) if console.err.is_terminal else nullcontext()


def show_result(title: str, as_json: bool) -> None:
    """Prints the campaign as the ledger has it after a flow."""
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output.campaigns import show_campaign

    show_campaign(open_ledger(settings().ledger_address()), title, as_json)
