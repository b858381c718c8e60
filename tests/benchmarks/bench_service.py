"""The embedded service against bare Starlette routes on the same machine, which do nothing but the least.

    python tests/benchmarks/bench_service.py [--rounds 20] [--listed 100000] [--sealed 2000] [--database URL]

put       PUT objects of 100 images x 10 objects. The bare route reads the body, parses it with the standard library,
          and answers "ok".
list      a page of 1,000 of 100,000 images. The bare route answers 1,000 such images out of its memory.
seal      2,000 JPEG files of 640 x 480. The bare route decodes the same files with as many threads, and does no more.
labelers  8 at once, each putting one image after the other. The bare route takes the same requests from 8 at once.

Service and peer are each a process of their own, alternating in every round, so that noise hits both alike.
"""

from __future__ import annotations

import argparse
import io
import json
import random
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

import requests
from PIL import Image as Pillow
from PIL import ImageFilter

KEY, SECRET = "admin-of-the-benchmark", "a secret of the benchmark"
THREADS, LABELERS, PUTS_EACH = 4, 8, 25
PER_PAGE = 1_000


def serve_service(folder: Path, database: str | None) -> None:
    from labelwright.service import ServiceConfig
    from labelwright.service.run import serve

    config = ServiceConfig(folder, admin_key=KEY, admin_secret=SECRET, database_url=database, sealing_threads=THREADS)
    serve(config, lambda url: print(url, flush=True))


def serve_peer(folder: Path) -> None:
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    page = {"images": [image_row(number) for number in range(PER_PAGE)], "pagination": {"total": PER_PAGE}}

    async def put(request: Request) -> JSONResponse:
        json.loads(await request.body())
        return JSONResponse("ok")

    async def listed(_request: Request) -> JSONResponse:
        return JSONResponse(page)

    def decode(path: Path) -> None:
        with Pillow.open(path) as image:
            image.load()

    def decode_all() -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(decode, sorted(folder.glob("*.jpg"))))

    async def decoded(_request: Request) -> JSONResponse:
        await run_in_threadpool(decode_all)
        return JSONResponse("ok")

    routes = [Route("/put", put, methods=["PUT"]), Route("/list", listed), Route("/decode", decoded)]
    # The protocol is named, or the bare route would wait 40 ms for an acknowledgement with every answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(Starlette(routes=routes), access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[listening])


def image_row(number: int) -> dict[str, Any]:
    return {
        "blobstorage_path": f"extra-images/uploads/many/{number:06}.jpg",
        "date_taken": None,
        "file": {"dimensions": {"height": 480, "width": 640}, "filesize": 100_000, "filetype": "JPEG"},
        "image_id": number,
        "imageset": {"imageset_id": 1, "title": "many"},
        "location": {"description": None, "lat": None, "lon": None},
        "metadata": None,
        "tss_id": None,
        "type": None,
    }


@contextmanager
def process(*arguments: str) -> Iterator[str]:
    """Its address."""
    started = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        address = started.stdout.readline().strip()
        if not address:
            raise RuntimeError(f"{arguments[0]} did not start")
        yield address
    finally:
        started.terminate()
        started.wait(30)


class Client:
    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers.update({"Authentication-Key": KEY, "Authentication-Secret": SECRET})

    def __call__(self, method: str, path: str, body: Any = None, data: bytes | None = None) -> Any:
        response = self._session.request(method, f"{self.url}{path}", json=body, data=data, timeout=120)
        response.raise_for_status()
        return response.json()


def fill(folder: Path, database: str | None, count: int) -> None:
    """A sealed set of so many images, written as rows."""
    from sqlalchemy import insert

    from labelwright.service.database import Database, image_sets, images, now

    rows = Database(folder, database)
    with rows.write() as connection:
        values = {"title": "many", "status": "finished", "container": "dropbox-many", "created_by": "a@b"}
        more = {"date_created": now(), "date_finished": now(), "image_count": count}
        image_set = connection.execute(insert(image_sets).values(**values, **more)).inserted_primary_key
        assert image_set is not None
        image = {"imageset_id": image_set[0], "width": 640, "height": 480, "filesize": 100_000, "filetype": "JPEG"}
        for start in range(0, count, 10_000):
            values_of_images = [
                {"id": n, "position": n, "file_name": f"{n:06}.jpg", "blob": f"uploads/many/{n:06}.jpg", **image}
                for n in range(start + 1, min(start + 10_000, count) + 1)
            ]
            connection.execute(insert(images), values_of_images)
    rows.close()


def campaign(service: Client, title: str, ids: list[int]) -> int:
    order = {"title": title, "metadata": None, "labeler_email": f"{title}@example.com"}
    campaign_id = service("POST", "/api/v1/campaigns", order)["campaign_id"]
    service("POST", f"/api/v1/campaigns/{campaign_id}/images", [{"id": image} for image in ids])
    service("PUT", f"/api/v1/campaigns/{campaign_id}", {"new_status": "active"})
    return int(campaign_id)


def body_of(ids: list[int]) -> bytes:
    box = {"xmin": 1.5, "xmax": 300.25, "ymin": 2, "ymax": 400}
    objects = [{"label": "Plastic", "confidence": 0.93, "bounding_box": box}] * 10
    return json.dumps([{"image_id": image, "objects": objects} for image in ids]).encode()


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(rounds: int, **ways: Callable[[], Any]) -> dict[str, float]:
    """Medians of seconds."""
    for way in ways.values():
        way()  # once to warm up
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds(way))
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def report(what: str, ours: float, bare: float, note: str = "") -> None:
    print(f"{what:34} {ours * 1000:9.1f} ms {bare * 1000:9.1f} ms   {ours / bare:6.2f} times the bare route {note}")


def bench_put(service: Client, peer: Client, rounds: int) -> None:
    number = campaign(service, "put", list(range(1, 102)))  # one is never labeled: it is never completed
    body, path = body_of(list(range(1, 101))), f"/api/v1/campaigns/{number}/objects"
    medians = in_turn(rounds, ours=lambda: service("PUT", path, data=body), bare=lambda: peer("PUT", "/put", data=body))
    report("put 100 images x 10 objects", medians["ours"], medians["bare"])


def bench_list(service: Client, peer: Client, rounds: int, count: int) -> None:
    last = -(-count // PER_PAGE)
    page = f"/api/v1/images?per_page={PER_PAGE}&page="
    medians = in_turn(
        rounds,
        first=lambda: service("GET", f"{page}1"),
        last=lambda: service("GET", f"{page}{last}"),
        bare=lambda: peer("GET", "/list"),
    )
    report(f"list {count}, the first page", medians["first"], medians["bare"])
    ratio = medians["last"] / medians["first"]
    verdict = "reached" if ratio <= 3 else "not reached"
    report(
        f"list {count}, the last page",
        medians["last"],
        medians["bare"],
        f"({ratio:.2f} times the first; aim 3: {verdict})",
    )

    def all_pages() -> None:
        ids = [image["image_id"] for n in range(1, last + 1) for image in service("GET", f"{page}{n}")["images"]]
        assert ids == list(range(1, count + 1))

    print(f"{'all pages, one after the other':34} {seconds(all_pages):9.2f} s")


def make_photos(folder: Path, count: int) -> None:
    """Blurred noise, as hard to decode as a photograph; fifty different ones, each under many names."""
    dice = random.Random(1)
    folder.mkdir()
    different = []
    for _ in range(50):
        noise = Pillow.frombytes("RGB", (640, 480), dice.randbytes(640 * 480 * 3))
        file = io.BytesIO()
        noise.filter(ImageFilter.GaussianBlur(1)).save(file, "JPEG", quality=85)
        different.append(file.getvalue())
    for number in range(count):
        (folder / f"{number:05}.jpg").write_bytes(different[number % 50])


def bench_seal(service: Client, peer: Client, photos: Path, count: int) -> None:
    image_set = service("POST", "/api/v1/image_sets", {"title": "sealed", "metadata": None})
    base, _, signature = image_set["dropbox_url"].partition("?")
    sender = requests.Session()
    for path in sorted(photos.glob("*.jpg")):
        response = sender.put(
            f"{base}/{path.name}?{signature}", path.read_bytes(), headers={"x-ms-blob-type": "BlockBlob"}, timeout=60
        )
        response.raise_for_status()
    place = f"/api/v1/image_sets/{image_set['imageset_id']}"

    def seal() -> None:
        service("PUT", place, {"new_status": "finished"})
        while service("GET", place)["status"] != "finished":
            time.sleep(0.05)

    bare = seconds(lambda: peer("GET", "/decode"))
    ours = seconds(seal)
    bare = (bare + seconds(lambda: peer("GET", "/decode"))) / 2
    assert service("GET", place)["image_count"] == count
    report(f"seal {count} images", ours, bare, "that decodes them")


def bench_labelers(service: Client, peer: Client) -> None:
    span = PUTS_EACH + 1
    starts = [1 + span * n for n in range(LABELERS)]
    numbers = [campaign(service, f"l{start}", list(range(start, start + span))) for start in starts]
    faults: list[str] = []

    def label(url: str, path: str, first: int) -> None:
        client = Client(url)
        for image in range(first, first + PUTS_EACH):
            try:
                client("PUT", path, data=body_of([image]))
            except requests.RequestException as error:
                faults.append(str(error))

    def at_once(url: str, paths: list[str]) -> None:
        with ThreadPoolExecutor(LABELERS) as threads:
            list(threads.map(label, [url] * LABELERS, paths, starts))

    bare = seconds(lambda: at_once(peer.url, ["/put"] * LABELERS))
    ours = seconds(lambda: at_once(service.url, [f"/api/v1/campaigns/{number}/objects" for number in numbers]))
    total = LABELERS * PUTS_EACH
    report(f"{LABELERS} labelers, each put", ours / total, bare / total, f"({len(faults)} errors in {total}; aim 0)")
    if faults:
        raise SystemExit(faults[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--listed", type=int, default=100_000)
    parser.add_argument("--sealed", type=int, default=2_000)
    parser.add_argument("--database", help="of Postgres, an empty one; by default SQLite")
    parser.add_argument("--serve", choices=("service", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve == "service":
        serve_service(options.folder, options.database)
        return
    if options.serve == "peer":
        serve_peer(options.folder)
        return
    database_option = ["--database", options.database] if options.database else []
    with tempfile.TemporaryDirectory() as name:
        folder, photos = Path(name) / "data", Path(name) / "photos"
        folder.mkdir()
        make_photos(photos, options.sealed)
        fill(folder, options.database, options.listed)
        with (
            process("--serve", "service", "--folder", str(folder), *database_option) as ours,
            process("--serve", "peer", "--folder", str(photos)) as bare,
        ):
            service, peer = Client(ours), Client(bare)
            print(f"{'':34} {'service':>12} {'bare':>12}")
            bench_put(service, peer, options.rounds)
            bench_list(service, peer, options.rounds, options.listed)
            bench_labelers(service, peer)
            bench_seal(service, peer, photos, options.sealed)


if __name__ == "__main__":
    main()
