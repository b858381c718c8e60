"""Prefect's graph of a flow run shows the chain of its tasks, and tasks carry tags."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from prefect import flow
from prefect.context import FlowRunContext

from labelwright.tasks.chaining import task
from labelwright.tasks.retries import RETRY_POLICY, UNCACHED

from .prefect_api import get, post


class Refused(Exception):
    """As a platform's adapter raises it."""


@task(task_run_name="first {title}", **RETRY_POLICY)
def first(title: str) -> int:
    """Its result is one of those that Prefect does not track."""
    return len(title)


@task(task_run_name="second {title}", **UNCACHED)
def second(title: str) -> None:
    """No result."""


@task(task_run_name="third {title}", **UNCACHED)
def third(title: str) -> None:
    raise Refused(title)


@task(task_run_name="fourth {title}", **UNCACHED)
def fourth(title: str) -> str:
    return title


@flow(name="chained")
def chained() -> str:
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    assert first("river") == 5
    second("river")
    with pytest.raises(Refused, match="river"):
        third("river")
    assert [future.result() for future in [fourth.submit("a"), fourth.submit("b")]] == ["a", "b"]
    return str(context.flow_run.id)


def recorded(read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Prefect's server records task runs from events, some time after they ended; their names come later."""
    ends = time.monotonic() + 240
    while True:
        runs = read()
        ended = [run for run in runs if run["state_type"] in {"COMPLETED", "FAILED"}]
        if len(ended) == 5 or time.monotonic() > ends:
            return runs
        time.sleep(0.2)


def test_each_task_comes_after_the_one_before(prefect_server):
    run_id = chained()
    nodes = recorded(lambda: [node for _, node in get(f"/flow_runs/{run_id}/graph-v2")["nodes"]])
    names = {node["id"]: node["label"] for node in nodes}
    before = {node["label"]: {names[parent["id"]] for parent in node["parents"]} for node in nodes}
    assert before == {
        "first river": set(),
        "second river": {"first river"},
        "third river": {"second river"},
        "fourth a": {"third river"},
        "fourth b": {"third river"},
    }


def test_tasks_carry_tags(prefect_server):
    run_id = chained()
    runs = recorded(lambda: post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}}))
    tags = {run["name"]: set(run["tags"]) for run in runs}
    assert tags["first river"] == {"labelwright", "labelwright-remote"}
    assert tags["second river"] == {"labelwright"}


def test_without_a_flow_it_is_a_function():
    assert first.fn("river") == 5
