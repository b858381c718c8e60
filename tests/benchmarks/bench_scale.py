"""The ledger and the sweep as campaigns and images grow: time, task runs, API calls, memory, ledger size.

Campaigns are spread over five connections, each a server of its own on loopback that answers like the labeling API and
counts what it is asked; each is held to its requests a second. Images are facts in the ledger (no files), in the
stretches in which a launch writes and reads them. Figures that grow with a number are printed for each.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench_sweep import count_task_runs, resident
from prefect_calls import watch_prefect_calls

PLATFORMS = 5


class StandIn(ThreadingHTTPServer):
    """Campaigns of 100 images, 40 of which are labeled."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        self.asked: list[float] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.asked.append(time.monotonic())
                number = self.path.rsplit("/", 1)[-1].partition("?")[0]
                campaign = {
                    "campaign_id": int(number) if number.isdigit() else 0,
                    "title": f"scale-{number}",
                    "status": "active",
                    "progress": {"done": 40, "total": 100},
                }
                data = json.dumps(campaign).encode()
                self.send_response_only(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def ledger_size(home: Path) -> float:
    """Megabytes."""
    return sum(path.stat().st_size for path in home.glob("ledger.db*")) / 1e6


def bench_images(counts: list[int], home: Path) -> None:
    from labelwright.domain import Image, Size
    from labelwright.ledger import ManifestEntry, open_ledger, stretches
    from labelwright.settings import settings

    ledger = open_ledger(settings().ledger_address())
    print(f"{'images':>10} {'write':>8} {'number':>8} {'read':>8} {'ids':>8}   memory  ledger  bytes an image")
    for count in counts:
        title, before = f"images-{count}", ledger_size(home)
        ledger.campaigns.add(title, {})
        begun = time.perf_counter()
        mark = ledger.manifests.begin(title)
        digest = "0123456789abcdef"
        entries = (
            ManifestEntry(
                Image(
                    f"folder-{n // 1000:04}/photo-{n:08}.jpg", Size(4000, 3000), 10**6, digest * 4, digest * 2, "JPEG"
                ),
                f"/photos/folder-{n // 1000:04}/photo-{n:08}.jpg",
                stamp=f"{n}/1000000",
            )
            for n in range(count)
        )
        for batch in stretches(entries, 2000):
            ledger.manifests.add(title, mark, batch)
        written = time.perf_counter()
        assert ledger.manifests.complete(title, mark) == count
        numbered = time.perf_counter()
        assert sum(1 for _ in ledger.manifests.entries(title)) == count
        read = time.perf_counter()
        pairs = ((f"folder-{n // 1000:04}/photo-{n:08}.jpg", str(10**6 + n)) for n in range(count))
        ledger.manifests.record_remote_ids(title, pairs)
        matched = time.perf_counter()
        size = ledger_size(home)
        print(
            f"{count:>10,} {written - begun:>7.2f}s {numbered - written:>7.2f}s {read - numbered:>7.2f}s "
            f"{matched - read:>7.2f}s {resident():>6.0f} MB {size:>5.0f} MB  {(size - before) * 1e6 / count:.0f}"
        )


def bench_sweeps(counts: list[int], rate: float, home: Path) -> None:
    from labelwright.campaigns.spec import validate_spec
    from labelwright.domain import State
    from labelwright.flows.sweep_campaigns import sweep_campaigns
    from labelwright.ledger import open_ledger
    from labelwright.settings import forget_settings, settings

    servers = [StandIn() for _ in range(PLATFORMS)]
    for number, server in enumerate(servers):
        variable = f"LABELWRIGHT_CONNECTIONS__STANDIN{number}__"
        connection = {"PLATFORM": "campaign_api", "URL": f"http://127.0.0.1:{server.server_port}/api/v1"}
        connection |= {"KEY": "k", "SECRET": "s", "REQUESTS_PER_SECOND": str(rate)}
        os.environ.update({variable + name: value for name, value in connection.items()})
    forget_settings()
    ledger, calls, call_count = open_ledger(settings().ledger_address()), watch_prefect_calls(), 0
    before = ledger_size(home)
    print(f"\nfive connections, each held to {rate:g} requests a second")
    print(
        f"{'campaigns':>10} {'sweep':>8} {'looks/s':>8} {'task runs':>10} {'Prefect calls':>14} {'busiest':>8}   memory"
        "   ledger"
    )
    for count in counts:
        for number in range(call_count, count):
            title = f"scale-{number}"
            document = {
                "title": title,
                "platform": "campaign_api",
                "connection": f"standin{number % PLATFORMS}",
                "images": {"folder": str(home)},
                "labels": ["thing"],
                "labeler": "bench@example.com",
                "export": {"folder": str(home / "datasets")},
            }
            ledger.campaigns.add(title, validate_spec(document, "bench").model_dump(mode="json"))
            ledger.campaigns.record_remote_campaign(title, str(number))
            for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
                ledger.campaigns.move(title, state)
        call_count = count
        sweep_campaigns(go_on="no")  # writes down where every campaign stands
        for server in servers:
            server.asked.clear()
        calls.clear()
        runs, begun = count_task_runs(), time.perf_counter()
        assert len(sweep_campaigns(go_on="no")) == count
        took = time.perf_counter() - begun
        run_count = count_task_runs() - runs
        busiest = max(busiest_second(server.asked) for server in servers)
        print(
            f"{count:>10,} {took:>7.1f}s {count / took:>8.0f} {run_count:>10} {len(calls):>14} {busiest:>6}/s "
            f"{resident():>6.0f} MB {ledger_size(home) - before:>5.1f} MB"
        )
    for server in servers:
        server.shutdown()


def busiest_second(moments: list[float]) -> int:
    moments = sorted(moments)
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, nargs="*", default=[100, 300, 1000])
    parser.add_argument("--images", type=int, nargs="*", default=[10_000, 30_000, 100_000])
    parser.add_argument("--rate", type=float, default=20, help="requests a second and connection")
    arguments = parser.parse_args()
    from labelwright.local.servers import start_prefect
    from labelwright.prefect_integration.runtime import flush_logs_and_events

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["LABELWRIGHT_HOME"] = str(home)
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
        bench_images(arguments.images, home)
        prefect = start_prefect(home)
        os.environ["PREFECT_API_URL"] = f"{prefect.url}/api"
        try:
            bench_sweeps(arguments.campaigns, arguments.rate, home)
            flush_logs_and_events()
        finally:
            prefect.stop()


if __name__ == "__main__":
    main()
