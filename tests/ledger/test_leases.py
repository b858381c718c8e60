"""Only one process works on a campaign; a dead one keeps nobody waiting."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from labelwright.ledger import CampaignBusy, LeaseLost, Ledger, campaign_lease
from labelwright.ledger import tables as t
from labelwright.ledger.database import Database
from labelwright.ledger.leases import Leases, Process, this_process

ELSEWHERE = Process("another-machine", 4711, "99")


@pytest.fixture
def database(url) -> Database:
    return Database(url)


def elsewhere(database: Database, lifetime: float = 90) -> Leases:
    """Leases as another machine takes them: whether its process lives cannot be seen from here."""
    return Leases(database, lifetime, ELSEWHERE)


def test_a_held_lease_is_refused_and_its_holder_named(database):
    elsewhere(database).take("campaign river", "launch run 'brave-fox'")
    with pytest.raises(CampaignBusy, match=r"brave-fox.*since.*ends by itself at"):
        Leases(database).take("campaign river", "sweep")
    Leases(database).take("campaign lake", "sweep")


@pytest.mark.parametrize(("failures", "left"), [(1, 0), (2, 0), (3, 1)])
def test_releasing_a_lease_is_retried(database, monkeypatch, failures, left):
    monkeypatch.setattr("labelwright.ledger.leases._RELEASE_RETRY_SECONDS", (0.01, 0.01))
    leases, troubles, fails = Leases(database), [], [OperationalError("delete", {}, Exception("gone"))] * failures
    real = database.write

    def write(**options):
        if fails:
            raise fails.pop()
        return real(**options)

    with leases.held("campaign river", "launch", on_trouble=troubles.append):
        monkeypatch.setattr(database, "write", write)
    assert len(leases.all()) == left == len(troubles)


def test_a_released_lease_can_be_taken(database):
    leases = Leases(database)
    with leases.held("campaign river", "launch"), pytest.raises(CampaignBusy):
        elsewhere(database).take("campaign river", "sweep")
    elsewhere(database).take("campaign river", "sweep")


def test_a_lease_of_another_machine_runs_out(database):
    elsewhere(database, 1.5).take("campaign river", "launch")
    with pytest.raises(CampaignBusy):
        Leases(database, 1.5).take("campaign river", "sweep")
    time.sleep(1.6)
    assert Leases(database, 1.5).take("campaign river", "sweep").holder == "sweep"


def test_a_lease_is_renewed_while_its_holder_lives(database):
    with elsewhere(database, 1.5).held("campaign river", "launch"):
        time.sleep(2.5)
        with pytest.raises(CampaignBusy):
            Leases(database, 1.5).take("campaign river", "sweep")


def test_a_dead_process_of_this_machine_holds_nothing(database):
    ask = "from labelwright.ledger.leases import *; p = this_process(); print(p.machine, p.pid, p.start, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    machine, pid, start = ended.stdout.splitlines()
    dead = Process(machine, int(pid), start)
    assert dead.machine == this_process().machine
    Leases(database, process=dead).take("campaign river", "launch")
    Leases(database).take("campaign river", "sweep")


def test_a_reused_process_id_is_another_process(database):
    Leases(database, process=replace(this_process(), start="1")).take("campaign river", "launch")
    Leases(database).take("campaign river", "sweep")


def test_a_process_that_lost_its_lease_stops_before_the_next_effect(url):
    ledger = Ledger(url)
    ledger.campaigns.add("river", {})
    name = campaign_lease("river")
    with ledger.leases.held(name, "launch") as lease:
        ledger.effects.once("river", "create campaign", lambda: "1", look=lambda: None)
        database = ledger.leases._database
        with database.write() as connection:
            connection.execute(update(t.leases).values(token="somebody else"))
        with pytest.raises(LeaseLost, match="took campaign river over"):
            ledger.effects.once("river", "activate", lambda: pytest.fail("acted"), look=lambda: None)
        with pytest.raises(LeaseLost):
            ledger.leases.renew(lease)
    assert ledger.leases.find(name).token == "somebody else", "what another one holds is left alone"
    ledger.effects.once("river", "activate", lambda: "active", look=lambda: None)


def test_a_dead_holders_lease_expires_after_the_clock_was_set_back(database, monkeypatch):
    import labelwright.ledger.leases as module

    elsewhere(database, 1.0).take("campaign river", "launch")
    real = module.now
    monkeypatch.setattr(module, "now", lambda: real().replace(year=2020))
    assert Leases(database, 1.0).take("campaign river", "sweep").holder == "sweep"


def test_a_live_holder_keeps_its_lease_after_the_clock_was_set_back(database, monkeypatch):
    import labelwright.ledger.leases as module

    with elsewhere(database, 3.0).held("campaign river", "launch"):
        real = module.now
        monkeypatch.setattr(module, "now", lambda: real().replace(year=2020))
        with pytest.raises(CampaignBusy):
            Leases(database, 3.0).take("campaign river", "sweep")


def test_a_lease_that_expires_too_late_does_not_count_as_held(database, monkeypatch):
    """Whoever tries watches it first, which is what finds out."""
    import labelwright.ledger.leases as module

    lease = elsewhere(database).take("campaign river", "launch")
    own = Leases(database).take("campaign lake", "launch")
    leases = Leases(database)
    assert leases.holds(lease)
    real = module.now
    monkeypatch.setattr(module, "now", lambda: real().replace(year=2020))
    assert not leases.holds(lease)
    assert leases.alive(lease), "it is not dead either: nobody buries its run"
    assert leases.holds(own), "a process of this machine is seen without any clock"


def test_of_many_processes_at_once_one_gets_the_lease(database):
    got, refused, gate = [], [], threading.Barrier(8)

    def come(number: int) -> None:
        leases = Leases(database, process=Process(f"machine-{number}", 1, "1"))
        gate.wait()
        try:
            got.append(leases.take("campaign river", f"worker {number}"))
        except CampaignBusy:
            refused.append(number)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)
    assert Leases(database).find("campaign river").token == got[0].token
