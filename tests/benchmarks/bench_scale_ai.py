"""A campaign on Scale AI of many tasks: made, listed and read by the adapter beside the same requests by a bare client.

The server is the stand-in of the tests, in a process of its own, on one machine with the client: the figures say what
the adapter costs, not how fast Scale is. Memory is the growth of the adapter's process between two sizes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
THREADS = 16
BATCH = 500


@contextmanager
def serving() -> Iterator[str]:
    """The stand-in in a process of its own; answers its URL."""
    command = [sys.executable, "-m", "tests.platforms.scale.server", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


def adapter(url: str, title: str, count: int, rate: float = 0) -> dict[str, float]:
    """Make, list and read a campaign in batches of 500, as the tasks do. Answers seconds."""
    from labelwright.domain import Image, Label, LabelSchema, Size
    from labelwright.platforms.protocol import CampaignOrder, ImageToSend, Secret
    from labelwright.platforms.scale.adapter import Options, Scale

    settings = {"requests_per_second": rate, "threads": THREADS, "watch_days": 0}
    scale = Scale(url, "test_bench", None, Options.model_validate(settings))
    campaign = scale.create_campaign(CampaignOrder(title, LabelSchema((Label("boat"),)), "a@example.com")).id
    spent = {}

    def image(number: int) -> ImageToSend:
        facts = Image(f"{number:06}.jpg", Size(640, 480), 1000, "0" * 64, "0" * 32, "JPEG")
        return ImageToSend(facts, lambda: None, Secret(f"https://store.example.com/{number:06}.jpg"))  # type: ignore[arg-type,return-value]

    start = time.perf_counter()
    for batch, first in enumerate(range(0, count, BATCH), 1):
        scale.send_images(campaign, batch, [image(number) for number in range(first, min(count, first + BATCH))])
    spent["make"] = time.perf_counter() - start
    scale.activate_campaign(campaign)
    start = time.perf_counter()
    listed = sum(1 for _ in scale.list_campaign_images(campaign))
    spent["list"] = time.perf_counter() - start
    start, read, cursor, pages = time.perf_counter(), 0, None, 0
    while pages == 0 or cursor is not None:
        page = scale.read_labels(campaign, cursor)
        read, cursor, pages = read + len(page.images), page.next, pages + 1
    spent["read"] = time.perf_counter() - start
    now = scale.read_campaign(campaign)
    assert (listed, read, now.done, now.total) == (count, count, count, count)
    spent["pages"] = pages
    spent["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return spent


def bare(url: str, title: str, count: int) -> dict[str, float]:
    """The same requests by `requests` in as many threads, and nothing made of the answers."""
    import threading

    import requests

    local = threading.local()

    def session() -> requests.Session:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.auth, local.session.trust_env = ("test_bench", ""), False
        return local.session  # type: ignore[no-any-return]

    def post(path: str, body: dict[str, Any]) -> None:
        session().post(f"{url}/{path}", json=body, timeout=60).raise_for_status()

    if session().get(f"{url}/projects/bare", timeout=60).status_code == 404:
        post("projects", {"type": "imageannotation", "name": "bare"})
    post("batches", {"project": "bare", "name": title})
    boxes = {
        "geometries": {"box": {"objects_to_annotate": ["boat"]}},
        "batch": title,
        "attachment": "https://s.example.com/a",
    }
    spent = {}
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        bodies = ({**boxes, "unique_id": f"{title}/{number}", "metadata": {"n": number}} for number in range(count))
        list(pool.map(lambda body: post("task/imageannotation", body), bodies))
    spent["make"] = time.perf_counter() - start
    start, token, read = time.perf_counter(), None, 0
    while read == 0 or token:
        params = {"batch": title, "limit": 100, **({"next_token": token} if token else {})}
        page = session().get(f"{url}/tasks", params=params, timeout=60).json()
        read, token = read + len(page["docs"]), page.get("next_token")
    spent["read"] = time.perf_counter() - start
    assert read == count
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--adapter", nargs=3, metavar=("URL", "TITLE", "COUNT"), help="one run, for the memory")
    arguments = parser.parse_args()
    if arguments.adapter:
        url, title, count = arguments.adapter
        print(*adapter(url, title, int(count)).values())
        return
    count = arguments.count
    with serving() as url:
        small, large = (
            [
                float(rate)
                for rate in subprocess.run(
                    [sys.executable, __file__, "--adapter", url, f"bench-{size}", str(size)],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout.split()
            ]
            for size in (count // 5, count)
        )
        beside = bare(url, "bare", count)
        rated = adapter(url, "rated", 400, rate=100)
        assert rated["make"] >= 3.9, "400 tasks at 100 a second"
    created, listed, read, pages, memory = large
    print(f"{count:,} tasks, {THREADS} threads, stand-in and client on one machine")
    print(f"made:   {count / created:7,.0f} a second, {created / beside['make']:.2f} times what a bare client takes")
    print(
        f"listed: {count / listed:7,.0f} a second; read: {count / read:,.0f} a second in {pages:.0f} pages, "
        f"{read / beside['read']:.2f} times what bare listing by tokens takes"
    )
    print(f"memory: {memory:.0f} MB with {count:,} tasks, {small[4]:.0f} MB with {count // 5:,}")
    print(f"at 100 requests a second 400 tasks take {rated['make']:.1f} s; 100,000 at the usual 50 take 34 minutes")


if __name__ == "__main__":
    main()
