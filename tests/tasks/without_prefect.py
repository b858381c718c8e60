"""Runs flows and commands as plain functions in this process: no Prefect server, real ledger, real platform."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from prefect import Flow, Task

from labelwright.flows import sweep_campaigns as sweeping
from labelwright.prefect_integration import runtime
from labelwright.tasks import leases as task_leases
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep import refresh


def run_as_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on flows and tasks are called as the functions that they decorate, and no event is sent."""

    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        return self.fn(*arguments, **options)

    monkeypatch.setattr(Flow, "__call__", call)
    monkeypatch.setattr(Task, "__call__", call)
    monkeypatch.setattr(runtime, "prefect_runtime", lambda *_, **__: nullcontext())
    for module in (sweeping, task_leases):
        monkeypatch.setattr(module, "send_events", lambda: None)
    monkeypatch.setattr(sweeping, "pause_cancelled", list)
    monkeypatch.setattr(sweeping, "free_dead_runs", list)
    monkeypatch.setattr(sweeping, "refresh_all", refresh_all)


def refresh_all() -> refresh.SweepResult:
    """`refresh.refresh_all`, batch by batch in this thread."""
    result, unrecorded = refresh.SweepResult(), list[str]()
    for queue in refresh._queues(refresh.open_campaigns()):
        while queue.batches:
            batch = refresh.refresh_batch.fn(queue.batches.popleft())
            unrecorded += batch.unrecorded
            refresh._add_batch(batch, queue, result)
    the_ledger().campaigns.record_looks(unrecorded)
    return result
