"""The whole ingest against the bare azure-storage-blob client: 2,000 real JPEG files of about 100 kB.

    python tests/benchmarks/bench_upload.py [--files 2000] [--threads 16] [--rounds 3] [--store service|azurite]

Both send to one and the same kind of store, in a process of its own that is started afresh for every run. The bare
client gets a pool of connections as large as its number of threads, else it would be slower. The whole ingest finds,
decodes and hashes every file, reads it again to send it, has it verified, and compares what the store lists with the
manifest.

in turn      take_stock to its end, then batch after batch, then the read-back
overlapped   a batch is sent while the next one is checked, as two tasks of a flow can be
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import logging
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL import ImageFilter

from labelwright.ingest import FolderSource, InventoryItem, build_inventory, compare, open_dropbox
from labelwright.ingest.upload.azure_client import container_client
from labelwright.tasks.campaign.image_set_upload import batches_at_once

BATCH = 500
RCLONE = "rclone copy --checksum"
Way = Callable[[Path, str, int], None]
Times = dict[str, list[tuple[float, float]]]


def make_photos(folder: Path, count: int) -> None:
    """Blurred noise: as hard to decode as a photograph, and some 100 kB each."""
    dice = random.Random(1)
    for number in range(count):
        noise = Pillow.frombytes("RGB", (640, 480), dice.randbytes(640 * 480 * 3))
        file = io.BytesIO()
        noise.filter(ImageFilter.GaussianBlur(1)).save(file, "JPEG", quality=85)
        path = folder / f"{number // 500:02}" / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.getvalue())


def bare(folder: Path, url: str, threads: int) -> None:
    client = container_client(url, threads=threads, timeout=60)

    def send(path: Path) -> None:
        with path.open("rb") as file:
            client.upload_blob(path.relative_to(folder).as_posix(), file, overwrite=False)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, sorted(folder.rglob("*.jpg"))))


def ingest(engine: Any) -> Way:
    """As tasks/campaign/image_set_upload.py sends them, without Prefect and the ledger."""

    def run(folder: Path, url: str, threads: int) -> None:
        source, at_once = FolderSource(folder), batches_at_once()
        items = [item for item in build_inventory(source) if isinstance(item, InventoryItem)]

        def send(batch: list[InventoryItem]) -> None:
            report = open_dropbox(url, threads=threads // at_once, engine=engine).upload(batch, source.open)
            assert report.sent == len(batch)

        with ThreadPoolExecutor(at_once) as senders:
            list(senders.map(send, (items[at : at + BATCH] for at in range(0, len(items), BATCH))))
        assert not compare((item.image for item in items), open_dropbox(url, threads=threads).read_back())

    return run


def rclone(folder: Path, url: str, threads: int) -> None:
    container = url.partition("?")[0].rpartition("/")[2]
    options = ["--checksum", "--transfers", str(threads), "--checkers", str(threads), "--retries", "1"]
    command = ["rclone", "copy", *options, str(folder), f":azureblob:{container}"]
    environment = {**os.environ, "RCLONE_AZUREBLOB_SAS_URL": url, "RCLONE_CONFIG": os.devnull}
    subprocess.run(command, env=environment, check=True)


def checks_only(folder: Path, url: str, threads: int) -> None:
    for _ in build_inventory(FolderSource(folder)):
        pass


@contextmanager
def new_container(kind: str) -> Iterator[str]:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.ingest.stores import STORES

    with tempfile.TemporaryDirectory() as folder:
        store = STORES[kind](Path(folder), own_process=True)
        try:
            yield store.new_container()
        finally:
            store.stop()


def cpu_seconds() -> float:
    """Of this process and of the programs that it ran to their end."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(ways: dict[str, Way], folder: Path, rounds: int, threads: int, store: str) -> Times:
    """Seconds of wall and of this process's processor time, alternating so that noise hits all alike."""
    times: Times = {name: [] for name in ways}
    for turn in range(rounds):
        for name in list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]:
            with new_container(store) as url:
                wall, cpu = time.perf_counter(), cpu_seconds()
                ways[name](folder, url, threads)
                times[name].append((time.perf_counter() - wall, cpu_seconds() - cpu))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", choices=("service", "azurite"), default="service")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    importlib.import_module("azure.storage.blob")  # two seconds, which are not the upload's

    ways: dict[str, Way] = {
        "bare client": bare,
        "whole ingest": ingest("azure"),
        "checks only": checks_only,
    }
    if importlib.util.find_spec("obstore"):
        ways["whole ingest, obstore"] = ingest("obstore")
    else:
        print("obstore is not installed: its runs are left out (install labelwright[obstore])")
    if shutil.which("rclone"):
        ways[RCLONE] = rclone
    else:
        print("rclone is not installed: its runs are left out (Debian: apt-get install rclone)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder, options.files)
        megabytes = sum(path.stat().st_size for path in folder.rglob("*.jpg")) / 1e6
        print(f"{options.files} files, {megabytes:.0f} MB, {options.threads} threads, store: {options.store}")
        times = measure(ways, folder, options.rounds, options.threads, options.store)
    middle = {name: statistics.median(wall for wall, _ in runs) for name, runs in times.items()}
    print(f"{'':26} {'min s':>7} {'median s':>9} {'files/s':>8} {'CPU s':>6}  speed against the bare client, rclone")
    for name, runs in times.items():
        cpu = statistics.median(cpu for _, cpu in runs)
        print(f"{name:26} {min(wall for wall, _ in runs):7.2f} {middle[name]:9.2f}", end="")
        print(f" {options.files / middle[name]:8.0f} {cpu:6.1f}  {middle['bare client'] / middle[name]:.2f}", end="")
        print(f", {middle[RCLONE] / middle[name]:.2f}" if RCLONE in middle else "")
    ingests = [name for name in middle if name.startswith("whole")]
    against = [("bare client", "whole ingest", 1.0), (RCLONE, "whole ingest", 1.0)]
    against.append(("bare client", min(ingests, key=middle.__getitem__), 1.5))
    for peer, name, aim in against:
        if peer in middle:
            ratio = middle[peer] / middle[name]
            print(f"{name} against {peer}: {ratio:.2f} (aim {aim}: {'reached' if ratio >= aim else 'not reached'})")


if __name__ == "__main__":
    main()
