"""A worker that is killed with SIGKILL at a chosen moment, and the moments to choose from.

The worker is a real process. Requests that change something are counted by the proxy in front of the platform, which
kills the worker just before it forwards one or just before it passes the answer on. Commits of the ledger and renames
of files are counted inside the worker, which then kills itself. Nothing in the product knows of any of this.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.context import refresh_global_settings_context

from tests.tasks.without_prefect import call_functions

# The fork server imports what is slow once; every worker starts with it in a tenth of a second.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "tests.flows.crashing",
        "labelwright.flows.run_campaign",
        "labelwright.flows.sweep_campaigns",
        "azure.storage.blob",
        "numpy.ma",
        "prefect.client.orchestration",
        "tests.flows.frozen_imports",
    ]
)


@dataclass(frozen=True)
class Moment:
    """The nth time that something happens, before or after it."""

    kind: str
    """request, rename or commit."""
    number: int
    """From 1."""
    when: str
    """before or after."""

    def __str__(self) -> str:
        return f"{self.when} {self.kind} {self.number}"


@dataclass
class Counter:
    """Counts one kind of event and strikes at the chosen moment."""

    kind: str
    moment: Moment | None
    strike: Callable[[], None]
    count: int = 0
    struck: bool = False

    def before(self) -> None:
        self.count += 1
        self._check("before")

    def after(self) -> None:
        self._check("after")

    def _check(self, when: str) -> None:
        if self.moment == Moment(self.kind, self.count, when):
            self.struck = True
            self.strike()


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def worker(
    flow: str,
    arguments: tuple[Any, ...],
    environment: dict[str, str],
    moment: Moment | None,
    counts: Any,
    by_prefect: bool = True,
) -> None:
    """Run a flow in this process; die at the moment. Runs in a process of its own.

    `counts` is told how many renames and commits there were, when it came to its end. Without `by_prefect` flow and
    tasks are called as plain functions, which takes a tenth of the time; events are still sent to Prefect.
    """
    os.environ.update(environment)
    # The fork server has imported Prefect, perhaps for a test that had another server or none.
    refresh_global_settings_context()
    if not by_prefect:
        call_functions(pytest.MonkeyPatch())
    from labelwright.settings import forget_settings

    forget_settings()
    renames, commits = Counter("rename", moment, kill_myself), Counter("commit", moment, kill_myself)
    _watch_renames(renames)
    _watch_commits(commits)
    from labelwright.campaigns.spec import CampaignSpec
    from labelwright.flows.deliver_campaign import deliver_campaign
    from labelwright.flows.export_campaign import export_campaign
    from labelwright.flows.finish_campaign import finish_campaign
    from labelwright.flows.launch_campaign import launch_campaign
    from labelwright.flows.predict_campaign import predict_campaign
    from labelwright.flows.sweep_campaigns import sweep_campaigns
    from labelwright.prefect_integration.runtime import without_heartbeats

    flows: dict[str, Callable[..., Any]] = {
        "launch": lambda spec: launch_campaign(CampaignSpec.model_validate(spec)),
        "finish": finish_campaign,
        "export": export_campaign,
        "deliver": deliver_campaign,
        "sweep": sweep_campaigns,
        "predict": predict_campaign,
    }
    try:
        with without_heartbeats():
            flows[flow](*arguments)
    finally:
        counts[:] = [renames.count, commits.count]


def _watch_renames(counter: Counter) -> None:
    for name in ("replace", "rename", "link"):
        _count_calls(os, name, counter)


def _count_calls(module: Any, name: str, counter: Counter) -> None:
    real = getattr(module, name)

    def counted(*arguments: Any, **keywords: Any) -> Any:
        is_own_call = "prefect" not in str(arguments[0]).lower()
        if is_own_call:
            counter.before()
        result = real(*arguments, **keywords)
        if is_own_call:
            counter.after()
        return result

    setattr(module, name, counted)


def _watch_commits(counter: Counter) -> None:
    from labelwright.ledger.database import Database

    real = Database.write

    def counted(self: Database, **options: Any) -> Any:
        return _Counted(real(self, **options), counter)

    Database.write = counted  # type: ignore[method-assign]


class _Counted:
    """A transaction whose end is counted: before its commit, and after."""

    def __init__(self, transaction: Any, counter: Counter) -> None:
        self._transaction = transaction
        self._counter = counter

    def __enter__(self) -> Any:
        return self._transaction.__enter__()

    def __exit__(self, *error: Any) -> Any:
        if error[0] is None:
            self._counter.before()
        result = self._transaction.__exit__(*error)
        if error[0] is None:
            self._counter.after()
        return result


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, byte by byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
