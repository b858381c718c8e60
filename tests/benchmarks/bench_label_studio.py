"""The Label Studio adapter against bare `requests` with the same calls, on a real server.

    LABELWRIGHT_SDKS=FOLDER python tests/benchmarks/bench_label_studio.py [--images 2000]

The server is installed into FOLDER if it is not there (1 GB), and started with its data in a temporary folder. Bare
requests upload a hundred files per request, list the files, import the tasks, and read all tasks with their
annotations, each page after the last id of the one before. The adapter looks for what is there, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from labelwright.domain import Label, LabelSchema
from labelwright.platforms.label_studio.adapter import LabelStudio, Options
from labelwright.platforms.label_studio.label_config import label_config
from labelwright.platforms.protocol import CampaignOrder, ImageToSend, Secret
from tests.platforms.contract import to_send
from tests.platforms.label_studio.real_server import VERSION, RealLabelStudio
from tests.sdk_environments import python_with

SCHEMA = LabelSchema((Label("boat"),))
BATCH = 100


class Bare:
    """The same calls with a session of requests."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token, self.session = url, token, requests.Session()
        self.session.trust_env = False
        self.refresh()

    def refresh(self) -> None:
        response = self.session.post(f"{self.url}/api/token/refresh", json={"refresh": self.token})
        self.session.headers["Authorization"] = f"Bearer {response.json()['access']}"

    def call(self, method: str, path: str, **options: Any) -> Any:
        response = self.session.request(method, self.url + path, **options)
        if response.status_code == 401:
            self.refresh()
            response = self.session.request(method, self.url + path, **options)
        response.raise_for_status()
        return response.json()

    def send(self, project: int, images: list[ImageToSend]) -> None:
        path = f"/api/projects/{project}/import"
        files = [(f"f{number}", (f"{item.image.sha256[:24]}.png", item.open())) for number, item in enumerate(images)]
        self.call("POST", path, files=files, params={"commit_to_project": "false"})
        listed = self.call("GET", f"/api/projects/{project}/file-uploads", params={"all": "true"})
        paths = {item["file"].rpartition("-")[2].partition(".")[0]: item["file"] for item in listed}
        tasks = [
            {"data": {"image": f"/data/{paths[item.image.sha256[:24]]}", "lw_name": item.image.name}} for item in images
        ]
        self.call("POST", path, json=tasks, params={"return_task_ids": "true"})

    def read(self, project: int, page_size: int) -> int:
        count, after = 0, 0
        while True:
            items = [{"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}]
            query = json.dumps({"filters": {"conjunction": "and", "items": items}}) if after else ""
            params = {"project": project, "page": 1, "page_size": page_size, "fields": "all", "query": query}
            tasks = self.call("GET", "/api/tasks", params={name: value for name, value in params.items() if value})[
                "tasks"
            ]
            count += len(tasks)
            if len(tasks) < page_size:
                return count
            after = tasks[-1]["id"]


def batches(images: list[ImageToSend]) -> Iterator[list[ImageToSend]]:
    for first in range(0, len(images), BATCH):
        yield images[first : first + BATCH]


def seconds(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    count = parser.parse_args().images
    images = [to_send(f"{number:05}.png") for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        python = python_with("label-studio", f"label-studio=={VERSION}", Path(folder))
        server = RealLabelStudio(python, Path(folder) / "server")
        server.start()
        try:
            compare(server, images)
        finally:
            server.kill()


def compare(server: RealLabelStudio, images: list[ImageToSend]) -> None:
    token = server.personal_access_token()
    adapter, bare = LabelStudio(server.url, Secret(token), Options()), Bare(server.url, token)
    ours = adapter.create_campaign(CampaignOrder("ours", SCHEMA, "a@b.c")).id
    theirs = bare.call("POST", "/api/projects", json={"title": "theirs", "label_config": label_config(SCHEMA)})["id"]
    sent: dict[str, float] = {"ours": 0.0, "bare": 0.0}
    for number, batch in enumerate(batches(images), 1):  # in turn: the server gets slower with its tasks
        sent["bare"] += seconds(lambda batch=batch: bare.send(theirs, batch))
        sent["ours"] += seconds(lambda number=number, batch=batch: adapter.send_images(ours, number, batch))

    def read() -> None:
        cursor, is_first = None, True
        while is_first or cursor is not None:
            is_first, cursor = False, adapter.read_labels(ours, cursor).next

    page_size = adapter.options.labels_page
    read_by = {"bare": seconds(lambda: bare.read(theirs, page_size)), "ours": seconds(read)}
    for what, times in (("sent", sent), ("read", read_by)):
        ratio = times["ours"] / times["bare"]
        print(f"{len(images)} images {what}: {times['ours']:.1f} s, bare {times['bare']:.1f} s, {ratio:.2f} times")


if __name__ == "__main__":
    main()
