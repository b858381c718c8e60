"""How much a quiet sweep adds to Prefect's database: rows by table, and bytes of the SQLite file after a checkpoint.

The sweeps are runs of the deployment by a worker, as with `labelwright up`. Prefect's server keeps events of runs for
seconds here, where that of `up` keeps them for minutes: what is measured is what stays.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench_sweep import make_campaigns
from servers import servers

from labelwright.local.prefect_events import RUN_EVENTS

AIM = 30_000
VACUUMED = 40.0
"""Seconds after which every event of the sweeps before was removed."""

COUNTS = (20, 150)
TABLES = ("flow_run", "flow_run_state", "task_run", "task_run_state", "log", "artifact", "events", "event_resources")


def size_of(database: Path) -> tuple[int, dict[str, int]]:
    """Bytes in use after a checkpoint, and rows by table."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        pages, free, size = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        rows = {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in TABLES}
    return (pages - free) * size, rows


def sweep_once() -> None:
    """Runs the deployment and waits until it has completed."""
    from prefect.deployments import run_deployment

    run = run_deployment("sweep-campaigns/sweep-campaigns", timeout=300, as_subflow=False, poll_interval=1)
    assert run.state is not None
    assert run.state.is_completed(), run.state


def measure(database: Path, sweeps: int) -> tuple[float, float, dict[str, float]]:
    """What one quiet sweep adds: bytes that stay, bytes until events of runs are removed, rows that stay."""
    time.sleep(VACUUMED)  # events and logs are written some seconds after a run
    bytes_before, before = size_of(database)
    for _ in range(sweeps):
        sweep_once()
    time.sleep(10)
    at_once = size_of(database)[0]
    time.sleep(VACUUMED)
    bytes_after, after = size_of(database)
    rows = {name: (after[name] - before[name]) / sweeps for name in TABLES}
    return (bytes_after - bytes_before) / sweeps, (at_once - bytes_before) / sweeps, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--sweeps", type=int, default=10)
    arguments = parser.parse_args()
    # As `labelwright up` has it, in seconds instead of minutes.
    overrides = json.dumps(dict.fromkeys(RUN_EVENTS, 5))
    os.environ["PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES"] = overrides
    os.environ["PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS"] = "10"
    with servers() as (home, _):
        from prefect.client.orchestration import get_client

        from labelwright.local.servers import start_worker
        from labelwright.prefect_integration.deployments import POOL, deploy, is_worker_online
        from labelwright.settings import settings

        deploy()
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name("sweep-campaigns/sweep-campaigns")
            client.pause_deployment(deployment.id)
            prefect = str(client.api_url).removesuffix("/api/")
        connection = settings().connection("campaign_api")
        assert connection.url is not None
        assert connection.key is not None
        assert connection.secret is not None
        headers = {
            "Authentication-Key": connection.key.get_secret_value(),
            "Authentication-Secret": connection.secret.get_secret_value(),
        }
        worker = start_worker(home, prefect, POOL, is_worker_online, 120)
        try:
            made = 0
            for count in sorted(arguments.campaigns):
                make_campaigns(connection.url, headers, count - made, home, first=made)
                made = count
                sweep_once()  # writes down where every campaign stands
                added, at_first, rows = measure(home / "prefect" / "prefect.db", arguments.sweeps)
                reached = "reached" if added <= AIM else "not reached"
                print(
                    f"a quiet sweep of {count:,} campaigns adds {added / 1000:.1f} kB (aim: {AIM / 1000:g}, {reached})"
                )
                print(f"    until Prefect has removed the events of its runs: {at_first / 1000:.1f} kB")
                print(
                    "    rows that stay: " + ", ".join(f"{number:g} {name}" for name, number in rows.items() if number),
                    flush=True,
                )
        finally:
            worker.stop()


if __name__ == "__main__":
    main()
