"""A delivery of 100,000 images and 1,000,000 boxes, written and sent to blob storage, beside the bare client.

    python tests/benchmarks/bench_azure_delivery.py [--images 100000] [--boxes 10] [--rounds 3]

Both send to Azurite, in a process of its own, on disk, over loopback. Ours writes the files of both datasets from the
spool and sends them as an export does: each file is hashed (SHA-256 and MD5), looked for, sent with an MD5 for every
request and for the whole, and looked at again when the receipt is written. The bare client uploads the same bytes
without checksums, with as many threads. Prints ratios, and how many requests of each kind Azurite saw.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

from labelwright.datasets import Spool, write_many
from labelwright.ingest.upload.azure_client import container_client
from labelwright.settings import WorkspaceSettings
from labelwright.stores.azure_ml.blobs import account_of
from labelwright.stores.azure_ml.store import AzureMlStore
from labelwright.stores.protocol import content_hash, paths_of

HERE = Path(__file__).resolve().parent
THREADS = 16
FORMATS = ("csv", "coco", "detection", "detection_mltable")
AIM = 2.0


def neighbour(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def write(spool: Path, export: Any, images: int, out: Path) -> None:
    labels = Spool(spool).delivered(export.ManifestImages(images))
    write_many(FORMATS, labels, export.SCHEMA, title="bench", folder=out / "labels")
    write_many(["images"], labels, export.SCHEMA, title="bench", folder=out / "images")


def send(store: AzureMlStore, out: Path) -> None:
    """What the tasks of an export do between writing and registering, which needs a workspace."""
    for dataset in ("images", "labels"):
        folder = out / dataset
        digest = content_hash(folder)
        for path in paths_of(folder):
            store.send(f"bench_{dataset}", folder, path.relative_to(folder).as_posix(), content_hash=digest)
        store._send_all(f"bench_{dataset}", folder, content_hash(folder), {"campaign": {"title": "bench"}})


def bare(connection: str, container: str, out: Path) -> None:
    account = account_of(WorkspaceSettings.model_validate({"connection_string": connection, "container": container}))
    credential = {"account_name": account.name, "account_key": account.key}
    client = container_client(account.container_url, credential=credential, threads=THREADS, timeout=60)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                client.upload_blob(path.relative_to(out).as_posix(), file, max_concurrency=THREADS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not (os.environ.get("LABELWRIGHT_AZURITE") or shutil.which("azurite-blob")):
        print("not measured: it needs Azurite, named by LABELWRIGHT_AZURITE (see .ci/run)")
        return
    export = neighbour(HERE / "bench_export.py", "bench_export")
    stores = neighbour(HERE.parent / "ingest" / "stores.py", "bench_stores")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        export.fill(work / "spool", arguments.images, arguments.boxes)
        times: dict[str, list[tuple[float, float]]] = {"write": [], "send": [], "bare": [], "again": []}
        calls: Counter[str] = Counter()
        for number in range(arguments.rounds):
            home = work / f"azurite-{number}"
            home.mkdir()
            azurite = stores.Azurite(home, on_disk=True)
            try:
                for name in ("ours", "bare"):
                    with ContainerClient.from_connection_string(azurite.connection_string, name) as container:
                        container.create_container()
                properties = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w", "container": "ours"}
                properties["connection_string"] = azurite.connection_string
                store = AzureMlStore(
                    WorkspaceSettings.model_validate(properties), engine="sdk_v2", threads=THREADS, timeout=60
                )
                out = work / f"out-{number}"
                times["write"].append(timed(lambda out=out: write(work / "spool", export, arguments.images, out)))
                log = home / "azurite.log"
                before = log.stat().st_size
                rounds: list[tuple[str, Callable[[], object]]] = [
                    ("send", lambda store=store, out=out: send(store, out)),
                    ("bare", lambda azurite=azurite, out=out: bare(azurite.connection_string, "bare", out)),
                ]
                for name, job in rounds if number % 2 else reversed(rounds):
                    before = log.stat().st_size
                    times[name].append(timed(job))
                    if name == "send":
                        calls = Counter(requests_in(log.read_text()[before:]))
                times["again"].append(timed(lambda store=store, out=out: send(store, out)))
                size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
                shutil.rmtree(out)
            finally:
                azurite.stop()
    best = {name: (min(wall for wall, _ in runs), min(cpu for _, cpu in runs)) for name, runs in times.items()}
    print(
        f"{arguments.images} images, {arguments.images * arguments.boxes} boxes, {size / 1e6:.0f} MB "
        f"in {arguments.rounds} rounds"
    )
    names = {
        "write": "the files written",
        "send": "sent, hashed and verified",
        "bare": "the same bytes by the bare client",
        "again": "a second run, which finds all there",
    }
    for name, message in names.items():
        wall, cpu = best[name]
        middle = statistics.median(wall for wall, _ in times[name])
        ratio = wall / best["bare"][0]
        print(f"{message:40}{wall:7.2f} s (median {middle:.2f})  CPU {cpu:6.2f} s  {ratio:5.2f} x the bare client")
    print(f"requests of ours: {', '.join(f'{count} {kind}' for kind, count in sorted(calls.items()))}")
    ratio = best["send"][0] / best["bare"][0]
    print(
        f"aim: sending under {AIM:g} times the bare client: {ratio:.2f}, {'reached' if ratio < AIM else 'NOT reached'}"
    )
    print(f"aim: no listing of a container: {'reached' if not calls['LIST'] else 'NOT reached'}")


def requests_in(log: str) -> list[str]:
    requests = re.findall(r'"(GET|HEAD|PUT|DELETE) (\S+) HTTP', log)
    return ["LIST" if "comp=list" in path and "restype=container" in path else method for method, path in requests]


if __name__ == "__main__":
    main()
