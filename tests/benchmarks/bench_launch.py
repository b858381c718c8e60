"""Campaigns launched with their bytes: time of each step, task runs, API calls, memory, what is kept, as they grow.

The whole of a launch on one machine: JPEG files are made, then decoded, hashed, sent to the embedded service, sealed
there (which decodes them once more), matched, and put into a campaign that is activated. What a step took is the sum of
what Prefect's server has of its task runs, which come one after the other.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

from bench_sweep import count_task_runs, resident
from PIL import Image
from prefect_calls import watch_prefect_calls
from servers import servers

STEPS = {
    "check": "check the images",
    "find": "find missing images",
    "upload": "upload-batch",
    "seal": "wait for image set",
    "match": "match images",
    "add": "add images",
}
"""Columns of the table, and how the names of their task runs begin."""


def make_photographs(folder: Path, count: int) -> int:
    """Small JPEG files, no two alike, a thousand a folder. Answers their bytes."""
    noise = Image.effect_noise((160, 120), 60).convert("RGB")
    chance, size = random.Random(count), 0
    for number in range(count):
        path = folder / f"folder-{number // 1000:04}" / f"photo-{number:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise.putpixel((number % 160, number // 160 % 120), tuple(chance.randbytes(3)))
        noise.paste(tuple(chance.randbytes(3)), (0, 0, 32, 8))
        noise.save(path, "JPEG", quality=70)
        size += path.stat().st_size
    return size


class Watched:
    """The most memory that some processes had, looked at ten times a second; megabytes."""

    def __init__(self, pids: list[int]) -> None:
        self.most = dict.fromkeys(pids, 0.0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            for pid in self.most:
                self.most[pid] = max(self.most[pid], resident(pid))


def seconds_of_steps(since: str) -> Counter[str]:
    """What the task runs of each step took, those that began after the moment."""
    from prefect.client.orchestration import get_client

    took: Counter[str] = Counter()
    with get_client(sync_client=True) as client:
        offset = 0
        while True:
            body = {"limit": 200, "offset": offset, "task_runs": {"start_time": {"after_": since}}}
            task_runs = client._client.post("/task_runs/filter", json=body).json()
            for run in task_runs:
                for step, begins in STEPS.items():
                    if run["name"].startswith(begins):
                        took[step] += run["total_run_time"]
            if len(task_runs) < 200:
                return took
            offset += 200


def sizes(home: Path) -> dict[str, float]:
    """Megabytes: the ledger, Prefect's database, the service's database."""
    places = {"ledger": "ledger.db*", "prefect": "prefect/prefect.db*", "service": "service/*.sqlite3*"}
    return {name: sum(path.stat().st_size for path in home.glob(glob)) / 1e6 for name, glob in places.items()}


def context(counts: list[int], home: Path, service: int) -> None:
    from labelwright.campaigns.spec import validate_spec
    from labelwright.flows.launch_campaign import launch_campaign
    from labelwright.prefect_integration.runtime import flush_logs_and_events

    calls = watch_prefect_calls()
    steps = " ".join(f"{step:>8}" for step in STEPS)
    print(f"{'images':>8} {'MB':>5} {'launch':>9} {'a second':>8} {steps} {'runs':>5} {'calls':>6}", end="")
    print("  memory  service's  ledger  Prefect's  service's database (MB more)")
    for count in counts:
        folder = home / "photos" / str(count)
        size = make_photographs(folder, count)
        document = {
            "title": f"launch-{count}",
            "images": {"folder": str(folder)},
            "labels": ["thing"],
            "labeler": "bench@example.com",
            "export": {"folder": str(home / "datasets")},
        }
        spec, before, runs = validate_spec(document, "bench"), sizes(home), count_task_runs()
        calls.clear()
        since, begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), time.perf_counter()
        with Watched([os.getpid(), service]) as watched:
            launch_campaign(spec)
        took, call_count = time.perf_counter() - begun, len(calls)
        flush_logs_and_events()
        ended = time.monotonic()
        while count_task_runs() == runs or time.monotonic() - ended < 5:
            time.sleep(0.5)  # the server writes them down some seconds late
        seconds, more = seconds_of_steps(since), {name: now - before[name] for name, now in sizes(home).items()}
        columns = " ".join(f"{seconds[step]:>7.1f}s" for step in STEPS)
        memory = [watched.most[os.getpid()], watched.most[service]]
        print(f"{count:>8,} {size / 1e6:>5.0f} {took:>8.1f}s {count / took:>8.0f} {columns}", end=" ")
        print(f"{count_task_runs() - runs:>5} {call_count:>6} {memory[0]:>4.0f} MB {memory[1]:>7.0f} MB", end="")
        print(f" {more['ledger']:>7.1f} {more['prefect']:>10.1f} {more['service']:>19.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="*", default=[1000, 10_000, 100_000])
    arguments = parser.parse_args()
    with servers() as (home, service):
        context(arguments.images, home, service.process.pid)


if __name__ == "__main__":
    main()
