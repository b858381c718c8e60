"""Runs flows for the Python API: as subflows of somebody's flow, else on a Prefect server as commands do."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def run_flow(name: str, *arguments: Any, **options: Any) -> Any:
    """Returns the result of a flow of `labelwright.flows`, by the name of its module.

    Within a flow run the flow becomes its subflow. Elsewhere it runs on the configured Prefect server, or on one that
    ends with it, and shows progress bars on a terminal and in notebooks. Raises what the flow raises.
    """
    if in_flow_run():
        return flow_named(name)(*arguments, **options)
    from labelwright.cli.in_prefect import in_prefect

    return in_prefect(name, lambda: flow_named(name)(*arguments, **options))


def flow_named(name: str) -> Callable[..., Any]:
    """The flow of a module that is called like it."""
    flow: Callable[..., Any] = getattr(import_module(f"labelwright.flows.{name}"), name)
    return flow


def in_flow_run() -> bool:
    """Whether the caller is a Prefect flow or task. Does not import Prefect."""
    import sys

    context = sys.modules.get("prefect.context")
    if context is None:
        return False
    return context.FlowRunContext.get() is not None or context.TaskRunContext.get() is not None
