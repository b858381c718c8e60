"""The stand-in for CVAT answers each recorded request with the recorded status and the recorded shape.

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

from .standin import StandIn
from .standin_data import end
from .standin_state import Import

TRAFFIC = Path(__file__).parent / "traffic"
ORDER = (
    ("auth2", 1, 99), ("life", 1, 31), ("lifelab", 1, 99), ("life", 32, 99), ("lifeb", 1, 99), ("lifeblab", 1, 99),
    ("org", 1, 34), ("orglab", 1, 3), ("org", 35, 38), ("orglab", 4, 99), ("org", 39, 99), ("tus", 1, 99999),
    ("exp", 1, 99), ("hook", 1, 99),
)  # fmt: skip
WHO = {"lifelab": "labeler1", "lifeblab": "labeler1", "orglab": "labeler1"}


def recorded(scenario: str, first: int = 1, last: int = 99999) -> Iterator[dict[str, Any]]:
    for line in (TRAFFIC / f"{scenario}.jsonl").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        if first <= one["seq"] <= last:
            yield one


class Replay:
    """Says what was recorded to a stand-in, with the ids of this run in place of those of that one."""

    def __init__(self, cvat: StandIn) -> None:
        self.cvat = cvat
        self.uploads: dict[str, str] = {}
        """Ids of TUS uploads: recorded, ours."""

    def say(self, one: dict[str, Any]) -> requests.Response:
        asked = one["request"]
        self._bring_along(one)
        body, kind = body_of(asked)
        if one["name"] == "login wrong":
            body = json.dumps(asked["body"])
        headers = {name: value for name, value in asked["headers"].items() if name not in ("Content-Length", "Host")}
        if kind:
            headers["Content-Type"] = kind
        headers |= self._credential(one, asked["headers"])
        path = re.sub(r"[0-9a-f-]{36}", lambda found: self.uploads.get(found[0], found[0]), asked["path"])
        query = asked["query"]
        params = parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else list((query or {}).items())
        request = requests.Request(asked["method"], self.cvat.url + path, params=params, data=body, headers=headers)
        with requests.Session() as session:
            answer = session.send(session.prepare_request(request), timeout=60)
        place = one["response"]["headers"].get("location", "")
        if "Upload-Length" in asked["headers"] and place:
            self.uploads[place[-36:]] = answer.headers["Location"][-36:]
        return answer

    def _credential(self, one: dict[str, Any], headers: dict[str, str]) -> dict[str, str]:
        user = self.cvat.state.named(WHO.get(one["scenario"], "requester"))
        found = {}
        if "Authorization" in headers:
            kind = headers["Authorization"].partition(" ")[0]
            token = "bad" if one["name"] == "self bad token" else user.token
            found["Authorization"] = f"{kind} {token}"
        if "Cookie" in headers:
            found["Cookie"] = f"csrftoken=x; sessionid={user.name}"
        return found

    def _bring_along(self, one: dict[str, Any]) -> None:
        """Background jobs as far as the recording shows them."""
        told, path = one["response"], one["request"]["path"]
        body = told["body"]
        task = re.fullmatch(r"/api/tasks/(\d+)/status|/api/requests/create%3Atask-(\d+)", path)
        said = (body.get("state") or body.get("status")) if isinstance(body, dict) else None
        state = said.lower() if isinstance(said, str) else ""
        if not path.endswith("/status") and "poll" not in one["name"]:
            self._settle_imports(path)
        if task is not None and state:
            self._bring_import(int(task[1] or task[2]), state, body.get("message", ""))
        elif "format" in (one["request"]["query"] or {}) or "/requests/export" in path:
            self.cvat.export_polls = 0
            begun = one["request"]["method"] == "POST" and told["status"] == 202  # what was before is through
            self.cvat.held = not begun and (told["status"] in (202, 409) or state == "started")

    def _bring_import(self, number: int, state: str, message: str) -> None:
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


def body_of(asked: dict[str, Any]) -> tuple[Any, str | None]:
    """What was sent; contents of files are made anew, since only their sizes were recorded."""
    said = asked["body"]
    if said is None:
        return None, None
    kind = asked["headers"].get("Content-Type", "")
    if "multipart" in kind:
        fields = [(name, (None, str(value))) for name, value in (said["multipart"]["fields"] or {}).items()]
        told = list(said["multipart"]["files"])
        for number in range(len(told), said["multipart"]["n_files"]):  # only the first six names were kept
            stem, _, rest = told[0]["filename"].partition("0")
            digits = len(re.findall(r"^0*", rest.partition(".")[0])[0]) + 1 if stem.endswith("_") else 1
            name = f"{stem}{number:0{digits}d}.{told[0]['filename'].rpartition('.')[2]}"
            told.append({"field": f"client_files[{number}]", "filename": name})
        files = [(one["field"], (one["filename"], content_of(one["filename"]), "image/jpeg")) for one in told]
        prepared = requests.Request("POST", "http://x/", files=[*fields, *files]).prepare()
        return prepared.body, prepared.headers["Content-Type"]
    if "x-www-form-urlencoded" in kind:
        return said, None
    if isinstance(said, dict) and "binary" in said:
        return b'{"name": ' if "json" in kind else b"x" * said["binary"], None
    return json.dumps(secrets_for(said)), None  # told with the recorded Content-Type


def secrets_for(said: Any) -> Any:
    """Recorded without passwords."""
    if isinstance(said, dict) and said.get("password") == "<redacted>":
        name = said.get("username") or said["email"].partition("@")[0]
        return {**said, "password": f"{name}-password"}
    return said


def content_of(name: str) -> bytes:
    if name.endswith(".txt"):
        return b"hello"
    if name.startswith("bad"):
        return b"no image at all" * 30
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (len(name), 80, 120)).save(buffer, "JPEG")
    return buffer.getvalue()


def shape_of(value: Any) -> Any:
    """Keys and kinds; whole and broken numbers are one kind."""
    if isinstance(value, dict):
        return {key: "when" if key in TIMES else shape_of(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape_of(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value if value is None else bool
    return float if isinstance(value, int | float) else str


def told_by(answer: requests.Response) -> Any:
    kind = answer.headers.get("Content-Type", "")
    if "zip" in kind:
        with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
            return {"zip": sorted(file.namelist())}
    if "image/" in kind:
        return {"binary": 1}
    if "json" in kind:
        return answer.json()
    return answer.text


def wanted_of(one: dict[str, Any]) -> Any:
    body = one["response"]["body"]
    return {"zip": sorted(name for name, _ in body["zip"])} if isinstance(body, dict) and "zip" in body else body


TIMES = {"started_date", "finished_date", "expiry_date"}
"""Null until it happened, which depends on the clock."""

UNLIKE = {
    # What each note of a webhook says depends on what the server looked at just before.
    "deliveries", "deliveries of failing",
    # A truncated image is one here, too; how its bytes are packed is not looked at by anybody.
    "chunk 0 of truncated",
    # The formats that the stand-in can write are fewer.
    "formats",
    # Lists of everything that the recording's server held from before.
    "requests list all",
}  # fmt: skip


def check(one: dict[str, Any], answer: requests.Response) -> None:
    where = f"{one['scenario']}-{one['seq']:03d} {one['name']}"
    assert answer.status_code == one["response"]["status"], f"{where}: {answer.text[:300]}"
    kind = one["response"]["headers"].get("content-type")
    assert answer.headers.get("Content-Type") == kind, where
    if one["name"] in UNLIKE:
        return
    wanted, got = wanted_of(one), told_by(answer)
    if isinstance(wanted, dict) and "zip" in wanted:
        assert got == wanted, where
    else:
        assert shape_of(got) == shape_of(wanted), where
    for header in ("location", "upload-offset", "upload-length", "content-disposition", "www-authenticate"):
        assert (header in answer.headers) == (header in one["response"]["headers"]), f"{where}: {header}"


def test_a_server_of_2_15_is_stood_in_for_word_by_word() -> None:
    with StandIn("2.15", workers=False) as cvat:
        cvat.state.start_ids(project=2)
        cvat.requester.token = ""
        replay = Replay(cvat)
        for scenario, first, last in ORDER:
            for one in recorded(scenario, first, last):
                check(one, replay.say(one))


def test_a_server_with_requests_is_stood_in_for_word_by_word() -> None:
    with StandIn("requests", old_ways=True) as cvat:
        cvat.state.start_ids(project=13, task=27, job=82, label=36, shapes=14)
        cvat.forbid_project_exports = True
        replay = Replay(cvat)
        for one in recorded("nx"):
            check(one, replay.say(one))


@pytest.mark.parametrize("scenario", sorted(path.stem for path in TRAFFIC.glob("*.jsonl")))
def test_the_recorded_traffic_holds_no_credential(scenario: str) -> None:
    for one in recorded(scenario):
        for name, value in one["request"]["headers"].items():
            if name in ("Authorization", "Cookie"):
                assert "<redacted>" in value
