"""Formats for training and the comparison of versions, beside Datumaro in an environment of its own.

CPU seconds, user and system, of one process after its imports. Datumaro gets a part of the images, and its time is
scaled to all of them: it needs hours for 100,000 images. Both write a file for each image, for which the system takes
its time; the third figure is a loop that creates such files and does nothing else. TMPDIR chooses the file system.

    TMPDIR=/dev/shm python tests/benchmarks/bench_deliveries.py [--images 100000] [--peer-images 2000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

OBJECTS = 10
"""Of an image."""
FORMATS = {"coco": "coco_instances", "yolo": "yolo_ultralytics", "voc": "voc_detection"}
"""Ours, and Datumaro's exporters of the same."""
VALIDATION = 10
"""Every how many-th image is in the second part of the split."""
AIM_OF_FORMATS, AIM_SECONDS, AIM_MEGABYTES = 10.0, 30.0, 400

OURS = """
import resource, sys, time
from pathlib import Path
from labelwright.datasets.comparison.diff import compare
from labelwright.datasets.comparison.labels import read_columns
started = time.process_time()
hashes = {number: f"{number:064x}" for number in range(1, int(sys.argv[3]) + 1)}
result = compare(*(read_columns(Path(path), hashes) for path in sys.argv[1:3]))
print(time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result.objects.total())
"""

PEER = """
import sys, time
from datumaro import Dataset
from datumaro.components.comparator import DistanceComparator
started = time.process_time()
first, second = (Dataset.import_from(folder, "coco_instances") for folder in sys.argv[1:3])
comparator = DistanceComparator(iou_threshold=0.5)
for item in first:
    comparator.match_boxes(item, second.get(item.id, item.subset))
print(time.process_time() - started)
for exporter in sys.argv[4:]:
    started = time.process_time()
    first.export(f"{sys.argv[3]}-{exporter}", exporter, save_media=False)
    print(time.process_time() - started)
"""

WRITING = """
import os, sys, time
from pathlib import Path
from labelwright.datasets import Split, Spool, StockedImage, write_file
from labelwright.domain import Annotation, Box, Geometry, Label, LabeledImage, LabelSchema, Size
folder, count = Path(sys.argv[1]), int(sys.argv[2])
size, schema = Size(1920, 1080), LabelSchema((Label("boat", Geometry.BOX), Label("buoy", Geometry.BOX)))
spool, page = Spool(folder / "spool"), 1000
for first in range(0, count, page):
    images = [LabeledImage(f"{n:06d}.jpg", size, tuple(
        Annotation("boat" if k % 2 else "buoy", Box(10.0 * k, 5.5, 10.0 * k + 90, 77.25)) for k in range(10)
    )) for n in range(first, min(first + page, count))]
    spool.put_page(first // page + 1, images)
stock = [StockedImage(n + 1, f"{n:06d}.jpg", size, f"{n:064x}", f"file:///{n:06d}.jpg") for n in range(count)]
split = Split(train=90, validation=10)
for name in sys.argv[3:]:
    started = time.process_time()
    write_file(name, spool.delivered(stock), schema, title="t", folder=folder / name, split=split)
    print(time.process_time() - started)
(folder / "bare").mkdir()
directory, started = os.open(folder / "bare", os.O_RDONLY), time.process_time()
for n in range(count):
    file = os.open(f"{n:06d}.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=directory)
    os.write(file, b"0 0.5 0.5 0.25 0.25\\n" * 10)
    os.close(file)
print(time.process_time() - started)
"""


def write_versions(folder: Path, images: int) -> None:
    """Two versions as CSV and COCO: in the second one the objects of 5 % of the images moved by three pixels."""
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 900, (images * OBJECTS, 2)).round(2)
    corners = np.hstack([low, low + rng.uniform(10, 100, low.shape).round(2)]).round(2)
    labels = rng.integers(0, 2, len(corners))
    moved = np.repeat(rng.random(images) < 0.05, OBJECTS)
    columns = (
        "image_id,file_name,image_width,image_height,label,confidence,xmin,ymin,xmax,ymax,polygon,attributes,labeler"
    )
    for name, boxes in (("first", corners), ("second", np.where(moved[:, None], corners + 3, corners).round(2))):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            file.write(columns + "\r\n")
            for place, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
                image, label = place // OBJECTS, ("boat", "buoy")[labels[place]]
                file.write(f"{image + 1},{image:06d}.jpg,1920,1080,{label},1.0,{x1},{y1},{x2},{y2},,,ann@x.y\r\n")


def write_coco(folder: Path, csv: Path, images: int) -> None:
    """The first images of a CSV as Datumaro's folder of COCO."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    annotations: dict[str, list[dict[str, object]]] = {"train": [], "val": []}
    with csv.open() as file:
        next(file)
        for number, line in enumerate(file):
            if number == images * OBJECTS:
                break
            cells = line.split(",")
            x1, y1, x2, y2 = map(float, cells[6:10])
            annotations[_part(number // OBJECTS)].append(
                {
                    "id": number + 1, "image_id": int(cells[0]), "category_id": 1 + (cells[4] == "buoy"),
                    "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0, "segmentation": [],
                }
            )  # fmt: skip
    for part, objects in annotations.items():
        document = {
            "images": [
                {"id": n + 1, "file_name": f"{n:06d}.jpg", "width": 1920, "height": 1080}
                for n in range(images)
                if _part(n) == part
            ],
            "categories": [{"id": 1, "name": "boat"}, {"id": 2, "name": "buoy"}],
            "annotations": objects,
        }
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(document))


def _part(image: int) -> str:
    return "train" if image % VALIDATION else "val"


def numbers(python: str | Path, script: str, *arguments: object) -> list[float]:
    """What a script prints."""
    command = [str(python), "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=3600)
    return [float(text) for text in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--peer-images", type=int, default=2000)
    chosen = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.sdk_environments import python_with

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        peer = python_with("datumaro-1.13.12", "datumaro==1.13.12", folder / "environments")
        write_versions(folder, chosen.images)
        seconds, megabytes, objects = numbers(
            sys.executable, OURS, folder / "first.csv", folder / "second.csv", chosen.images
        )
        for name in ("first", "second"):
            write_coco(folder / f"coco-{name}", folder / f"{name}.csv", chosen.peer_images)
        scale = chosen.images / chosen.peer_images
        peer_diff, *theirs = (
            part * scale
            for part in numbers(
                peer, PEER, folder / "coco-first", folder / "coco-second", folder / "peer", *FORMATS.values()
            )
        )
        *ours, bare = (
            part * scale for part in numbers(sys.executable, WRITING, folder / "ours", chosen.peer_images, *FORMATS)
        )
    size = f"{chosen.images:,} images, {int(objects):,} objects"
    reached = seconds <= AIM_SECONDS and megabytes <= AIM_MEGABYTES
    print(
        f"comparison of {size}: {seconds:.1f} s of CPU, {megabytes:.0f} MB "
        f"({'reached' if reached else 'NOT reached'}: {AIM_SECONDS:.0f} s, {AIM_MEGABYTES} MB); "
        f"Datumaro {peer_diff:.0f} s, {peer_diff / seconds:.0f} times"
    )
    for name, our_seconds, peer_seconds in zip(FORMATS, ours, theirs, strict=True):
        ratio = peer_seconds / our_seconds
        print(
            f"{name} of {size}: {our_seconds:.1f} s of CPU; Datumaro {peer_seconds:.0f} s, {ratio:.1f} times "
            f"({'reached' if ratio >= AIM_OF_FORMATS else 'NOT reached'}: {AIM_OF_FORMATS:.0f} times); "
            f"creating a file for each image and nothing else {bare:.1f} s, {our_seconds / bare:.1f} times"
        )


if __name__ == "__main__":
    main()
