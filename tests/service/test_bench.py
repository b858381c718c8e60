"""How fast it is: `python -m pytest tests/service/test_bench.py -m bench -s`. Ratios are to a bare Starlette route."""

from __future__ import annotations

import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

pytestmark = pytest.mark.bench

SERVER = """
import socket, sys, threading, uvicorn
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from labelwright.service import ServiceConfig
from labelwright.service.run import serve

async def bare(request):
    await request.json()
    return JSONResponse("ok")

listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listening.bind(("127.0.0.1", 0))
listening.listen()
app = Starlette(routes=[Route("/bare", bare, methods=["PUT"])])
server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
threading.Thread(target=server.run, args=([listening],), daemon=True).start()
config = ServiceConfig(Path(sys.argv[1]), admin_key="K", admin_secret="S")
serve(config, lambda url: print(url, listening.getsockname()[1], os_pid(), flush=True))
""".replace("os_pid()", "__import__('os').getpid()")

IMAGES, CLIENTS = 2000, 8


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    command = [sys.executable, "-c", SERVER, str(tmp_path_factory.mktemp("bench"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url, bare, pid = process.stdout.readline().split()
    session = requests.Session()
    session.headers.update({"Authentication-Key": "K", "Authentication-Secret": "S"})
    yield session, url, f"http://127.0.0.1:{bare}/bare", int(pid)
    process.terminate()
    process.wait()
    process.stdout.close()


def photo():
    target = io.BytesIO()
    Image.effect_noise((400, 300), 100).convert("RGB").save(target, "JPEG", quality=90)
    return target.getvalue().ljust(100_000, b"\0")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def test_uploads_sealing_and_objects(running):
    session, url, bare, pid = running
    api, data = f"{url}/api/v1", photo()
    made = session.post(f"{api}/image_sets", json={"title": "bench"}).json()
    dropbox = urlsplit(made["dropbox_url"])

    def upload(first):
        connection = http.client.HTTPConnection(dropbox.hostname, dropbox.port)
        headers = {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*", "Content-Type": "image/jpeg"}
        for number in range(first, IMAGES, CLIENTS):
            connection.request("PUT", f"{dropbox.path}/{number:05}.jpg?{dropbox.query}", data, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201
        connection.close()

    before, start = cpu_seconds(pid), time.perf_counter()
    threads = [threading.Thread(target=upload, args=(first,)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - start, cpu_seconds(pid) - before
    print(
        f"\nuploads of {len(data)} bytes: {IMAGES / wall:.0f} a second, {IMAGES / cpu:.0f} a second of the server's CPU"
    )
    assert IMAGES / cpu > 400

    start = time.perf_counter()
    session.put(f"{api}/image_sets/1", json={"new_status": "finished"})
    while session.get(f"{api}/image_sets/1").json()["status"] != "finished":
        time.sleep(0.05)
    print(f"sealing {IMAGES} images: {time.perf_counter() - start:.1f} s")

    session.post(f"{api}/campaigns", json={"title": "bench", "labeler_email": "a@example.com"})
    session.post(f"{api}/campaigns/1/images", json=[{"id": number} for number in range(1, 102)])
    session.put(f"{api}/campaigns/1", json={"new_status": "active"})
    box = {"xmin": 1.5, "xmax": 100.25, "ymin": 2, "ymax": 77.125}
    objects = [{"label": "Plastic", "confidence": 0.5, "bounding_box": box}] * 10
    body = json.dumps([{"image_id": number, "objects": objects} for number in range(1, 101)])
    ratio = timed(session, f"{api}/campaigns/1/objects", body) / timed(session, bare, body)
    print(f"put of 100 images x 10 objects: {ratio:.1f} times a bare route")
    assert ratio < 15


def timed(session, url, body):
    def once():
        start = time.perf_counter()
        answer = session.put(url, data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - start

    return statistics.median(once() for _ in range(30))


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(running):
    session, url, _, _ = running
    times = []
    for _ in range(20):
        start = time.perf_counter()
        session.get(f"{url}/api/v1/image_sets")
        times.append(time.perf_counter() - start)
    print(f"\na small call: {statistics.median(times) * 1000:.1f} ms")
    assert statistics.median(times) < 0.03, "Nagle's algorithm is on: some 40 ms a call"
