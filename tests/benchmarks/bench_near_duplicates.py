"""Near-duplicates: the time of a hash beside the check of its image, and 100,000 hashes put into groups.

Hashes that are all far apart are the worst case: each begins a group, and is compared with all before it. Frames of one
scene all join one group. The peer of the grouping are the same comparisons by numpy alone. CPU seconds of one process.

    python tests/benchmarks/bench_near_duplicates.py [--hashes 100000]
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
from collections.abc import Callable

AIM_SECONDS, AIM_MEGABYTES = 60.0, 400

GROUPING = """
import random, resource, sys, time
from labelwright.domain import Image, Size
from labelwright.ingest import InventoryItem, NearDuplicateSearch
kind, count = sys.argv[1], int(sys.argv[2])
chance, half = random.Random(1), (1 << 32) - 1
def value(number):
    if kind == "frames":
        return half << 32 ^ sum(1 << bit for bit in chance.sample(range(64), 3))
    return sum(1 << bit for bit in chance.sample(range(64), 32))
def items():
    for number in range(count):
        name = f"folder-{number // 1000:04}/photo-{number:08}.jpg"
        image = Image(name, Size(9, 9), 1, f"{number:064x}", f"{number:032x}", "JPEG", perceptual_hash=values[number])
        yield InventoryItem(image, f"/home/somebody/photos/{name}")
values = [value(number) for number in range(count)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
started, near, taken = time.process_time(), NearDuplicateSearch(skip=True), 0
for item in near.check(items()):
    taken += isinstance(item, InventoryItem)
print(time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, taken)
"""

PEER = """
import sys, time
import numpy as np
count = int(sys.argv[1])
values = np.random.default_rng(1).integers(0, 2**63, count, dtype=np.uint64)
started = time.process_time()
for number in range(1, count):
    np.bitwise_count(values[:number] ^ values[number]).min()
print(time.process_time() - started)
"""


def run(program: str, *arguments: object) -> list[float]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(word) for word in printed.split()]


def compare_groupings(count: int) -> None:
    (peer,) = run(PEER, count)
    for kind, what in (("different", "all different"), ("frames", "frames of one scene")):
        seconds, megabytes, taken = run(GROUPING, kind, count)
        reached = seconds < AIM_SECONDS and megabytes < AIM_MEGABYTES
        print(
            f"{count:,} hashes, {what}: {seconds:.1f} s of CPU, {seconds / peer:.2f} times numpy alone ({peer:.1f} s), "
            f"{megabytes:.0f} MB at the peak, {taken:,.0f} images taken "
            f"(aim {AIM_SECONDS:g} s, {AIM_MEGABYTES} MB: {'reached' if reached else 'not reached'})"
        )


def compare_checks() -> None:
    from PIL import Image

    from labelwright.demo.photographs import photo_folder
    from labelwright.ingest import Limits, SourceFile, check_image

    def shortest(limits: Limits, data: bytes) -> float:
        return 1000 * min(_timed(lambda: check_image(file, io.BytesIO(data), limits)) for _ in range(100))

    noise, small = Image.effect_noise((320, 240), 16).convert("RGB"), io.BytesIO()
    noise.save(small, "JPEG", quality=70)
    photograph = max(photo_folder().glob("*.jpg"), key=lambda path: path.stat().st_size)
    as_png = io.BytesIO()
    with Image.open(photograph) as opened:
        opened.save(as_png, "PNG")
    file = SourceFile("a", "a")
    for what, data in (
        ("JPEG as in bench_launch", small.getvalue()),
        ("JPEG, a photograph", photograph.read_bytes()),
        ("PNG of it", as_png.getvalue()),
    ):
        plain, hashed = shortest(Limits(), data), shortest(Limits(perceptual_hash=True), data)
        print(f"{what}, {len(data) / 1000:,.0f} kB: checked in {plain:.2f} ms, {hashed:.2f} with its perceptual hash")


def _timed(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hashes", type=int, default=100_000)
    count = parser.parse_args().hashes
    compare_checks()
    compare_groupings(count)


if __name__ == "__main__":
    main()
