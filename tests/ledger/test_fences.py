"""Whoever lost a lease changes nothing more: every write of the ledger, and every call outside, is checked first."""

from __future__ import annotations

import ast
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import update

import labelwright.ledger
from labelwright.domain import State
from labelwright.ledger import LeaseLost, Ledger, Process, campaign_lease, fences
from labelwright.ledger import tables as t
from labelwright.ledger.database import Database
from labelwright.ledger.leases import Leases
from labelwright.network.concurrency import bounded_map
from labelwright.network.guards import before_change

RIVER = campaign_lease("river")
ELSEWHERE = Process("another-machine", 4711, "99")


@pytest.fixture
def ledger(url) -> Ledger:
    ledger = Ledger(url)
    ledger.campaigns.add("river", {})
    return ledger


def take_over(url: str, token: str = "another one") -> None:
    with Database(url).write() as connection:
        connection.execute(update(t.leases).values(token=token))


def test_only_leases_themselves_are_written_without_a_check():
    """All writes go through `Database.write`, which checks, except those of a lease that is renewed or released."""
    unchecked = set()
    for path in Path(labelwright.ledger.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr == "begin" or any(keyword.arg == "fenced" for keyword in node.keywords):
                unchecked.add(path.name)
    assert unchecked == {"database.py", "leases.py", "upgrading.py"}


def test_a_process_that_lost_its_lease_writes_nothing(ledger, url):
    with ledger.leases.held(RIVER, "launch"):
        ledger.campaigns.move("river", State.UPLOADING)
        take_over(url)
        writes = [
            lambda: ledger.campaigns.move("river", State.CREATED),
            lambda: ledger.campaigns.record_remote_campaign("river", "7"),
            lambda: ledger.effects.settle("river", "activate", "active"),
            lambda: ledger.outbox.put("river", "stalled", "1", {}),
            lambda: ledger.manifests.mark_all_stored("river"),
            lambda: ledger.leases.take("another lease", "launch"),
        ]
        for write in writes:
            with pytest.raises(LeaseLost, match="took campaign river over"):
                write()
        with pytest.raises(LeaseLost):
            ledger.effects.once("river", "activate", lambda: pytest.fail("acted"), look=lambda: None)
    assert ledger.campaigns.get("river").state is State.UPLOADING
    assert ledger.leases.find(RIVER).token == "another one", "what another one holds is left alone"
    ledger.campaigns.move("river", State.CREATED)


def test_an_outer_lease_that_is_lost_ends_the_work_too(ledger, url):
    with ledger.leases.held("finish river", "finish"):
        take_over(url)
        with pytest.raises(LeaseLost, match="finish river"), ledger.leases.held(RIVER, "export"):
            pytest.fail("went on")


def test_another_ledger_is_not_concerned(ledger, url, tmp_path):
    other = Ledger(f"sqlite:///{tmp_path / 'other.db'}")
    with ledger.leases.held(RIVER, "launch"):
        take_over(url)
        other.campaigns.add("river", {})


def test_a_lease_cannot_be_taken_over_while_its_holder_writes(ledger, url):
    """Or a write that was checked would end after the other one has begun."""
    order: list[str] = []

    def take() -> None:
        Leases(Database(url), process=ELSEWHERE).take(RIVER, "another machine")
        order.append("taken over")

    lease = Leases(ledger.leases._database, 0.01, ELSEWHERE).take(RIVER, "one machine")
    time.sleep(0.05)
    thread = threading.Thread(target=take)
    fence = fences.Fence(ledger.leases._database.engine, RIVER, lease.token)
    with fences.fenced_by(fence), ledger.leases._database.write() as connection:
        thread.start()
        time.sleep(0.3)
        connection.execute(update(t.campaigns).values(remote_id="7"))
        order.append("written")
    thread.join()
    assert order == ["written", "taken over"]


def test_calls_outside_are_checked_in_every_thread(ledger, url, monkeypatch):
    monkeypatch.setattr(fences, "CHECKED_FOR", 0)
    before_change()
    with ledger.leases.held(RIVER, "launch"):
        before_change()
        take_over(url)
        with pytest.raises(LeaseLost):
            before_change()
        with pytest.raises(LeaseLost):
            list(bounded_map(lambda _: before_change(), [1], threads=2))
    before_change()


def test_a_check_a_moment_ago_suffices_until_a_renewal_finds_the_lease_lost(ledger, url, monkeypatch):
    with ledger.leases.held(RIVER, "launch"):
        take_over(url)
        monkeypatch.setattr(fences, "CHECKED_FOR", 60)
        before_change()
        (fence,) = fences._fences.get()
        fence.lost = True
        with pytest.raises(LeaseLost):
            before_change()


@pytest.mark.parametrize("clock", [0, 1])
def test_a_pause_that_one_clock_shows_is_noticed(ledger, url, monkeypatch, clock):
    with ledger.leases.held(RIVER, "launch"):
        take_over(url)
        before_change()
        now = list(fences._clocks())
        now[clock] += 100
        monkeypatch.setattr(fences, "_clocks", lambda: tuple(now))
        with pytest.raises(LeaseLost):
            before_change()


def hold(url: str, pipe: Connection) -> None:
    """Holds a lease, and does what it is told."""
    ledger = Ledger(url)
    with Leases(ledger.leases._database, 1.0).held(RIVER, "another process"):
        pipe.send("held")
        pipe.recv()
        for act in (before_change, lambda: ledger.campaigns.record_remote_campaign("river", "7")):
            try:
                act()
            except LeaseLost:
                pipe.send("lost")
            else:
                pipe.send("done")


@pytest.mark.parametrize("suspended", [False, True])
def test_a_suspended_process_that_comes_back_does_nothing_more(ledger, url, suspended):
    context = multiprocessing.get_context("forkserver")
    mine, theirs = context.Pipe()
    process = context.Process(target=hold, args=(url, theirs))
    process.start()
    try:
        assert mine.poll(60)
        mine.recv()
        if suspended:
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(1.2)
            with Leases(ledger.leases._database, 1.0).held(RIVER, "this process"):
                ledger.campaigns.record_remote_campaign("river", "8")
            os.kill(process.pid, signal.SIGCONT)
        mine.send("go on")
        outcomes = []
        for _ in range(2):
            assert mine.poll(60)
            outcomes.append(mine.recv())
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.join(60)
        process.kill()
    assert outcomes == (["lost", "lost"] if suspended else ["done", "done"])
    assert ledger.campaigns.get("river").remote_id == ("8" if suspended else "7")
