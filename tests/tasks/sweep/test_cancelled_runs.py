"""Which cancelled runs concern which campaign or campaign file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from labelwright.ledger import Ledger
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.sweep.cancelled_runs import _newest_by_title, _refuse_drops


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    yield the_ledger()
    forget_settings()


def cancelled(name: str, hours_ago: float, **parameters: object) -> FlowRun:
    state = Cancelled(timestamp=datetime.now(UTC) - timedelta(hours=hours_ago))
    return FlowRun(flow_id=uuid4(), name=name, parameters=parameters, state=state)


def test_newest_cancelled_run_of_each_campaign_counts() -> None:
    runs = [
        cancelled("old", 5, title="river"),
        cancelled("new", 1, campaign={"title": "river"}),
        cancelled("older", 9, title="river"),
        cancelled("lake", 3, title="lake"),
        cancelled("of no campaign", 1, folder="/x"),
    ]
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):  # it is asked nothing
        newest = _newest_by_title(get_client(sync_client=True), runs)
    assert {title: run.name for title, run in newest.items()} == {"river": "new", "lake": "lake"}


class Client:
    """Has the runs within other runs, the newest first."""

    def __init__(self, within: dict[UUID, list[FlowRun]]) -> None:
        self.within = within

    def read_flow_runs(self, *, flow_run_filter: Any, sort: FlowRunSort, limit: int) -> list[FlowRun]:
        assert sort is FlowRunSort.START_TIME_DESC
        (parent,) = flow_run_filter.parent_flow_run_id.any_
        return self.within[parent][:limit]


@pytest.mark.parametrize(("last", "paused"), [(Running, True), (Crashed, True), (Completed, False), (Failed, False)])
def test_cancelled_run_of_many_concerns_the_campaign_at_work(last: Callable[[], State], paused: bool) -> None:
    run = cancelled("finish waiting campaigns", 1)
    river, lake = (FlowRun(flow_id=uuid4(), parameters={"title": title}) for title in ("river", "lake"))
    river.state, lake.state = last(), Completed()
    newest = _newest_by_title(Client({run.id: [river, lake]}), [run])  # type: ignore[arg-type]
    assert {title: run.name for title, run in newest.items()} == ({"river": run.name} if paused else {})


def test_cancelled_launch_from_a_file_is_not_started_again(ledger: Ledger) -> None:
    ledger.inbox.record_launch("c.yaml", "e3", "river")
    _refuse_drops(
        [
            cancelled("recent", 1, blob="a.yaml", etag="e1"),
            cancelled("long ago", 24 * 8, blob="b.yaml", etag="e2"),
            cancelled("launched", 1, blob="c.yaml", etag="e3"),
        ],
        ledger,
    )
    titles = {blob: ledger.inbox.launched_from(blob, etag) for blob, etag in (("a.yaml", "e1"), ("c.yaml", "e3"))}
    assert titles["c.yaml"] == "river"
    assert settled(ledger) == {"a.yaml", "c.yaml"}


def settled(ledger: Ledger) -> set[str]:
    from labelwright.ledger import tables as t

    with ledger.outbox._database.read() as connection:
        return {row.blob for row in connection.execute(t.drops.select())}
