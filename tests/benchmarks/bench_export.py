"""Exports 100,000 images with 1,000,000 boxes as COCO, CSV and JSONL; compares it with one `orjson.dumps` of the COCO.

    python tests/benchmarks/bench_export.py [--images 100000] [--boxes 10]

The export runs in a process of its own, from the spool, so that its memory is its own; its time is that of the work
after the imports, its peak what the system counted for it and its children. All jobs and the baseline take turns five
times, and the best of each counts, so that a busy machine slows down all of them.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from labelwright.datasets import Spool, Statistics, StockedImage, count, validate_labels, write_many
from labelwright.domain import Annotation, Box, Label, LabeledImage, LabelSchema, Size

FILES = ("coco", "csv", "detection")
SCHEMA = LabelSchema(tuple(Label(name) for name in ["car", "truck", "bus", "person", "bicycle", "sign", "dog", "boat"]))
SIZE = Size(1920, 1080)
MAX_RATIO, MAX_MEGABYTES = 6.0, 400.0


class ManifestImages:
    """A manifest that is generated while it is read, as one from a file or a database would be."""

    def __init__(self, images: int) -> None:
        self.images = images

    def __iter__(self) -> Iterator[StockedImage]:
        for n in range(1, self.images + 1):
            name = f"camera-{n % 7}/frame-{n:06d}.jpg"
            yield StockedImage(n, name, SIZE, f"{n:064x}", f"https://account.blob.example/c/{name}", f"i{n}")


def labels(images: int, boxes: int) -> Iterator[LabeledImage]:
    chance = random.Random(20261122)
    for image in ManifestImages(images):
        annotations = []
        for _ in range(boxes):
            x, y = round(chance.uniform(0, 1800), 2), round(chance.uniform(0, 1000), 2)
            right, bottom = round(chance.uniform(x + 1, 1920), 2), round(chance.uniform(y + 1, 1080), 2)
            label, confidence = chance.choice(SCHEMA.names), round(chance.random(), 3)
            annotations.append(Annotation(label, Box(x, y, right, bottom), confidence))
        yield LabeledImage(image.name, SIZE, tuple(annotations), image.remote_id)


def fill(folder: Path, images: int, boxes: int) -> None:
    spool, page = Spool(folder), []
    for number, image in enumerate(labels(images, boxes), 1):
        page.append(image)
        if len(page) == 500 or number == images:
            spool.put_page(-(-number // 500), page)
            page = []


def run_job(job: str, spool: Path, out: Path, images: int) -> None:
    """One job in this process: prints its seconds and the peak in MB, this process and its children."""
    jobs: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "export": lambda: write_many(
            FILES, Spool(spool).delivered(ManifestImages(images)), SCHEMA, title="bench", folder=out
        ),
        "export + statistics": lambda: write_many(
            FILES,
            Spool(spool).delivered(ManifestImages(images)),
            SCHEMA,
            title="bench",
            folder=out,
            watchers=[Statistics(SCHEMA)],
        ),
        "validation": lambda: validate_labels(
            Spool(spool).delivered(ManifestImages(images)), SCHEMA, expected_done=images
        ),
        "statistics": lambda: count(Spool(spool).delivered(ManifestImages(images)), SCHEMA),
        "manifest read": lambda: [None for _ in ManifestImages(images)],
        **{
            f"only {name}": lambda name=name: write_many(
                [name], Spool(spool).delivered(ManifestImages(images)), SCHEMA, title="bench", folder=out
            )
            for name in FILES
        },
    }
    start = time.perf_counter()
    jobs[job]()
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, peak_megabytes()]))


def peak_megabytes() -> float:
    """Of this process since its program began, and of its largest child.

    getrusage also counts what the parent held when this process was forked off, so Linux is asked for its own count.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    status = Path("/proc/self/status")
    if not status.exists():
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + children) / 1024
    own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return (own + children) / 1024


def run_child(job: str, spool: Path, out: Path, images: int) -> tuple[float, float]:
    for old in out.glob("*"):
        old.unlink()  # an export writes new files
    command = [sys.executable, __file__, "--child", job, "--spool", str(spool), "--out", str(out)]
    completed = subprocess.run([*command, "--images", str(images)], check=True, capture_output=True, text=True)
    seconds, megabytes = json.loads(completed.stdout)
    return seconds, megabytes


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--spool", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_job(arguments.child, arguments.spool, arguments.out, arguments.images)
        return

    with tempfile.TemporaryDirectory() as temporary:
        spool, out = Path(temporary) / "spool", Path(temporary) / "out"
        start = time.perf_counter()
        fill(spool, arguments.images, arguments.boxes)
        print(f"{arguments.images} images, {arguments.images * arguments.boxes} boxes; spool filled in", end=" ")
        print(f"{time.perf_counter() - start:.1f} s (domain objects made, pages synced)")
        exports = ("export", "export + statistics", *(f"only {name}" for name in FILES), "validation", "statistics")
        jobs = ("nothing", "manifest read", *exports)
        # Memory first: a child that is started by a large process inherits its peak.
        peaks = {job: run_child(job, spool, out, arguments.images)[1] for job in jobs}
        run_child("export", spool, out, arguments.images)
        structure = orjson.loads((out / "bench_coco.json").read_bytes())
        assert len(structure["images"]) == arguments.images
        assert len(structure["annotations"]) == arguments.images * arguments.boxes
        runs: dict[str, list[float]] = {job: [] for job in jobs}
        baseline = float("inf")
        for _ in range(5):
            for job, seconds_of_runs in runs.items():
                seconds_of_runs.append(run_child(job, spool, out, arguments.images)[0])
                if job == "export":
                    sizes = {path.name: path.stat().st_size / 1e6 for path in sorted(out.iterdir())}
                baseline = min(baseline, timed(lambda: orjson.dumps(structure)))
        results = {job: (min(seconds_of_runs), peaks[job]) for job, seconds_of_runs in runs.items()}
        with Path(temporary, "slow.json").open("w") as file:
            json_dump_seconds = timed(lambda: json.dump(structure, file))

    print("files: " + ", ".join(f"{name} {size:.0f} MB" for name, size in sizes.items()))
    print(f"{'one orjson.dumps of the COCO structure':42}{baseline:7.3f} s     1.0 x")
    print(f"{'json.dump of it to a file':42}{json_dump_seconds:7.3f} s {json_dump_seconds / baseline:7.1f} x")
    for job, (seconds, megabytes) in results.items():
        print(f"{job:42}{seconds:7.3f} s {seconds / baseline:7.1f} x   {megabytes:5.0f} MB peak")
    seconds, megabytes = results["export"]
    for name, value, limit in (("ratio", seconds / baseline, MAX_RATIO), ("peak MB", megabytes, MAX_MEGABYTES)):
        print(f"{name} below {limit:g}: {value:.1f}, {'reached' if value < limit else 'NOT reached'}")


if __name__ == "__main__":
    main()
