"""Runs flows and commands as plain functions in this process: no Prefect server, real ledger, real platform."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

import pytest
from prefect import Flow, Task

from labelwright.flows import sweep_campaigns as sweeping
from labelwright.prefect_integration import runtime
from labelwright.tasks import leases as task_leases
from labelwright.tasks.sweep import refresh


def run_as_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on flows and tasks are called as the functions that they decorate; no event and no page is sent."""
    call_functions(monkeypatch)
    monkeypatch.setattr(runtime, "prefect_runtime", lambda *_, **__: nullcontext())
    monkeypatch.setattr(sweeping, "without_task_run", lambda _step: [])  # they look for runs
    monkeypatch.setattr(sweeping, "remove_old_runs", lambda: 0)
    for module in (sweeping, task_leases):
        monkeypatch.setattr(module, "send_events", lambda: 0)
    monkeypatch.setattr("labelwright.cli.main.update_prefect_pages", lambda: None)


def call_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on flows and tasks are called as the functions that they decorate. Events are still sent to Prefect."""

    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        return self.fn(*arguments, **options)

    monkeypatch.setattr(Flow, "__call__", call)
    monkeypatch.setattr(Task, "__call__", call)
    monkeypatch.setattr(Task, "submit", submit_function)
    monkeypatch.setattr(sweeping, "refresh_all", refresh_all)


def submit_function(task: Any, *arguments: Any, **options: Any) -> Future[Any]:
    """Calls the function of a task in this thread."""
    options.pop("wait_for", None)
    future: Future[Any] = Future()
    try:
        future.set_result(task.fn(*arguments, **options))
    except Exception as error:  # noqa: BLE001 - raised by whoever asks for the result
        future.set_exception(error)
    return future


def refresh_all() -> refresh.SweepResult:
    """`refresh.refresh_all`, connection by connection in this thread."""
    result = refresh.SweepResult()
    for queue in refresh._queues(refresh.open_campaigns()):
        result.add(refresh.refresh_connection.fn(queue.name, list(queue.batches), len(queue.batches)))
    return result
