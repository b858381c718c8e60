"""The stand-in answers every recorded request as the real servers did: the same status and the same shape."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.platforms.contract import picture as small_picture

from .server import EMAIL, RemoServer
from .state import Upload

TRAFFIC = Path(__file__).parent / "traffic"
VERSIONS = ("0.3.29", "0.6.1")
RECORDED = {
    (name, version): json.loads((TRAFFIC / f"{name}-{version}.json").read_text(encoding="utf-8"))
    for name in ("remo", "more")
    for version in VERSIONS
}
"""Of each version what was recorded first, and what was recorded of whatever the adapter asks for beyond that."""
WEB = "http://127.0.0.1:8724"


def picture(number: int) -> bytes:
    """320 x 240 pixels, as all recorded images are."""
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (number * 40 % 256, number, 7)).save(buffer, "JPEG")
    return buffer.getvalue()


PICTURES = {f"img{number}.jpg": picture(number) for number in range(1, 6)}
SENT: dict[str, dict[str, list[tuple[str, bytes]]]] = {
    "0.3.29": {
        "multipart two files": [(name, PICTURES[name]) for name in ("img2.jpg", "img1.jpg")],
        "multipart folder in body": [("img3.jpg", PICTURES["img3.jpg"])],
        "multipart folder in query": [("img4.jpg", PICTURES["img4.jpg"])],
    },
    "0.6.1": {
        "multipart without session/complete": [(name, PICTURES[name]) for name in ("img1.jpg", "img3.jpg", "img2.jpg")],
        "multipart folder in body": [("img1.jpg", PICTURES["img1.jpg"])],
        "multipart complete=true": [("img2.jpg", PICTURES["img2.jpg"])],
        "same name+content again": [("img1.jpg", PICTURES["img1.jpg"])],
        "same name other content": [("img1.jpg", picture(17))],
        "broken image": [("broken.jpg", b"no image at all")],
        "same bytes, other name": [("img1-copy.jpg", PICTURES["img1.jpg"])],
        "annotation csv": [("a.csv", b"file_name,classes,xmin,ymin,xmax,ymax\r\nimg1.jpg,Dog,1,2,3,4\r\n")],
    },
}
"""The files of the recorded forms, by the exchange's note. The recording tells their names in later answers."""


def content(name: str) -> bytes:
    """The bytes of a file whose name the recording tells."""
    if name.startswith("broken"):
        return b"no image at all"
    if not name.startswith("big"):
        return small_picture(name)
    buffer = io.BytesIO()
    Image.new("RGB", (4000, 3000), "red").save(buffer, "PNG")
    return buffer.getvalue()


class Replay:
    """Says the recorded requests in their order. Ids of sessions, which are made up anew, are translated."""

    def __init__(self, server: RemoServer, version: str) -> None:
        self.server, self.version = server, version
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Token {server.token}"
        self.uploads: dict[str, str] = {}

    def say(self, exchange: dict[str, Any]) -> requests.Response:
        path = exchange["path"]
        for theirs, ours in self.uploads.items():
            path = path.replace(theirs, ours)
        data, files = exchange.get("data"), None
        if exchange.get("files"):
            sent = SENT[self.version].get(exchange["note"]) or [(name, content(name)) for name in exchange["files"]]
            files = [("files", item) for item in sent]
            data = {name: self.uploads.get(value, value) for name, value in (data or {}).items()}
        headers = dict(exchange.get("headers") or {})
        if isinstance(data, str):
            headers["Content-Type"] = "text/plain" if data == "x" else "application/json"
        response = self.session.request(
            exchange["method"],
            self.server.url + path,
            params=exchange.get("params"),
            json=exchange.get("json"),
            data=data,
            files=files,
            headers=headers,
            timeout=60,
        )
        payload = exchange["response"]
        if isinstance(payload, dict) and "session_id" in payload and response.status_code in (200, 201):
            self.uploads[payload["session_id"]] = response.json()["session_id"]
        return response


def shape(value: Any) -> Any:
    """What a value is made of. Null stands for anything: what is null once may be something later."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return None if value is None else "number" if isinstance(value, int | float) and value is not True else "text"


def same(recorded: Any, answered: Any, place: str = "") -> list[str]:
    """Where the shapes differ."""
    if recorded is None or answered is None:
        return []
    if isinstance(recorded, dict) and isinstance(answered, dict):
        missing = [f"{place}.{name} is on one side only" for name in recorded.keys() ^ answered.keys()]
        return missing + [
            fault
            for name in recorded.keys() & answered.keys()
            for fault in same(recorded[name], answered[name], f"{place}.{name}")
        ]
    if isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) != len(answered):
            return [f"{place} has {len(answered)} items, recorded are {len(recorded)}"]
        pairs = enumerate(zip(recorded, answered, strict=True))
        return [fault for number, (item, other) in pairs for fault in same(item, other, f"{place}[{number}]")]
    return [] if type(recorded) is type(answered) and recorded == answered else [f"{place}: {recorded} and {answered}"]


def faults(exchange: dict[str, Any], response: requests.Response) -> list[str]:
    if response.status_code != exchange["status"]:
        return [f"status {response.status_code}, recorded is {exchange['status']}: {response.text[:200]}"]
    recorded, kind = exchange["response"], exchange["ctype"] or ""
    answered_kind = response.headers.get("Content-Type", "")
    if kind.partition(";")[0] != answered_kind.partition(";")[0]:
        return [f"{answered_kind}, recorded is {kind}"]
    if "json" in kind:
        recorded = json.loads(recorded) if isinstance(recorded, str) else recorded
        result = same(shape(recorded), shape(response.json()))
        if "disposition" in exchange:
            # Exports are compared to the last number; a file is a file.
            result += [] if recorded == response.json() else [f"{response.json()} is not {recorded}"]
            result += [] if response.headers.get("Content-Disposition") == exchange["disposition"] else ["another name"]
        return result
    return [] if "csv" not in kind or response.text == recorded else [f"{response.text!r} is not {recorded!r}"]


def prepare(server: RemoServer) -> None:
    """What the recording does not hold: files on the server, on the web, and datasets that somebody else made."""
    server.world.local = {f"/data/imgs/{name}": data for name, data in PICTURES.items()}
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("img5.jpg", PICTURES["img5.jpg"])
    server.world.web = {f"{WEB}/img5.jpg": PICTURES["img5.jpg"], f"{WEB}/pack.zip": pack.getvalue()}
    server.world.looks_until_done = 5


def two_uploads_of_somebody_else(server: RemoServer) -> None:
    """They stand in the list of uploads, and the recording does not say how they were made."""
    for name in ("sdk ds (1)", "sdk ds (2)"):
        created = Upload(name, server.world.new_dataset(name).id)
        server.world.uploads[created.id] = created
        server.world.work_off(created)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["remo", "more"])
def test_recorded_requests_return_the_recorded_status_and_shape(name: str, version: str) -> None:
    wrong = []
    with RemoServer(modern=version == "0.6.1") as server:
        prepare(server)
        replay = Replay(server, version)
        for number, exchange in enumerate(RECORDED[name, version]):
            if "/uploads/" not in exchange["path"] or exchange["note"].startswith("uploads"):
                server.world.settle()
            if exchange["note"] == "uploads list":
                two_uploads_of_somebody_else(server)
            response = replay.say(exchange)
            wrong += [f"{number} {exchange['note']}: {fault}" for fault in faults(exchange, response)]
    assert not wrong, "\n".join(wrong)


def test_the_recordings_are_whole() -> None:
    assert {key: len(exchanges) for key, exchanges in RECORDED.items()} == {
        ("remo", "0.3.29"): 19,
        ("remo", "0.6.1"): 145,
        ("more", "0.3.29"): 77,
        ("more", "0.6.1"): 80,
    }
    assert RECORDED["remo", "0.3.29"][0]["json"]["email"] == EMAIL
