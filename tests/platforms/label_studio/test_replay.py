"""The stand-in answers every recorded request as the real server did: the same status and the same shape."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.platforms.remo.test_replay import same, shape

from .fake_server.server import FakeLabelStudio
from .fake_server.state import User

TRAFFIC = Path(__file__).parent / "traffic" / "label-studio-1.23.2.jsonl"
RECORDED = [json.loads(line) for line in TRAFFIC.read_text(encoding="utf-8").splitlines()]
RECEIVED = frozenset(range(146, 150))
"""What the server sent to a webhook: it is no request to it."""
CONTENT = {"page.html": b"<script>alert(1)</script>", "notimage.jpg": b"no image"}


class Replay:
    """Sends the recorded requests in their order. Tokens and names of files, which are made up anew, are translated."""

    def __init__(self, server: FakeLabelStudio) -> None:
        self.server, self.world = server, server.world
        self.session = ""
        self.names: dict[str, str] = {}

    def send(self, number: int) -> requests.Response:
        recorded = RECORDED[number]["request"]
        path = recorded["path"].replace("%2Fdata", "/data")
        for theirs, ours in self.names.items():
            path = path.replace(theirs, ours)
        headers = {name: value for name, value in recorded["headers"].items() if name != "Accept"}
        headers |= self.credentials(number, headers.pop("Authorization", ""))
        body = recorded["body"]
        options: dict[str, Any] = {"allow_redirects": False, "timeout": 30}
        if isinstance(body, str) and body.startswith("<multipart: "):
            headers.pop("Content-Type")
            options["files"] = self.files(body)
        elif isinstance(body, str) and "PEER" in body and body.startswith("url="):
            options["data"] = body.replace("PEER", "127.0.0.1")
        elif headers.get("Content-Type", "").endswith("urlencoded"):
            options["data"] = json.loads(body) if isinstance(body, str) else body
        elif body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            text = text.replace("PAT_REFRESH", self.server.pat).replace("PEER", "127.0.0.1")
            if "/token/rotate" in path:
                text = json.dumps({"refresh": self.server.pat})
            options["data"] = text.encode()
        with requests.Session() as session:
            session.trust_env = False
            url = self.server.url + path
            response = session.request(recorded["method"], url, headers=headers, **options)
        self.note(number, response)
        return response

    def credentials(self, number: int, authorization: str) -> dict[str, str]:
        title = RECORDED[number]["title"]
        if "session" in title or title == "jwt settings":
            return {"Cookie": self.session}
        if authorization == "Bearer JWT":
            if "expired" in title:
                return {"Authorization": "Bearer eyJ.expired.token"}
            user = 3 if title.startswith("second user") else 1
            return {"Authorization": f"Bearer {self.world.refresh(self.world.make_pat(user))}"}
        if authorization == "Bearer PAT_REFRESH":
            return {"Authorization": f"Bearer {self.server.pat}"}
        if authorization == "Token LEGACY_TOKEN" or title == "legacy token used":
            return {"Authorization": f"Token {self.world.users[1].legacy}"}
        if authorization:
            return {"Authorization": authorization}
        return {"Cookie": self.session} if "organization jwt" in title else {}

    def files(self, text: str) -> list[tuple[str, tuple[str, bytes]]]:
        if "101 files" in text:
            return [(f"f{number}", (f"f{number}.jpg", b"x")) for number in range(101)]
        pairs = re.findall(r"(\w+)=([^,>]+)", text)
        return [(field, (name, CONTENT.get(name, name.encode() * 20))) for field, name in pairs]

    def note(self, number: int, response: requests.Response) -> None:
        """Keeps the session, and which file has which name now."""
        cookie = response.headers.get("Set-Cookie", "")
        if "sessionid=" in cookie:
            self.session = cookie.partition(";")[0]
        recorded = RECORDED[number]["response"]["body"]
        for theirs in re.findall(r"upload/\d+/([0-9a-f]{8})-", recorded if isinstance(recorded, str) else ""):
            if theirs not in self.names:
                match = re.search(rf"upload/(\d+)/{theirs}-([^\"]+)", str(recorded))
                name = match[2] if match else ""
                ours = [
                    file.path.rpartition("/")[2][:8]
                    for file in self.world.files.values()
                    if file.path.endswith(f"-{name}") and file.path.rpartition("/")[2][:8] not in self.names.values()
                ]
                if ours:
                    self.names[theirs] = ours[0]

    def post(self, path: str, payload: Any = None, files: Any = None) -> None:
        token = self.world.refresh(self.world.make_pat())
        headers = {"Authorization": f"Bearer {token}"}
        response = requests.post(self.server.url + path, json=payload, files=files, headers=headers, timeout=30)
        assert response.ok, response.text

    def patch(self, project: int, **fields: Any) -> None:
        self.world.projects[project].settings |= fields


BOXES = json.loads(RECORDED[18]["request"]["body"])["label_config"]
WITHOUT_LABELS = re.sub(r"<Label .*/>", "", BOXES)


def create_projects(replay: Replay, *configs: str) -> None:
    for number, config in enumerate(configs):
        replay.post("/api/projects", {"title": f"another {number}", "label_config": config})


def upload(replay: Replay, project: int, *names: str) -> None:
    for name in names:
        replay.post(f"/api/projects/{project}/import", files=[("FILE", (name, CONTENT.get(name, name.encode())))])


def annotate(replay: Replay, task: int, *regions: Any, **fields: Any) -> None:
    replay.post(f"/api/tasks/{task}/annotations/", {"result": list(regions), **fields})


def change_everything(replay: Replay) -> None:
    replay.patch(1, is_published=True)
    replay.world.projects[1].label_config = json.loads(RECORDED[142]["response"]["body"])["label_config"]


def put_files_on_the_disk(replay: Replay) -> None:
    replay.world.storage_files[json.loads(RECORDED[122]["request"]["body"])["path"]] = ["img1.jpg", "img2.jpg"]


def let_addresses_pass(replay: Replay) -> None:
    replay.world.guards_addresses = False


def add_second_user(replay: Replay) -> None:
    replay.world.users[3] = User(3, "bob@example.com", name="Bob")
    replay.patch(1, description="changed by bob")


def label_a_rotated_image(replay: Replay) -> None:
    """In a project of its own, whose number and task are the recorded ones."""
    create_projects(replay, BOXES, BOXES)
    (region,) = json.loads(RECORDED[145]["response"]["body"])[0]["result"]
    upload(replay, 8, "rot6.jpg")
    annotate(replay, 21, region, lead_time=10.104)


STEPS: dict[int, Callable[[Replay], None]] = {
    25: lambda replay: create_projects(replay, BOXES, BOXES, WITHOUT_LABELS),
    32: lambda replay: upload(replay, 1, "img5.jpg"),
    35: lambda replay: upload(replay, 1, "notimage.jpg"),
    36: lambda replay: upload(replay, 1, "x.svg", "page.html"),
    68: lambda replay: replay.post("/api/predictions", {"task": 2, "result": []}),
    71: lambda replay: annotate(replay, 2, lead_time=2),
    74: lambda replay: annotate(replay, 4, json.loads(RECORDED[73]["request"]["body"])["result"][0]),
    91: lambda replay: replay.patch(1, maximum_annotations=2),
    92: lambda replay: replay.patch(1, maximum_annotations=1, skip_queue="REQUEUE_FOR_ME"),
    106: change_everything,
    122: put_files_on_the_disk,
    126: let_addresses_pass,
    131: add_second_user,
    135: lambda replay: replay.patch(1, maximum_annotations=2),
    136: lambda replay: create_projects(replay, BOXES),
    142: lambda replay: replay.patch(1, maximum_annotations=1),
    145: label_a_rotated_image,
}
"""What was done between the recorded requests, by the number of the next one."""


def faults(number: int, response: requests.Response) -> list[str]:
    recorded = RECORDED[number]["response"]
    if response.status_code != recorded["status"]:
        return [f"status {response.status_code}, recorded is {recorded['status']}: {response.text[:300]}"]
    kind = (recorded["headers"].get("Content-Type") or "").partition(";")[0]
    ours = response.headers.get("Content-Type", "").partition(";")[0]
    if kind != ours:
        return [f"{ours}, recorded is {kind}"]
    if "json" not in kind:
        return []
    body = recorded["body"]
    return same(shape(json.loads(body) if isinstance(body, str) else body), shape(response.json()))


def test_recorded_requests_return_the_recorded_status_and_shape() -> None:
    wrong = []
    with FakeLabelStudio() as server:
        replay = Replay(server)
        for number, exchange in enumerate(RECORDED):
            if number in RECEIVED:
                continue
            STEPS.get(number, lambda _: None)(replay)
            response = replay.send(number)
            wrong += [f"{number} {exchange['title']}: {fault}" for fault in faults(number, response)]
    assert not wrong, "\n".join(wrong)


def test_the_recording_is_whole() -> None:
    assert len(RECORDED) == 150
