"""Many campaigns through `labelwright up` on SQLite: completed between two sweeps, or launched by forms at once.

Run by hand: it starts servers of its own in a temporary folder, and takes minutes. CPU is that of `up` and everything
below it. With --kill-every it kills the worker, Prefect's server and the labeling service in turn.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if TYPE_CHECKING:
    from labelwright.ledger import Ledger

KILLED = {"worker": "prefect worker start", "server": " server start ", "service": "labelwright serve"}
"""The processes that --kill-every kills in turn, by a part of their command line."""

POOL_TIMEOUT = re.compile(r"QueuePool limit|connection timed out, timeout|TimeoutError: QueuePool")
BUSY = re.compile(r"Encountered retryable exception in request")
"""Prefect's server writes this for each 503."""


@dataclass
class Up:
    """A running `labelwright up`."""

    process: subprocess.Popen[str]
    home: Path
    prefect: str
    sweep_every: float
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def ledger(self) -> Ledger:
        from labelwright.ledger import open_ledger

        return open_ledger(f"sqlite:///{self.home / 'ledger.db'}")

    @property
    def service(self) -> str:
        return str(json.loads((self.home / "service" / "service.json").read_text())["url"])

    def cpu_seconds(self) -> float:
        """User and system time of all processes, ended ones included."""
        from labelwright.local.processes import below

        ticks = 0
        for pid in [self.process.pid, *below(self.process.pid)]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(int(fields[index]) for index in (11, 12, 13, 14))
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self, name: str) -> None:
        """Kill one of the parts; `up` starts it again."""
        from labelwright.local.processes import below

        for pid in below(self.process.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if KILLED[name] in command:
                os.kill(pid, signal.SIGKILL)
                self.kills[name] += 1
                return

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of Prefect's database, read without its server."""
        file = self.home / "prefect" / "prefect.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)) as connection:
            return connection.execute(statement, values).fetchall()


@contextmanager
def running(home: Path, sweep_every: float) -> Iterator[Up]:
    from labelwright.local.servers import free_port

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LABELWRIGHT_"))}
    environment = kept | {
        "LABELWRIGHT_HOME": str(home),
        "LABELWRIGHT_SWEEP_EVERY": str(sweep_every),
        "PREFECT_API_LOG_RETRYABLE_ERRORS": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    ports = ["--prefect-port", str(free_port(0)), "--service-port", str(free_port(0))]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.err").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "labelwright", "up", "--json", *ports],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    try:
        assert process.stdout is not None
        output = ""
        while not output.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                raise SystemExit((home / "up.err").read_text())
            output += line
        yield Up(process, home, json.loads(output)["Prefect UI"], sweep_every)
    finally:
        process.send_signal(signal.SIGTERM)  # Ctrl+C is ignored by what a script runs in the background
        process.wait(120)


# --- campaigns


def documents(home: Path, first: int, count: int, images: int) -> list[dict[str, Any]]:
    """Campaign files; all share the images."""
    from PIL import Image

    photos = home / "photos"
    if not photos.exists():
        photos.mkdir(parents=True)
        for number in range(images):
            Image.new("RGB", (60, 40), (number % 256, number // 256, 9)).save(photos / f"photo-{number:04}.jpg")
    return [
        {
            "title": f"bench-{number:04}",
            "images": {"folder": str(photos)},
            "labels": [{"name": "thing"}],
            "labeler": "bench@example.com",
            "export": {"folder": str(home / "datasets")},
        }
        for number in range(first, first + count)
    ]


def launch_as_functions(up: Up, campaigns: list[dict[str, Any]]) -> None:
    """Launch within this process, without Prefect: what is measured begins when these campaigns are labeled."""
    import pytest

    os.environ["LABELWRIGHT_HOME"] = str(up.home)
    os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
    from labelwright.campaigns.spec import validate_spec
    from labelwright.flows.launch_campaign import launch_campaign
    from tests.tasks.without_prefect import run_as_functions

    with pytest.MonkeyPatch.context() as patch:
        run_as_functions(patch)
        for campaign in campaigns:
            launch_campaign(validate_spec(campaign, "bench"))


def submit_forms(up: Up, campaigns: list[dict[str, Any]]) -> None:
    """Create a run of the deployment for each campaign, as the form in Prefect's UI does; a refused one is repeated."""
    url = f"{up.prefect}/api/deployments/name/launch-campaign/launch-campaign"
    deployment = requests.get(url, timeout=60).json()["id"]
    url, busy = f"{up.prefect}/api/deployments/{deployment}/create_flow_run", 0

    def submit(campaign: dict[str, Any]) -> int:
        for again in range(60):
            response = requests.post(url, json={"parameters": {"campaign": campaign}}, timeout=120)
            if response.status_code != 503:
                response.raise_for_status()
                return again
            time.sleep(1)
        raise SystemExit("Prefect's server refused a form for a minute")

    with ThreadPoolExecutor(16) as pool:
        busy = sum(pool.map(submit, campaigns))
    print(f"{len(campaigns)} forms submitted, {busy} of them repeated after a 503", flush=True)


def label_all(up: Up, titles: list[str]) -> None:
    """Submit labels for every image of these campaigns, through the service's API."""
    from labelwright.campaigns.labeler_keys import LabelerKeys

    access = LabelerKeys(up.home).find("campaign_api", "bench@example.com")
    assert access is not None
    assert access.secret is not None
    headers = {"Authentication-Key": access.key, "Authentication-Secret": access.secret.value}

    def label(title: str) -> None:
        url = f"{up.service}/api/v1/campaigns/{up.ledger.campaigns.get(title).remote_id}"
        images = requests.get(f"{url}/images", headers=headers, timeout=60).json()["images"]
        box = {"label": "thing", "confidence": 1, "bounding_box": {"xmin": 2, "xmax": 20, "ymin": 3, "ymax": 30}}
        body = [{"image_id": image["image_id"], "objects": [box]} for image in images]
        response = requests.put(f"{url}/objects", json=body, headers=headers, timeout=60)
        if not response.ok:
            raise SystemExit(f"labels refused: {response.text}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(label, titles))


# --- what happened


def wait_until_all(
    up: Up, titles: list[str], states: set[str], seconds: float, kill_every: float | None
) -> dict[str, float]:
    """Wait until all campaigns are in one of the states. Returns seconds by title."""
    begun, reached, parts = time.monotonic(), dict[str, float](), itertools.cycle(KILLED)
    next_kill, next_line = kill_every or seconds + 1, 30.0
    while (passed := time.monotonic() - begun) < seconds and len(reached) < len(titles):
        time.sleep(2)
        for record in up.ledger.campaigns.all():
            if record.title in titles and record.title not in reached and record.state.value in states:
                reached[record.title] = time.monotonic() - begun
        if passed > next_kill:
            part = next(parts)
            up.kill(part)
            print(f"  {passed:5.0f} s: {part} killed", flush=True)
            next_kill += kill_every or 0
        if passed > next_line:
            print(f"  {passed:5.0f} s: {len(reached)} of {len(titles)}, {up.cpu_seconds():.0f} s of CPU", flush=True)
            next_line += 30
    return reached


def report(up: Up, titles: list[str], since: datetime) -> bool:
    """Print what Prefect, the ledger and the logs have of it. Returns whether each campaign was exported once."""
    ledger, good = up.ledger, True
    states = Counter(record.state.value for record in ledger.campaigns.all())
    print(f"campaigns: {dict(states)}")
    for title in titles:
        exported = [event for event in ledger.outbox.of(title) if event.kind == "exported"]
        moves = [move for move in ledger.campaigns.moves(title) if move.became.value == "exported"]
        versions = {(version["name"], version["version"]) for version in ledger.campaigns.datasets(title)}
        if not len(exported) == len(moves) == 1 or len(versions) != len({name for name, _ in versions}):
            good = False
            state = ledger.campaigns.get(title).state.value
            print(f"  {title}: {state}, exported {len(moves)} times, {len(exported)} events, versions {versions}")
    runs = up.query(
        "SELECT f.name, r.state_name, count(*), sum(r.parent_task_run_id IS NULL) FROM flow_run r JOIN flow f "
        "ON f.id = r.flow_id GROUP BY 1, 2 ORDER BY 1, 2"
    )
    print("runs: " + ", ".join(f"{flow} {state} {count} ({top} on their own)" for flow, state, count, top in runs))
    names = up.query("SELECT name, count(*) FROM flow_run_state GROUP BY 1 ORDER BY 1")
    print("states of runs: " + ", ".join(f"{name} {count}" for name, count in names))
    (task_runs,) = up.query("SELECT count(*) FROM task_run")[0]
    ended = up.query(
        "SELECT r.end_time FROM flow_run r JOIN flow f ON f.id = r.flow_id WHERE f.name = 'sweep-campaigns' AND "
        "r.state_type = 'COMPLETED' ORDER BY 1"
    )
    times = [datetime.fromisoformat(row[0]).replace(tzinfo=UTC) for row in ended]
    times = [since, *[moment for moment in times if moment > since], datetime.now(UTC)]
    gaps = sorted(((following - moment).total_seconds() for moment, following in itertools.pairwise(times)))
    print(
        f"sweeps completed since: {len(times) - 2}, one due every {up.sweep_every:g} s; longest time without one "
        f"{gaps[-1]:.0f} s; {task_runs} task runs"
    )
    logs = {path.name: path.read_text(errors="replace") for path in (up.home / "logs").glob("*.log")}
    for what, pattern in (("pool time-outs", POOL_TIMEOUT), ("503 of Prefect's server", BUSY)):
        counts = {name: len(pattern.findall(text)) for name, text in logs.items()}
        print(f"{what} in logs: {sum(counts.values())} { ({name: n for name, n in counts.items() if n} or '') }")
    if up.kills:
        print(f"kills: {dict(up.kills)}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=40)
    parser.add_argument("--images", type=int, default=4, help="of each campaign")
    parser.add_argument("--sweep-every", type=float, default=120)
    parser.add_argument("--minutes", type=float, default=20, help="time limit")
    parser.add_argument("--kill-every", type=float, metavar="SECONDS", help="kill worker, server, service in turn")
    parser.add_argument("--forms", action="store_true", help="submit launch forms at once, instead of completing")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep servers' data and logs there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.keep or Path(folder) / "home").resolve()
        with running(home, arguments.sweep_every) as up:
            good = measure(up, arguments)
    sys.exit(0 if good else "not every campaign came to its end once")


def measure(up: Up, arguments: argparse.Namespace) -> bool:
    campaigns = documents(up.home, 0, arguments.campaigns, arguments.images)
    titles = [campaign["title"] for campaign in campaigns]
    seconds = arguments.minutes * 60
    if arguments.forms:
        action: Callable[[], None] = lambda: submit_forms(up, campaigns)  # noqa: E731
        states = {"active"}
    else:
        launch_as_functions(up, campaigns)
        print(f"{len(campaigns)} campaigns launched", flush=True)
        action, states = (lambda: label_all(up, titles)), {"exported"}
    since, cpu = datetime.now(UTC), up.cpu_seconds()
    action()
    print(f"done with that after {datetime.now(UTC) - since}", flush=True)
    reached = wait_until_all(up, titles, states, seconds, arguments.kill_every)
    if arguments.kill_every is None:
        used = up.cpu_seconds() - cpu
        print(f"CPU: {used:.0f} s, {used / max(1, len(reached)):.1f} s a campaign, sweeps included")
    else:
        time.sleep(2 * up.sweep_every)  # what a kill left behind may come late
    last = max(reached.values(), default=0)
    print(f"{len(reached)} of {len(titles)} {'/'.join(states)}, the last after {timedelta(seconds=round(last))}")
    if arguments.forms:
        once = [title for title in titles if times_activated(up, title) == 1]
        print(f"launched exactly once: {len(once)}")
        return report(up, [], since) and len(once) == len(titles)
    return report(up, titles, since) and len(reached) == len(titles)


def times_activated(up: Up, title: str) -> int:
    return sum(move.became.value == "active" for move in up.ledger.campaigns.moves(title))


if __name__ == "__main__":
    main()
