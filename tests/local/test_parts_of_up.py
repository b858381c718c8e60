"""`labelwright up` notices a server that hangs; ports that a person chose."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from typer.testing import CliRunner

from labelwright.cli.main import app
from labelwright.domain.errors import CannotRun
from labelwright.local import servers, up
from labelwright.local.servers import (
    NotStarted,
    Server,
    answers,
    begin_prefect,
    free_port,
    require_free_port,
    start_prefect,
)
from labelwright.settings import forget_settings
from tests.prefect_database import prepare_database

_SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def part(tmp_path, monkeypatch) -> Iterator[up.Part]:
    monkeypatch.setattr(up, "HANGS_AFTER", 0.6)
    monkeypatch.setattr(up, "CHECKED_EVERY", 0.05)
    monkeypatch.setattr(up, "CHECKED_WITHIN", 0.1)
    processes: list[subprocess.Popen[bytes]] = []
    port = free_port(0)

    def start(_ended: Server | None) -> Server:
        processes.append(subprocess.Popen([sys.executable, "-c", _SERVER, str(port)]))
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 240
        while not answers(f"{url}/health", 1):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return Server(url, processes[-1], tmp_path / "server.log")

    messages: list[str] = []
    yield up.Part("the server", start, health="/health", reporter=up.Reporter(note=messages.append))
    for process in processes:
        process.kill()
        process.wait()


def check_for(part: up.Part, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        part.restart_if_ended()
        time.sleep(0.02)


def test_a_server_that_hangs_is_restarted_at_its_address(part):
    first = part.up()
    os.kill(first.process.pid, signal.SIGSTOP)
    check_for(part, 0.3)
    assert first.process.poll() is None, "it was given up too early"
    deadline = time.monotonic() + 240
    while part.server is first and time.monotonic() < deadline:
        check_for(part, 0.05)
    assert first.process.poll() == -signal.SIGKILL
    assert part.server is not None
    assert part.server.url == first.url
    assert answers(f"{first.url}/health")
    assert len(part.exit_times) == 1


def test_a_server_that_pauses_and_responds_again_is_left_alone(part):
    first = part.up()
    for _ in range(4):
        os.kill(first.process.pid, signal.SIGSTOP)
        check_for(part, 0.3)
        os.kill(first.process.pid, signal.SIGCONT)
        check_for(part, 0.2)
    assert part.server is first
    assert part.exit_times == []


def test_after_up_itself_was_suspended_a_server_gets_its_time_anew(part):
    first = part.up()
    os.kill(first.process.pid, signal.SIGSTOP)
    time.sleep(0.8)
    part.restart_if_ended()
    os.kill(first.process.pid, signal.SIGCONT)
    check_for(part, 0.2)
    assert part.server is first


@pytest.mark.parametrize("option", ["--prefect-port", "--service-port"])
@pytest.mark.parametrize("command", ["up", "demo", "run"])
def test_a_chosen_port_that_is_in_use_is_refused(tmp_path, monkeypatch, command, option):
    """Another program on the port would be taken for the server that is started."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    started: list[str] = []

    def start(name: str):
        return lambda *_arguments, **_options: started.append(name)

    for module, verb in (("labelwright.local.up", "start"), ("labelwright.cli.local_servers", "begin")):
        for name in (f"{verb}_service", f"{verb}_prefect"):
            monkeypatch.setattr(f"{module}.{name}", start(name))
    for name in ("adopt_orphans", "kill_all"):  # this process has children of other tests, such as their Prefect server
        monkeypatch.setattr(f"labelwright.local.processes.{name}", lambda: None)
    if option == "--prefect-port":  # the labeling service runs elsewhere
        monkeypatch.setattr("labelwright.cli.local_servers.needs_embedded_service", lambda _spec: False)
        monkeypatch.setattr("labelwright.local.up._uses_embedded_service", lambda _settings: False)
    monkeypatch.setattr("labelwright.cli.preflight.check_campaign", lambda _spec, **_options: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    more = {"run": ["photos", "--labels", "boat", "--labeler", "a@example.com"], "demo": ["--folder", "demo"], "up": []}
    forget_settings()
    try:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = CliRunner().invoke(app, [command, *more[command], option, str(port)])
    finally:
        monkeypatch.undo()
        forget_settings()
    assert isinstance(result.exception, CannotRun), (result.output, result.exception)
    assert str(result.exception) == f"port {port} is in use by another program. Choose another one with {option}"
    assert started == []


def test_a_free_port_and_no_choice_are_accepted():
    require_free_port(None, "--prefect-port")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    require_free_port(port, "--prefect-port")


@pytest.mark.slow  # starts Prefect's server three times
def test_the_server_of_another_command_on_the_port_is_not_taken_for_the_own(tmp_path):
    """Two commands chose a port while it was free: whose server listens later takes another one."""
    for name in ("first", "third"):
        prepare_database(tmp_path / name)
    with contextlib.ExitStack() as stack:
        first = start_prefect(tmp_path / "first", free_port(0))
        stack.callback(first.stop)
        port = int(first.url.rpartition(":")[2])
        second = begin_prefect(tmp_path / "second", port, or_another=True, ui=False).wait()
        stack.callback(second.stop)
        assert second.url != first.url
        assert (tmp_path / "second" / "prefect" / "prefect.db").exists()
        with pytest.raises(NotStarted, match=f"(?i)port {port} is already in use"):
            begin_prefect(tmp_path / "third", port).wait()
        assert answers(f"{first.url}/api/health")


def test_the_labeling_service_takes_another_port_when_its_own_was_taken_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "_is_free", lambda _port: True)  # when it was looked at
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "service").mkdir()
        (tmp_path / "service" / "service.json").write_text(json.dumps({"port": port}))
        service = servers.start_service(tmp_path)
        try:
            assert service.url != f"http://127.0.0.1:{port}"
            assert answers(f"{service.url}/health")
        finally:
            service.stop()
        with pytest.raises(NotStarted, match=f"{port}: Address already in use"):
            servers.start_service(tmp_path, port)
