"""What keeps SDKs from sleeping inside their calls, tried with the client that they all use and a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

import labelwright.stores

PROGRAM = """
import json, runpy, sys
waiting = runpy.run_path(sys.argv[1])
waiting["install"]()
waiting["install"]()
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry
session = requests.Session()
session.trust_env = False
session.mount("http://", HTTPAdapter(max_retries=Retry(total=2, status_forcelist=[429, 500, 503], backoff_factor=0)))
try:
    status = session.get(sys.argv[2]).status_code
    print(json.dumps({"status": status, "refusal": waiting["last_refusal"]()}))
except waiting["RetryLater"] as wait:
    print(json.dumps(wait.as_failure()))
except requests.RequestException as error:
    print(json.dumps({"error": type(error).__name__, "refusal": waiting["last_refusal"]()}))
"""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.server.asked += 1  # type: ignore[attr-defined]
            _, status, wait = self.path.split("/")
            body = json.dumps({"error": {"message": "slow down"}}).encode()
            self.send_response(int(status))
            self.send_header("Content-Length", str(len(body)))
            if wait:
                name, _, value = wait.rpartition("=")
                self.send_header(name or "Retry-After", value)
            self.end_headers()
            self.wfile.write(body)

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    http_server.asked = 0  # type: ignore[attr-defined]
    thread = Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield http_server
    http_server.shutdown()
    http_server.server_close()
    thread.join(10)


def ask(server: ThreadingHTTPServer, path: str) -> dict[str, object]:
    module = Path(labelwright.stores.__file__).parent / "azure_ml" / "waiting.py"
    url = f"http://127.0.0.1:{server.server_port}/{path}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(module), url], capture_output=True, text=True, timeout=60, check=True
    )
    assert "labelwright: the server answered" in done.stderr or "200" in path
    payload: dict[str, object] = json.loads(done.stdout)
    return payload


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_answer_that_asks_to_wait_ends_the_call_at_once(server, status):
    assert ask(server, f"{status}/3600") == {"status": status, "message": "slow down", "retry_after": "3600"}
    assert server.asked == 1


@pytest.mark.parametrize("name", ["x-ms-retry-after-ms", "retry-after-ms"])
def test_a_wait_in_milliseconds_is_one_too(server, name):
    assert ask(server, f"429/{name}=3600000") == {"status": 429, "message": "slow down", "retry_after": "3600"}
    assert server.asked == 1


@pytest.mark.parametrize("status", [400, 403, 409, 413])
def test_a_refusal_is_not_waited_for(server, status):
    """The SDKs repeat any refusal with a Retry-After, urllib3 a 413: they would sleep an hour inside their call."""
    assert ask(server, f"{status}/3600") == {"status": status, "refusal": status}
    assert server.asked == 1


def test_without_a_retry_after_the_client_repeats_as_it_likes(server):
    payload = ask(server, "503/")
    assert (payload["error"], payload["refusal"]) == ("RetryError", 503)
    assert server.asked == 3


@pytest.mark.parametrize(("path", "refusal"), [("200/", None), ("200/3600", None), ("409/", 409), ("409/3600", 409)])
def test_other_answers_go_through_and_the_last_refusal_is_known(server, path, refusal):
    assert ask(server, path) == {"status": int(path[:3]), "refusal": refusal}
