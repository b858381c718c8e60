"""COCO + CSV + detection JSONL of 100,000 images and 1,000,000 boxes, against one `orjson.dumps` of the same COCO.

    python tests/benchmarks/bench_export.py [--images 100000] [--boxes 10]

The export runs in a process of its own, from the spool, so that its memory is its own; its time is that of the work
after the imports, its peak what the system counted for it and its children. Everything takes turns with the baseline,
five times, and the best of each counts: a busy machine is busy for all.
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
AIM_RATIO, AIM_MEGABYTES = 6.0, 400.0


class ManifestImages:
    """A manifest that is made while it is read, as one from a file or a database would be."""

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


def child(work: str, spool: Path, out: Path, images: int) -> None:
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
        "gate": lambda: validate_labels(Spool(spool).delivered(ManifestImages(images)), SCHEMA, expected_done=images),
        "statistics": lambda: count(Spool(spool).delivered(ManifestImages(images)), SCHEMA),
        "manifest made and read": lambda: [None for _ in ManifestImages(images)],
        **{
            f"only {name}": lambda name=name: write_many(
                [name], Spool(spool).delivered(ManifestImages(images)), SCHEMA, title="bench", folder=out
            )
            for name in FILES
        },
    }
    start = time.perf_counter()
    jobs[work]()
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


def run_child(work: str, spool: Path, out: Path, images: int) -> tuple[float, float]:
    for old in out.glob("*"):
        old.unlink()  # an export writes new files
    command = [sys.executable, __file__, "--child", work, "--spool", str(spool), "--out", str(out)]
    answer = subprocess.run([*command, "--images", str(images)], check=True, capture_output=True, text=True)
    seconds, megabytes = json.loads(answer.stdout)
    return seconds, megabytes


def timed(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--spool", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.spool, given.out, given.images)
        return

    with tempfile.TemporaryDirectory() as temporary:
        spool, out = Path(temporary) / "spool", Path(temporary) / "out"
        start = time.perf_counter()
        fill(spool, given.images, given.boxes)
        print(f"{given.images} images, {given.images * given.boxes} boxes; spool filled in", end=" ")
        print(f"{time.perf_counter() - start:.1f} s (domain objects made, pages synced)")
        jobs = ("export", "export + statistics", *(f"only {name}" for name in FILES), "gate", "statistics")
        works = ("nothing", "manifest made and read", *jobs)
        # Memory first: a child that is started by a large process inherits its peak.
        peaks = {work: run_child(work, spool, out, given.images)[1] for work in works}
        run_child("export", spool, out, given.images)
        structure = orjson.loads((out / "bench_coco.json").read_bytes())
        assert len(structure["images"]) == given.images
        assert len(structure["annotations"]) == given.images * given.boxes
        runs: dict[str, list[float]] = {work: [] for work in works}
        baseline = float("inf")
        for _ in range(5):
            for work, found in runs.items():
                found.append(run_child(work, spool, out, given.images)[0])
                if work == "export":
                    sizes = {path.name: path.stat().st_size / 1e6 for path in sorted(out.iterdir())}
                baseline = min(baseline, timed(lambda: orjson.dumps(structure)))
        results = {work: (min(found), peaks[work]) for work, found in runs.items()}
        with Path(temporary, "slow.json").open("w") as file:
            slow = timed(lambda: json.dump(structure, file))

    print("files: " + ", ".join(f"{name} {size:.0f} MB" for name, size in sizes.items()))
    print(f"{'one orjson.dumps of the COCO structure':42}{baseline:7.3f} s     1.0 x")
    print(f"{'json.dump of it to a file':42}{slow:7.3f} s {slow / baseline:7.1f} x")
    for work, (seconds, megabytes) in results.items():
        print(f"{work:42}{seconds:7.3f} s {seconds / baseline:7.1f} x   {megabytes:5.0f} MB peak")
    seconds, megabytes = results["export"]
    for what, value, aim in (("ratio", seconds / baseline, AIM_RATIO), ("peak MB", megabytes, AIM_MEGABYTES)):
        print(f"aim: {what} under {aim:g}: {value:.1f}, {'reached' if value < aim else 'NOT reached'}")


if __name__ == "__main__":
    main()
