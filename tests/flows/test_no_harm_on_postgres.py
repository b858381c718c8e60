"""A team's ledger: two workers on the same campaign on one Postgres, one of them killed; connections lost on the way.

The workers are real processes. To each other they are on different machines: whether the other lives can only be seen
from its lease. The final state is compared with that of a campaign that nobody disturbed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from labelwright.ledger import Ledger
from tests.platforms.proxy import FaultProxy, Request
from tests.service.postgres import Postgres

from .conftest import make_photos
from .crashing import FORKS, worker
from .test_no_harm_from_crashes import CHANGING, TITLE, Course, by_prefect, check_events

pytestmark = pytest.mark.postgres

LIFETIME = 3.0
"""Seconds that a lease outlives its last renewal, in these tests."""


def worker_elsewhere(machine: str, cut_at: int | None, *arguments: Any) -> None:
    """A worker that says of itself that it runs on that machine, and whose `cut_at`th commit loses its connection."""
    from labelwright.ledger import database, leases

    leases._machine = lambda: machine
    leases.Leases.__init__.__defaults__ = (LIFETIME, None)
    if cut_at is not None:
        _cut_the_commit(database, cut_at)
    worker(*arguments)


def _cut_the_commit(database: Any, number: int) -> None:
    from contextlib import contextmanager

    real, count = database.Database.write, [0]

    @contextmanager
    def cut(self: Any, **options: Any) -> Iterator[Any]:
        with real(self, **options) as connection:
            yield connection
            count[0] += 1
            if count[0] == number:
                terminate(self.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""))

    database.Database.write = cut


def terminate(address: str) -> None:
    """End every connection to the database but the one that says it."""
    with psycopg.connect(address, autocommit=True) as connection:
        ours = "datname = current_database() and pid != pg_backend_pid()"
        connection.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")


@dataclass
class Team(Course):
    """One campaign by workers of several machines, on a ledger on Postgres and one shared home folder."""

    address: str = ""
    before: Callable[[Request], None] = field(default=lambda request: None)
    after: Callable[[Request], None] = field(default=lambda request: None)
    started: list[BaseProcess] = field(default_factory=list)
    worker_counts: list[Any] = field(default_factory=list)
    """Renames and commits of each process, once it came to its end."""
    tries: int = 0

    def _environment(self) -> dict[str, str]:
        return {
            **super()._environment(),
            "LABELWRIGHT_LEDGER_URL": self.address,
            "LABELWRIGHT_SHARED_FOLDERS": '["/"]',
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": f"{self.proxy.url}/api/v1",
        }

    def start(self, machine: str, flow: str, arguments: tuple[Any, ...], cut_at: int | None = None) -> BaseProcess:
        self.worker_counts.append(FORKS.Array("i", 2))
        process = FORKS.Process(
            target=worker_elsewhere,
            args=(machine, cut_at, flow, arguments, self._environment(), None, self.worker_counts[-1], self.by_prefect),
        )
        process.start()
        self.started.append(process)
        return process

    def _do(self, flow: str, arguments: tuple[Any, ...]) -> None:
        """A worker alone, until it comes to its end: what it could not do is done by the next one, as by a sweep."""
        self.proxy.before_forward = lambda request: self.before(request) if request.method in CHANGING else None
        self.proxy.after_answer = lambda request, _: self.after(request) if request.method in CHANGING else None
        try:
            self.attempt(flow, arguments)
        finally:
            self.proxy.before_forward = self.proxy.after_answer = None

    def attempt(self, flow: str, arguments: tuple[Any, ...]) -> None:
        self.until_done("machine-a", flow, arguments)

    def until_done(self, machine: str, flow: str, arguments: tuple[Any, ...], cut_at: int | None = None) -> None:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            process = self.start(machine, flow, arguments, cut_at)
            process.join(300)
            if process.exitcode == 0:
                return
            cut_at = None
            self.tries += 1
            time.sleep(0.3)
        pytest.fail(f"{flow} did not come to its end")

    def events(self) -> list[tuple[str, str]]:
        ledger = Ledger(self.address)
        assert ledger.outbox.waiting() == [], "events were left behind"
        assert [lease for lease in ledger.leases.all() if ledger.leases.alive(lease)] == [], "a lease was left behind"
        events = [(event.id, event.kind) for event in ledger.outbox.of(TITLE)]
        ledger.close()
        return events


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder, 5)
    return folder


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(("127.0.0.1", 1)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def make_team(tmp_path_factory, photos, proxy, prefect_server, postgres) -> Callable[..., Team]:
    def make(kind: type[Team] = Team, **more: Any) -> Team:
        home = tmp_path_factory.mktemp("team")
        return kind(home, photos, proxy, f"{prefect_server.url}/api", address=postgres.new_database(), **more)

    return make


@pytest.fixture(scope="module")
def undisturbed(make_team) -> tuple[dict[str, Any], int]:
    """The final state of a campaign that nobody disturbed, and the commits of the flow that has most of them."""
    team = make_team()
    state = team.run()
    assert team.tries == 0
    return state, max(commits for _, commits in team.worker_counts)


@pytest.fixture(scope="module")
def expected(undisturbed) -> dict[str, Any]:
    return undisturbed[0]


def check(team: Team, expected: dict[str, Any]) -> set[str]:
    """Answers the ids of the events that the ledger says are told: Prefect keeps them a few seconds later."""
    state = team.run()
    for part, value in expected.items():
        assert state[part] == value, f"{part} differ"
    return {id for id, _ in team.events()}


@dataclass
class Two(Team):
    """Two workers do everything at once. The first is killed in the launch, at a changing request."""

    victim_dies_at: int = 0
    commits: int = 0
    victims: list[BaseProcess] = field(default_factory=list)

    def attempt(self, flow: str, arguments: tuple[Any, ...]) -> None:
        first = self.start("machine-a", flow, arguments)

        def strike(_request: Request) -> None:
            self.commits += 1
            if self.commits == self.victim_dies_at and not self.victims:
                # Whichever of the two is at work just now.
                holder = next(member for member in self._holders() if member.pid)
                self.victims.append(holder)
                os.kill(holder.pid or 0, signal.SIGKILL)

        self.after = strike
        self.until_done("machine-b", flow, arguments)
        first.join(300)

    def _holders(self) -> list[BaseProcess]:
        ledger = Ledger(self.address)
        pids = {lease.process.pid for lease in ledger.leases.all()}
        ledger.close()
        return [process for process in self.started if process.pid in pids]


@pytest.mark.parametrize("moment", [4, pytest.param(7, marks=pytest.mark.exhaustive)])
def test_two_workers_do_everything_once_although_one_is_killed(make_team, expected, moment):
    """In the upload, and at the campaign's creation."""
    team = make_team(Two, victim_dies_at=moment)
    check_events(team.prefect, check(team, expected))
    (victim,) = team.victims
    assert victim.exitcode == -signal.SIGKILL
    assert team.tries, "nobody was kept from working while the other did"


def test_a_connection_that_is_lost_around_every_effect_does_no_harm(make_team, expected):
    team = make_team()
    cuts = []

    def cut(_request: Request) -> None:
        cuts.append(1)
        terminate(team.address)

    team.before = team.after = cut
    check_events(team.prefect, check(team, expected))
    assert len(cuts) > 15
    assert team.tries == 0, "tasks and pool got over it by themselves"


@dataclass
class Cut(Team):
    """The connection is lost in the middle of a transaction, at the nth commit of each flow."""

    at: int = 1

    def attempt(self, flow: str, arguments: tuple[Any, ...]) -> None:
        self.until_done("machine-a", flow, arguments, self.at)


@pytest.mark.parametrize("at", [4, pytest.param(11, marks=pytest.mark.exhaustive)])
def test_a_transaction_that_loses_its_connection_is_repeated_once(make_team, expected, at):
    team = make_team(Cut, at=at)
    check_events(team.prefect, check(team, expected))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("share", range(4))
def test_every_transaction_may_lose_its_connection(make_team, undisturbed, prefect_server, share):
    """The first one of each flow in one course, the second ones in the next; every fourth course is of one share."""
    expected, most = undisturbed
    event_ids: set[str] = set()
    for at in range(1 + share, most + 1, 4):
        event_ids |= check(make_team(Cut, at=at, by_prefect=by_prefect(at)), expected)
    check_events(f"{prefect_server.url}/api", event_ids)
