"""Exports 100,000 images with 1,000,000 boxes in all formats; compares it with one `orjson.dumps` of the COCO.

    python tests/benchmarks/bench_export.py [--images 100000] [--boxes 10] [--rounds 5]

Every job runs in a process of its own on a campaign in a ledger whose labels were read, as the flows leave them:
`all files` is the task that writes the files of an export (COCO, CSV, JSON Lines, MLTable, list of images). All jobs
and the baseline take turns. CPU time counts, user and system, of all threads, after the imports. Ratios are of
the medians. The peak of memory is that of the whole process, with Python and Prefect.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import orjson

from labelwright.datasets import Spool, StockedImage, count, validate_labels, write_many
from labelwright.domain import Annotation, Box, Label, LabeledImage, LabelSchema, Size

FILES = ("coco", "csv", "detection")
TITLE, CONTAINER = "bench", "https://account.blob.example/c"
ALL, THREE = "all files", "COCO, CSV, JSON Lines"
SCHEMA = LabelSchema(tuple(Label(name) for name in ["car", "truck", "bus", "person", "bicycle", "sign", "dog", "boat"]))
SIZE = Size(1920, 1080)
MAX_RATIOS, MAX_MEGABYTES = {ALL: 8.0, THREE: 4.5}, 200.0


class ManifestImages:
    """A manifest that is generated while it is read, in the order of names, as the ledger has it."""

    def __init__(self, images: int) -> None:
        self.images = images

    def __iter__(self) -> Iterator[StockedImage]:
        for n in range(1, self.images + 1):
            name = f"camera-{n * 7 // self.images}/frame-{n:06d}.jpg"
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


def make_campaign(images: int, boxes: int) -> None:
    """A completed campaign in the ledger of LABELWRIGHT_HOME, and the pages of its labels."""
    from labelwright.campaigns.spec import validate_spec
    from labelwright.domain import Image
    from labelwright.ledger import ManifestEntry, stretches
    from labelwright.tasks.context import CampaignContext
    from labelwright.tasks.export.labels import spool_of

    context = CampaignContext(TITLE)
    document = {
        "title": TITLE,
        "images": {"container": CONTAINER},
        "labels": list(SCHEMA.names),
        "labeler": "ann@example.com",
        "export": {"formats": ["coco", "csv", "jsonl", "mltable"], "folder": str(context.settings.home / "datasets")},
    }
    context.ledger.campaigns.add(TITLE, validate_spec(document, "bench").model_dump(mode="json"))
    manifests = context.ledger.manifests
    mark = manifests.begin(TITLE)
    for stocked in stretches(ManifestImages(images), 1000):
        entries = [
            ManifestEntry(Image(image.name, image.size, 11_000, image.sha256, "0" * 32, "JPEG"), image.name)
            for image in stocked
        ]
        manifests.add(TITLE, mark, entries)
    manifests.complete(TITLE, mark)
    manifests.record_remote_ids(TITLE, ((image.name, image.remote_id) for image in ManifestImages(images)))
    fill(spool_of(context).folder, images, boxes)


def run_job(job: str, out: Path, images: int) -> None:
    """One job in this process: prints its CPU seconds and the peak in MB, this process and its children."""
    from labelwright.tasks.context import CampaignContext
    from labelwright.tasks.export.files import write_files
    from labelwright.tasks.export.labels import delivered

    context = CampaignContext(TITLE)
    labels = delivered(context) if job in ("validation", "statistics") else None

    def write(*names: str) -> Callable[[], object]:
        return lambda: write_many(names, delivered(context), SCHEMA, title=TITLE, folder=out)

    jobs: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        ALL: lambda: write_files.fn(TITLE),
        THREE: write(*FILES),
        "validation": lambda: validate_labels(labels, SCHEMA, expected_done=images),
        "statistics": lambda: count(labels, SCHEMA),
        "labels joined with the manifest": lambda: [None for _ in delivered(context).batches()],
        **{f"only {name}": write(name) for name in FILES},
    }
    start = time.process_time()
    jobs[job]()
    print(json.dumps([time.process_time() - start, peak_megabytes()]))


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


def run_child(job: str, home: Path, arguments: argparse.Namespace) -> tuple[float, float]:
    out = home / "out"
    for old in out.glob("*"):
        old.unlink()  # an export writes new files
    command = [sys.executable, __file__, "--child", job, "--home", str(home)]
    sizes = ["--images", str(arguments.images), "--boxes", str(arguments.boxes)]
    completed = subprocess.run([*command, *sizes], check=True, capture_output=True, text=True)
    seconds, megabytes = json.loads(completed.stdout.splitlines()[-1])
    return seconds, megabytes


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        os.environ["LABELWRIGHT_HOME"] = str(arguments.home)
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
        if arguments.child == "make":
            make_campaign(arguments.images, arguments.boxes)
            print("[0, 0]")
        else:
            run_job(arguments.child, arguments.home / "out", arguments.images)
        return

    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        run_child("make", home, arguments)
        jobs = ("nothing", ALL, THREE, *(f"only {name}" for name in FILES))
        jobs += ("labels joined with the manifest", "validation", "statistics")
        # Memory first: a child that is started by a large process inherits its peak.
        peaks = {job: run_child(job, home, arguments)[1] for job in jobs}
        (written,) = home.rglob("delivery/labels/bench_coco.json")
        structure = orjson.loads(written.read_bytes())
        assert len(structure["images"]) == arguments.images
        assert len(structure["annotations"]) == arguments.images * arguments.boxes
        folder = written.parent.parent
        sizes = {path.relative_to(folder).as_posix(): path.stat().st_size / 1e6 for path in sorted(folder.rglob("*.*"))}
        runs: dict[str, list[float]] = {job: [] for job in jobs}
        baselines = []
        for _ in range(arguments.rounds):
            for job, seconds_of_runs in runs.items():
                seconds_of_runs.append(run_child(job, home, arguments)[0])
                baselines.append(cpu_seconds(lambda: orjson.dumps(structure)))
        with Path(temporary, "slow.json").open("w") as file:
            json_dump_seconds = cpu_seconds(lambda: json.dump(structure, file))

    baseline = median(baselines)
    print(f"{arguments.images:,} images, {arguments.images * arguments.boxes:,} boxes")
    print("files: " + ", ".join(f"{name} {size:.0f} MB" for name, size in sizes.items()))
    print(f"{'one orjson.dumps of the COCO structure':42}{baseline:7.3f} s     1.0 x")
    print(f"{'json.dump of it to a file':42}{json_dump_seconds:7.3f} s {json_dump_seconds / baseline:7.1f} x")
    for job, seconds_of_runs in runs.items():
        seconds, best = median(seconds_of_runs), min(seconds_of_runs) / baseline
        print(f"{job:42}{seconds:7.3f} s {seconds / baseline:7.1f} x (best {best:.1f})   {peaks[job]:5.0f} MB peak")
    values = [(job, median(runs[job]) / baseline, limit) for job, limit in MAX_RATIOS.items()]
    for name, value, limit in (*values, ("peak MB", peaks[ALL], MAX_MEGABYTES)):
        print(f"{name} at most {limit:g}: {value:.2f}, {'reached' if value <= limit else 'NOT reached'}")


if __name__ == "__main__":
    main()
