"""Campaigns launched with their bytes: time of each step, task runs, API calls, memory, what is kept, as they grow.

The whole of a launch on one machine: JPEG files are made, then decoded, hashed, sent to the embedded service, sealed
there (which decodes them once more), matched, and put into a campaign that is activated. What a step took is the sum of
what Prefect's server has of its task runs; batches are sent side by side.

The same files go through two peers in the same run, with as many threads as a launch checks with:

decoded    read, decoded by Pillow, SHA-256 and MD5
bare       the same, and PUT by a bare keep-alive client to a bare route that writes the file

CPU is user and system time of this process and of the service (or the bare route). Start-up is not part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    """JPEG files of some 19 kB, no two alike, a thousand a folder. Answers their bytes."""
    noise = Image.effect_noise((320, 240), 16).convert("RGB")
    chance, size = random.Random(count), 0
    for number in range(count):
        path = folder / f"folder-{number // 1000:04}" / f"photo-{number:08}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise.putpixel((number % 320, number // 320 % 240), tuple(chance.randbytes(3)))
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


THREADS = (os.cpu_count() or 1) + 2
"""As `build_inventory` has them by default."""


def cpu_of(pid: int) -> float:
    """Seconds of user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Spent:
    """Wall-clock seconds, and the CPU seconds of this process and another one, while the block lasts."""

    def __init__(self, other: int | None = None) -> None:
        self._other = other

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_of(self._other) if self._other else 0.0

    def __enter__(self) -> Spent:
        self._begun = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.own, self.others = (now - begun for now, begun in zip(self._now(), self._begun, strict=True))
        self.cpu = self.own + self.others


def decode_and_hash(path: Path) -> bytes:
    data = path.read_bytes()
    with Image.open(path) as image:
        image.load()
    hashlib.sha256(data).digest()
    hashlib.md5(data, usedforsecurity=False).digest()
    return data


def bare_route(folder: str, port: Any) -> None:
    """A server that does nothing but write each body to a file of its own."""
    import uvicorn

    async def route(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        Path(folder, scope["path"].rpartition("/")[2]).write_bytes(body)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def serve() -> None:
        server = uvicorn.Server(
            uvicorn.Config(route, port=0, access_log=False, log_level="error", lifespan="off", timeout_keep_alive=600)
        )
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port.put(server.servers[0].sockets[0].getsockname()[1])
        await serving

    asyncio.run(serve())


@contextmanager
def bare_server() -> Iterator[tuple[int, int]]:
    """The bare route in a process of its own. Gives its port and process id."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        port = context.Queue()
        process = context.Process(target=bare_route, args=(folder, port), daemon=True)
        process.start()
        try:
            yield port.get(timeout=60), process.pid or 0
        finally:
            process.terminate()
            process.join()


def run_threads(paths: list[Path], work: Callable[[Path], object]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, paths):
            pass


def print_peers(folder: Path, launched: Spent) -> None:
    """Runs both peers on the files, and prints what the launch took in their units."""
    paths = sorted(folder.rglob("*.jpg"))
    with Spent() as decoded:
        run_threads(paths, decode_and_hash)
    with bare_server() as (port, pid):
        connections = threading.local()

        def send(path: Path) -> None:
            if not hasattr(connections, "kept"):
                connections.kept = http.client.HTTPConnection("127.0.0.1", port)
            connections.kept.request("PUT", f"/{path.name}", body=decode_and_hash(path))
            response = connections.kept.getresponse()
            response.read()
            assert response.status == 201

        with Spent(pid) as bare:
            run_threads(paths, send)
    for name, peer, aim in (("decoded and hashed alone", decoded, 5.0), ("bare pipeline", bare, 3.0)):
        wall, cpu = launched.wall / peer.wall, launched.cpu / peer.cpu
        verdict = "reached" if cpu <= aim else "not reached"
        print(
            f"         {name}: {peer.wall:.1f} s, {peer.cpu:.1f} s of CPU; a launch takes {wall:.1f} times the time,",
            end="",
        )
        print(f" {cpu:.1f} times the CPU (aim {aim:g}: {verdict})")
    each = 1000 * launched.cpu / len(paths)
    print(f"         CPU an image: {each:.2f} ms, client {1000 * launched.own / len(paths):.2f} and service", end="")
    print(
        f" {1000 * launched.others / len(paths):.2f} (aim 3: {'reached' if each <= 3 else 'not reached'})", flush=True
    )


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


def launch_one(home: Path) -> None:
    """Launches a single image, after which imports and connections are there."""
    from labelwright.campaigns.spec import validate_spec
    from labelwright.flows.launch_campaign import launch_campaign

    folder = home / "photos" / "one"
    make_photographs(folder, 1)
    labels = {"labels": ["thing"], "labeler": "bench@example.com", "export": {"folder": str(home / "datasets")}}
    launch_campaign(validate_spec({"title": "launch-one", "images": {"folder": str(folder)}, **labels}, "bench"))


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
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with Watched([os.getpid(), service]) as watched, Spent(service) as spent:
            launch_campaign(spec)
        took, call_count = spent.wall, len(calls)
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
        print_peers(folder, spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="*", default=[1000, 10_000, 100_000])
    arguments = parser.parse_args()
    with servers() as (home, service):
        launch_one(home)
        context(arguments.images, home, service.process.pid)


if __name__ == "__main__":
    main()
