"""What a Dask cluster costs a batch of images, and from where on it pays: the same files checked here and by a cluster.

The cluster is on this machine, so it adds no cores: the figures are its price. Small files show the price of a batch,
photographs of 12 megapixels what a batch of them costs without.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from bench_launch import make_photographs
from PIL import Image

WORKERS = 2
BATCH = 20


def make_large(folder: Path, count: int) -> None:
    folder.mkdir()
    noise = Image.effect_noise((1000, 750), 40).resize((4000, 3000)).convert("RGB")
    for number in range(count):
        noise.putpixel((number, 0), (number, 0, 0))
        noise.save(folder / f"large-{number:04}.jpg", quality=88)


def seconds(title: str, folder: Path, home: Path) -> float:
    """For a stocktaking of the folder, into the ledger."""
    from prefect import flow

    from labelwright.campaigns.spec import validate_spec
    from labelwright.tasks.campaign.image_checks import check_images, register_campaign

    document = {
        "title": title,
        "images": {"folder": str(folder)},
        "labels": ["thing"],
        "labeler": "bench@example.com",
        "export": {"folder": str(home / "datasets")},
    }
    spec = validate_spec(document, "bench")

    @flow(name=f"check {title}")
    def check() -> float:
        register_campaign(spec)
        begun = time.perf_counter()
        check_images(title)
        return time.perf_counter() - begun

    return float(check())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--large", type=int, default=100)
    arguments = parser.parse_args()
    from distributed import LocalCluster

    from labelwright.local.servers import LOOPBACK, start_prefect
    from labelwright.settings import forget_settings

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {"LABELWRIGHT_HOME": str(home), "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
        os.environ["LABELWRIGHT_BATCH_SIZE"] = str(BATCH)
        make_photographs(home / "small", arguments.small)
        make_large(home / "large", arguments.large)
        prefect = start_prefect(home)
        os.environ["PREFECT_API_URL"] = f"{prefect.url}/api"
        try:
            here = {kind: seconds(f"{kind} here", home / kind, home) for kind in ("small", "large")}
            with LocalCluster(
                n_workers=WORKERS, threads_per_worker=1, host=LOOPBACK, dashboard_address=None
            ) as cluster:
                os.environ["LABELWRIGHT_DASK_SCHEDULER"] = cluster.scheduler_address
                forget_settings()
                first = seconds("first", home / "large", home)  # its processes import what they need
                without_dask = {kind: seconds(f"{kind} there", home / kind, home) for kind in ("small", "large")}
        finally:
            prefect.stop()
    counts = {"small": arguments.small, "large": arguments.large}
    for kind, count in counts.items():
        print(
            f"{count:,} {kind} files, {BATCH} a batch: {here[kind]:.1f} s by threads, {without_dask[kind]:.1f} s by a "
            f"cluster of {WORKERS} processes on the same cores"
        )
    price = (without_dask["small"] - here["small"]) / (counts["small"] / BATCH)
    work = here["large"] / counts["large"] * 500
    print(f"the first batches, in processes that import everything: {first - without_dask['large']:.1f} s more, once")
    print(f"a batch costs {price * 1000:.0f} ms more; 500 large files are {work:.1f} s here: {price / work:.1%}")


if __name__ == "__main__":
    main()
