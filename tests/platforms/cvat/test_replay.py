"""The fake CVAT server responds to each recorded request with the recorded status and JSON structure.

The traffic in cvat_traffic is of a real 2.15 server and (nx) of one with the requests interface. It is told to the
stand-in in the order in which it was recorded: what a request finds was made by those before it. How far a background
job is when it is looked at depends on the clock; it is brought to where the recording found it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from PIL import Image

from .fake_server.data import end
from .fake_server.server import FakeCvat
from .fake_server.state import Import

TRAFFIC = Path(__file__).parent / "traffic"
ORDER = (
    ("auth2", 1, 99), ("life", 1, 31), ("lifelab", 1, 99), ("life", 32, 99), ("lifeb", 1, 99), ("lifeblab", 1, 99),
    ("org", 1, 34), ("orglab", 1, 3), ("org", 35, 38), ("orglab", 4, 99), ("org", 39, 99), ("tus", 1, 99999),
    ("exp", 1, 99), ("hook", 1, 99),
)  # fmt: skip
WHO = {"lifelab": "labeler1", "lifeblab": "labeler1", "orglab": "labeler1"}


def recorded(scenario: str, first: int = 1, last: int = 99999) -> Iterator[dict[str, Any]]:
    for line in (TRAFFIC / f"{scenario}.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if first <= item["seq"] <= last:
            yield item


class Replay:
    """Sends recorded requests to the fake server, with ids of this run instead of the recorded ones."""

    def __init__(self, cvat: FakeCvat) -> None:
        self.cvat = cvat
        self.uploads: dict[str, str] = {}
        """Ids of TUS uploads: recorded, ours."""

    def send(self, exchange: dict[str, Any]) -> requests.Response:
        recorded_request = exchange["request"]
        self._advance_background_work(exchange)
        body, kind = body_of(recorded_request)
        if exchange["name"] == "login wrong":
            body = json.dumps(recorded_request["body"])
        headers = {
            name: value for name, value in recorded_request["headers"].items() if name not in ("Content-Length", "Host")
        }
        if kind:
            headers["Content-Type"] = kind
        headers |= self._credential(exchange, recorded_request["headers"])
        path = re.sub(r"[0-9a-f-]{36}", lambda match: self.uploads.get(match[0], match[0]), recorded_request["path"])
        query = recorded_request["query"]
        params = parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else list((query or {}).items())
        request = requests.Request(
            recorded_request["method"], self.cvat.url + path, params=params, data=body, headers=headers
        )
        with requests.Session() as session:
            response = session.send(session.prepare_request(request), timeout=60)
        location = exchange["response"]["headers"].get("location", "")
        if "Upload-Length" in recorded_request["headers"] and location:
            self.uploads[location[-36:]] = response.headers["Location"][-36:]
        return response

    def _credential(self, item: dict[str, Any], headers: dict[str, str]) -> dict[str, str]:
        user = self.cvat.state.find_user(WHO.get(item["scenario"], "requester"))
        credentials = {}
        if "Authorization" in headers:
            kind = headers["Authorization"].partition(" ")[0]
            token = "bad" if item["name"] == "self bad token" else user.token
            credentials["Authorization"] = f"{kind} {token}"
        if "Cookie" in headers:
            credentials["Cookie"] = f"csrftoken=x; sessionid={user.name}"
        return credentials

    def _advance_background_work(self, item: dict[str, Any]) -> None:
        """Advances background jobs as far as the recording shows them."""
        recorded_response, path = item["response"], item["request"]["path"]
        body = recorded_response["body"]
        task = re.fullmatch(r"/api/tasks/(\d+)/status|/api/requests/create%3Atask-(\d+)", path)
        status = (body.get("state") or body.get("status")) if isinstance(body, dict) else None
        state = status.lower() if isinstance(status, str) else ""
        if not path.endswith("/status") and "poll" not in item["name"]:
            self._settle_imports(path)
        if task is not None and state:
            self._advance_import(int(task[1] or task[2]), state, body.get("message", ""))
        elif "format" in (item["request"]["query"] or {}) or "/requests/export" in path:
            self.cvat.export_polls = 0
            is_new_export = (
                item["request"]["method"] == "POST" and recorded_response["status"] == 202
            )  # what was before is through
            self.cvat.held = not is_new_export and (recorded_response["status"] in (202, 409) or state == "started")

    def _advance_import(self, number: int, state: str, message: str) -> None:
        task = self.cvat.state.tasks.get(number)
        if task is None or task.work is None:
            return
        self.cvat.held = True
        if state in ("queued", "started"):
            if task.work.message not in ("twice", "remote"):
                task.work = Import(state, message)
            else:
                task.work.state = state
        elif task.work.state in ("queued", "started"):
            if task.work.message not in ("twice", "remote"):
                task.work.message = ""
            end(self.cvat, task)

    def _settle_imports(self, path: str) -> None:
        """What is not looked at goes on, except while the recording deletes a project under an import."""
        self.cvat.held = False
        for task in self.cvat.state.tasks.values():
            looked_at = re.match(rf"/api/tasks/{task.id}(?:$|/data/meta)|/api/jobs", path)
            if looked_at and task.work is not None and task.work.state in ("queued", "started"):
                if task.work.message not in ("twice", "remote"):
                    task.work.message = ""
                end(self.cvat, task)


def body_of(request: dict[str, Any]) -> tuple[Any, str | None]:
    """Rebuilds the body of a recorded request. File contents are generated, since only sizes were recorded."""
    payload = request["body"]
    if payload is None:
        return None, None
    kind = request["headers"].get("Content-Type", "")
    if "multipart" in kind:
        fields = [(name, (None, str(value))) for name, value in (payload["multipart"]["fields"] or {}).items()]
        recorded_files = list(payload["multipart"]["files"])
        for number in range(len(recorded_files), payload["multipart"]["n_files"]):  # only the first six names were kept
            stem, _, rest = recorded_files[0]["filename"].partition("0")
            digits = len(re.findall(r"^0*", rest.partition(".")[0])[0]) + 1 if stem.endswith("_") else 1
            name = f"{stem}{number:0{digits}d}.{recorded_files[0]['filename'].rpartition('.')[2]}"
            recorded_files.append({"field": f"client_files[{number}]", "filename": name})
        files = [
            (item["field"], (item["filename"], content_of(item["filename"]), "image/jpeg")) for item in recorded_files
        ]
        prepared = requests.Request("POST", "http://x/", files=[*fields, *files]).prepare()
        return prepared.body, prepared.headers["Content-Type"]
    if "x-www-form-urlencoded" in kind:
        return payload, None
    if isinstance(payload, dict) and "binary" in payload:
        return b'{"name": ' if "json" in kind else b"x" * payload["binary"], None
    return json.dumps(secrets_for(payload)), None  # told with the recorded Content-Type


def secrets_for(payload: Any) -> Any:
    """Fills in the passwords, which were not recorded."""
    if isinstance(payload, dict) and payload.get("password") == "<redacted>":
        name = payload.get("username") or payload["email"].partition("@")[0]
        return {**payload, "password": f"{name}-password"}
    return payload


def content_of(name: str) -> bytes:
    if name.endswith(".txt"):
        return b"hello"
    if name.startswith("bad"):
        return b"no image at all" * 30
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (len(name), 80, 120)).save(buffer, "JPEG")
    return buffer.getvalue()


def shape_of(value: Any) -> Any:
    """Keys and types of JSON; integers and floats count as one type."""
    if isinstance(value, dict):
        return {key: "when" if key in TIMES else shape_of(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape_of(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value if value is None else bool
    return float if isinstance(value, int | float) else str


def content_of_response(response: requests.Response) -> Any:
    kind = response.headers.get("Content-Type", "")
    if "zip" in kind:
        with zipfile.ZipFile(io.BytesIO(response.content)) as file:
            return {"zip": sorted(file.namelist())}
    if "image/" in kind:
        return {"binary": 1}
    if "json" in kind:
        return response.json()
    return response.text


def expected_content(item: dict[str, Any]) -> Any:
    body = item["response"]["body"]
    return {"zip": sorted(name for name, _ in body["zip"])} if isinstance(body, dict) and "zip" in body else body


TIMES = {"started_date", "finished_date", "expiry_date"}
"""Null until the event, which depends on timing."""

NOT_COMPARED = {
    # What each note of a webhook says depends on what the server looked at just before.
    "deliveries", "deliveries of failing",
    # A truncated image is one here, too; how its bytes are packed is not looked at by anybody.
    "chunk 0 of truncated",
    # The fake server writes fewer formats.
    "formats",
    # Lists of everything that the recording's server held from before.
    "requests list all",
}  # fmt: skip


def check(item: dict[str, Any], response: requests.Response) -> None:
    where = f"{item['scenario']}-{item['seq']:03d} {item['name']}"
    assert response.status_code == item["response"]["status"], f"{where}: {response.text[:300]}"
    kind = item["response"]["headers"].get("content-type")
    assert response.headers.get("Content-Type") == kind, where
    if item["name"] in NOT_COMPARED:
        return
    expected, got = expected_content(item), content_of_response(response)
    if isinstance(expected, dict) and "zip" in expected:
        assert got == expected, where
    else:
        assert shape_of(got) == shape_of(expected), where
    for header in ("location", "upload-offset", "upload-length", "content-disposition", "www-authenticate"):
        assert (header in response.headers) == (header in item["response"]["headers"]), f"{where}: {header}"


def test_fake_server_matches_recorded_2_15_traffic() -> None:
    with FakeCvat("2.15", workers=False) as cvat:
        cvat.state.start_ids(project=2)
        cvat.requester.token = ""
        replay = Replay(cvat)
        for scenario, first, last in ORDER:
            for exchange in recorded(scenario, first, last):
                check(exchange, replay.send(exchange))


def test_fake_server_matches_recorded_newer_traffic() -> None:
    with FakeCvat("requests", legacy_api=True) as cvat:
        cvat.state.start_ids(project=13, task=27, job=82, label=36, shapes=14)
        cvat.forbid_project_exports = True
        replay = Replay(cvat)
        for exchange in recorded("nx"):
            check(exchange, replay.send(exchange))


@pytest.mark.parametrize("scenario", sorted(path.stem for path in TRAFFIC.glob("*.jsonl")))
def test_the_recorded_traffic_holds_no_credential(scenario: str) -> None:
    for exchange in recorded(scenario):
        for name, value in exchange["request"]["headers"].items():
            if name in ("Authorization", "Cookie"):
                assert "<redacted>" in value
