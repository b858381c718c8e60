"""Runs a flow for a command, on the configured Prefect server or on one that ends with the command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

_Result = TypeVar("_Result")


def in_prefect(start_flow: Callable[[], _Result]) -> _Result:
    """Returns the flow's result. `start_flow` imports and calls the flow; Prefect is set up before it is called."""
    from labelwright.prefect_integration.runtime import prefect_runtime

    from .output import console

    with prefect_runtime(waiting=waiting_on_terminal), console.progress():
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
