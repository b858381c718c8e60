"""Tasks of a flow as a chain: each one has the one before as an input, so that Prefect's graph shows their order.

Prefect draws an edge where a task gets another one's result. Our tasks keep results in the ledger and get the
campaign's title, so the edge is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.context import FlowRunContext, TaskRunContext
from prefect.utilities.engine import link_state_to_task_run_result

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class _Latest:
    """Stands for the result of the task that a flow run called last. Prefect keeps the link in the run's context."""


_LATEST = _Latest()


class ChainedTask(Task[_Parameters, _Result]):
    """A task that comes after the one that its flow called last."""

    def __call__(  # type: ignore[override]  # Prefect's is overloaded
        self, *args: Any, return_state: bool = False, wait_for: Any = None, **kwargs: Any
    ) -> Any:
        if FlowRunContext.get() is None or TaskRunContext.get() is not None:
            given = {"return_state": return_state, "wait_for": wait_for}
            return super().__call__(*args, **{name: value for name, value in given.items() if value}, **kwargs)
        inputs = [*(wait_for or ()), _LATEST]
        state = super().__call__(*args, return_state=True, wait_for=inputs, **kwargs)
        link_state_to_task_run_result(state, _LATEST)
        return state if return_state else state.result()

    def submit(self, *args: Any, wait_for: Any = None, **kwargs: Any) -> Any:
        return super().submit(*args, wait_for=[*(wait_for or ()), _LATEST], **kwargs)


def task(**options: Any) -> Callable[[Callable[_Parameters, _Result]], Task[_Parameters, _Result]]:
    """As Prefect's decorator, for a task that is part of its flow's chain."""

    def decorate(function: Callable[_Parameters, _Result]) -> Task[_Parameters, _Result]:
        return ChainedTask(function, **options)

    return decorate
