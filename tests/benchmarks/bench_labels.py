"""Reads the labels of 100,000 images from the embedded service into the spool, beside bare paging by `requests`.

    python tests/benchmarks/bench_labels.py [--images 100000] [--boxes 10] [--rounds 3]

Ours are the tasks of an export, as plain functions and one after the other: pages are parsed, checked field by field,
their shapes cut to the images, and kept on disk (fsync). The bare client gets the same pages, one after the other, over
one connection, and parses them by `response.json()`; the second one does not parse them. The service is a process of
its own.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import orjson
import requests
from bench_service import campaign, fill

AIM = 2.0
TITLE = "labels"


def put_objects(folder: Path, number: int, images: int, boxes: int) -> None:
    """Labels for every image, written as rows, as if a labeler had submitted them."""
    from sqlalchemy import bindparam, update

    from labelwright.service.database import Database, campaign_images, campaigns, now

    chance, rows = random.Random(20261129), Database(folder, None)
    change = update(campaign_images).where(
        campaign_images.c.campaign_id == number, campaign_images.c.image_id == bindparam("image")
    )
    change = change.values(objects=bindparam("text"), done=True, date_labeled=now(), labeled_by="ann@example.com")
    with rows.write() as connection:
        for start in range(1, images + 1, 1000):
            connection.execute(
                change,
                [
                    {"image": image, "text": orjson.dumps([box(chance) for _ in range(boxes)]).decode()}
                    for image in range(start, min(start + 1000, images + 1))
                ],
            )
        done = update(campaigns).where(campaigns.c.id == number).values(done=images, status="completed")
        connection.execute(done)
    rows.close()


def box(chance: random.Random) -> dict[str, object]:
    x, y = round(chance.uniform(0, 600), 2), round(chance.uniform(0, 440), 2)
    corners = {"xmin": x, "xmax": round(chance.uniform(x + 1, 640), 2), "ymin": y}
    corners["ymax"] = round(chance.uniform(y + 1, 480), 2)
    return {"label": chance.choice(["Plastic", "Glass", "Wood"]), "confidence": 1.0, "bounding_box": corners}


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABELWRIGHT_HOME"] = folder
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
        from labelwright.local.servers import start_service

        (Path(folder) / "service").mkdir(mode=0o700)
        fill(Path(folder) / "service", None, arguments.images)
        service = start_service(Path(folder))
        os.environ["LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL"] = f"{service.url}/api/v1"
        try:
            measure(Path(folder), arguments.images, arguments.boxes, arguments.rounds)
        finally:
            service.stop()


def measure(home: Path, images: int, boxes: int, rounds: int) -> None:
    from labelwright.campaigns.spec import validate_spec
    from labelwright.settings import settings
    from labelwright.tasks.context import CampaignContext
    from labelwright.tasks.export.labels import read_labels_page, spool_of

    connection = settings().connection("campaign_api")
    assert connection.url is not None
    assert connection.key is not None
    assert connection.secret is not None
    headers = {
        "Authentication-Key": connection.key.get_secret_value(),
        "Authentication-Secret": connection.secret.get_secret_value(),
    }
    session = requests.Session()
    session.headers.update(headers)
    session.trust_env = False

    def ask(method: str, path: str, body: object = None) -> dict[str, object]:
        response = session.request(method, f"{connection.url}{path.removeprefix('/api/v1')}", json=body, timeout=600)
        response.raise_for_status()
        return dict(response.json()) if response.content.startswith(b"{") else {}

    number = campaign(ask, TITLE, list(range(1, images + 1)))  # type: ignore[arg-type]
    put_objects(home / "service", number, images, boxes)
    document = {"title": TITLE, "images": {"folder": str(home)}, "labels": ["Plastic", "Glass", "Wood"]}
    context = CampaignContext(TITLE)
    spec = validate_spec(document | {"labeler": "ann@example.com", "export": {"folder": str(home / "d")}}, "bench")
    context.ledger.campaigns.add(TITLE, spec.model_dump(mode="json"))
    context.ledger.campaigns.record_remote_campaign(TITLE, str(number))

    def ours() -> None:
        page, cursors = 1, read_labels_page.fn(TITLE, 1, None)
        while cursors:
            page += 1
            cursors = read_labels_page.fn(TITLE, page, cursors[0])
        assert sum(1 for page in spool_of(context).pages() for _ in spool_of(context).names(page)) == images

    def bare(parse: Callable[[requests.Response], object]) -> None:
        for page in range(1, -(-images // 1000) + 1):
            url = f"{connection.url}/campaigns/{number}/objects"
            response = session.get(url, params={"page": page, "per_page": 1000}, timeout=600)
            response.raise_for_status()
            parse(response)

    ways: dict[str, Callable[[], object]] = {
        "ours": ours,
        "requests, response.json()": lambda: bare(lambda response: response.json()),
        "requests, not parsed": lambda: bare(lambda response: response.content),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for way in ways.values():
        way()  # once to warm up
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(timed(way))
    medians = {name: [median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()}
    print(f"labels of {images:,} images with {boxes} boxes each, median of {rounds} rounds")
    for name, (wall, cpu) in medians.items():
        ratios = [ours / theirs for ours, theirs in zip(medians["ours"], (wall, cpu), strict=True)]
        print(f"{name:28} {wall:7.2f} s, CPU {cpu:7.2f} s   ours / this: {ratios[0]:5.2f}, CPU {ratios[1]:5.2f}")
    peer = medians["requests, response.json()"]
    for what, ours_, theirs in zip(("wall", "CPU"), medians["ours"], peer, strict=True):
        ratio = ours_ / theirs
        print(
            f"{what} at most {AIM:g} times response.json(): {ratio:.2f}, {'reached' if ratio <= AIM else 'NOT reached'}"
        )


if __name__ == "__main__":
    main()
