"""Measures backup and restore of a project of 10,000 annotated images, against a fake server on this machine.

    python tests/benchmarks/bench_backup.py [--images 10000] [--threads 8] [--version 1.1.0]

The server runs in a process of its own and stores its images on disk. Backup and restore run in other processes, whose
peak memory is measured with a tenth of the images and with all of them, to see whether it grows with the project. For
comparison, a plain loop downloads the same images over one connection.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import requests
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from labelwright.platforms.geti.backup import restore as geti_restore
from labelwright.platforms.geti.backup import save as geti_backup
from labelwright.platforms.geti.backup import verify
from labelwright.platforms.geti.backup.folder import NativeBackup
from labelwright.platforms.geti.backup.journal import Journal
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.session import GetiSession
from tests.benchmarks.bench_export import peak_megabytes
from tests.platforms.geti.harness import credential
from tests.platforms.geti.server import GetiServer

AIM_GROWTH = 15.0
"""Megabytes by which the peak may grow from a tenth of the images to all."""


def serve(version: str, folder: Path, images: int) -> None:
    """Runs the fake server with a project of that many images; prints its address and the project's id."""
    server = GetiServer(version, folder=folder)
    server.keeps_requests = False
    body = {
        "name": "bench",
        "pipeline": {
            "connections": [{"from": "Dataset", "to": "Detection task"}],
            "tasks": [
                {"title": "Dataset", "task_type": "dataset"},
                {"title": "Detection task", "task_type": "detection", "labels": [{"name": "dog"}]},
            ],
        },
    }
    project = server.projects[server.create_project(body)["id"]]
    project.status_requests = 1
    (dataset,) = project.datasets
    label = project.trained[0]["labels"][0]["id"]
    shape = {"type": "RECTANGLE", "x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}
    for number in range(images):
        buffer = BytesIO()
        Image.new("RGB", (64, 64), (number % 256, number // 256 % 256, 7)).save(buffer, "JPEG")
        data = buffer.getvalue() + b"\0" * 20_000  # the size of a small photograph
        uploaded = server.upload(project, dataset, "image", f"photo-{number:05d}.jpg", data)
        scale = 64 if server.modern else 1
        pixels = {name: value * scale if name != "type" else value for name, value in shape.items()}
        medium = project.media[dataset][uploaded["id"]]
        identifier = {"type": "image", "image_id": medium.id}
        annotation = {"labels": [{"id": label, "probability": 1.0}], "shape": pixels}
        server.annotate(project, medium, None, {"media_identifier": identifier, "annotations": [annotation] * 3})
    print(json.dumps([server.url, project.id]), flush=True)
    server.http.serve_forever()


def connect_client(url: str, version: str) -> GetiClient:
    return GetiClient(GetiSession(url, *credential(GetiServer(version))))


def work(job: str, url: str, version: str, project: str, folder: Path, threads: int) -> None:
    """Runs one job in this process; prints its seconds, its peak memory and the number of media."""
    client = connect_client(url, version)
    start, handled = time.perf_counter(), 0
    if job == "backup":
        pages = 0
        for dataset, kind in geti_backup.begin(client, project, folder):
            cursor, more = "", True
            while more:
                saved, cursor = geti_backup.save_page(
                    client, project, folder, dataset, kind, pages + 1, cursor, threads
                )
                more, pages, handled = bool(cursor), pages + bool(saved), handled + saved
        geti_backup.end(folder, pages)
    elif job == "compare":
        for page in NativeBackup(folder).pages():
            report = verify.compare_saved_page(client, project, folder, page, threads)
            assert report.differences == []
        assert verify.compare_saved_project(client, project, folder).differences == []
    elif job == "restore":
        backup, journal = NativeBackup(folder), Journal(folder.with_name(f"{folder.name}-journal"))
        restored = geti_restore.begin(client, backup, f"restored {folder.name}", journal)
        for page in backup.pages():
            handled += geti_restore.restore_page(client, backup, page, restored, journal, threads)
        geti_restore.end(client, backup, restored)
    elif job == "nothing":
        client.connect_platform()
    print(json.dumps([time.perf_counter() - start, peak_megabytes(), handled]))


def bare(url: str, version: str, project: str, images: int) -> float:
    """Seconds to download all images with a plain session, one after the other; extrapolated from a tenth."""
    client = connect_client(url, version)
    details = client.project(project)
    session = requests.Session()
    session.trust_env = False
    session.headers.update({"x-api-key": credential(GetiServer(version))[1].value})
    cookies = client.session._login.session or {}
    session.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    paths = [medium.url for medium in list(client.media(details))[: images // 10]]
    start = time.perf_counter()
    for path in paths:
        session.get(url + path, timeout=60).raise_for_status()
        session.get(url + path.removesuffix("/display/full") + "/annotations/latest", timeout=60).raise_for_status()
    return (time.perf_counter() - start) * 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--version", default="1.1.0")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--job", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.version, arguments.serve, arguments.images)
        return
    if arguments.job:
        job, url, project, folder = arguments.job
        work(job, url, arguments.version, project, Path(folder), arguments.threads)
        return

    def run(job: str, url: str, project: str, folder: Path) -> tuple[float, float, int]:
        command = [sys.executable, __file__, "--version", arguments.version, "--threads", str(arguments.threads)]
        completed = subprocess.run([*command, "--job", job, url, project, str(folder)], capture_output=True, text=True)
        if completed.returncode:
            sys.exit(completed.stderr)
        seconds, megabytes, handled = json.loads(completed.stdout)
        return seconds, megabytes, handled

    peaks: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for images in (arguments.images // 10, arguments.images):
            kept = Path(temporary) / f"server-{images}"
            kept.mkdir()
            command = [sys.executable, __file__, "--version", arguments.version, "--images", str(images)]
            server = subprocess.Popen([*command, "--serve", str(kept)], stdout=subprocess.PIPE, text=True)
            try:
                assert server.stdout is not None
                url, project = json.loads(server.stdout.readline())
                plain = bare(url, arguments.version, project, images)
                print(f"{images} images, {arguments.threads} requests at a time, SC or Geti {arguments.version}")
                print(f"{'bare downloads, one at a time':34}{plain:8.1f} s     1.0 x")
                for job in ("nothing", "backup", "compare", "restore"):
                    seconds, megabytes, _ = run(job, url, project, Path(temporary) / f"backup-{images}")
                    peaks.setdefault(job, []).append(megabytes)
                    print(f"{job:34}{seconds:8.1f} s {seconds / plain:7.1f} x {megabytes:7.0f} MB peak")
            finally:
                server.terminate()
                server.wait()
    for job, (few, many) in peaks.items():
        if job != "nothing":
            reached = "reached" if many - few < AIM_GROWTH else "NOT reached"
            print(f"aim: {job} grows by less than {AIM_GROWTH:.0f} MB from a tenth to all: {many - few:.0f}, {reached}")


if __name__ == "__main__":
    main()
