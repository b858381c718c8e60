"""The admin's secret goes to the service of this home and to nobody else, whoever listens on its port."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

from labelwright.campaigns.spec import validate_spec
from labelwright.cli.local_servers import needs_embedded_service
from labelwright.demo.partner import label_campaign
from labelwright.doctor.connections import connection_checks
from labelwright.domain.errors import CannotRun
from labelwright.local.servers import use_prefect_of_up
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import LabelerAccess, Secret
from labelwright.security.identity import FILE, NotProven, check_address, code_of, make_key
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import forget_settings, settings
from labelwright.tasks.context import connect_platform

KEY, SECRET = "the-admins-key", "canary-of-the-admin"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator:
    for name in [name for name in os.environ if name.startswith("LABELWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    yield tmp_path
    forget_settings()


@pytest.fixture
def service(home) -> Iterator[str]:
    with serving(ServiceConfig(home / "service", admin_key=KEY, admin_secret=SECRET)) as url:
        yield url


@dataclass
class Listener:
    """A program that listens on a port, and the bytes it received."""

    port: int
    received: list[bytes]


@contextmanager
def stranger(response: bytes) -> Iterator[Listener]:
    """A program that sends the same response to everything."""
    received: list[bytes] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def talk(client: socket.socket) -> None:
            with client, suppress(OSError):
                while data := client.recv(65536):
                    received.append(data)
                    if response:
                        client.sendall(response)

        def work() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=[listening.accept()[0]], daemon=True).start()

        threading.Thread(target=work, daemon=True).start()
        yield Listener(port=listening.getsockname()[1], received=received)


def response(status: int, body: bytes, server: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Some words\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + (f"Server: {server}\r\n".encode() if server else b"") + b"\r\n" + body


def remember(home, port: int) -> None:
    folder = home / "service"
    folder.mkdir(exist_ok=True)
    make_key(folder)
    (folder / "admin.json").write_text(json.dumps({"key": KEY, "secret": SECRET}))
    (folder / "service.json").write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "port": port}))


CAMPAIGN = {
    "title": "river",
    "platform": "campaign_api",
    "images": {"folder": "/x"},
    "labels": ["a"],
    "labeler": "a@b.c",
}
HELLO = response(200, b'{"status": "ok", "version": "9"}', "impostor/1.0")
GUESSED = response(200, b'{"code": "%s"}' % (b"0" * 64))
OLDER = response(404, b'{"error":{"code":"not_found","message":"Not Found","details":null}}')
STRANGERS = [HELLO, GUESSED, OLDER, response(200, b"[[[["), response(200, b"null"), b"SSH-2.0-OpenSSH_9\r\n"]


def test_the_service_of_this_home_is_sent_the_admins_secret(service):
    _, platform = connect_platform("campaign_api")
    assert service in platform.check()
    assert platform.find_campaign("none") is None


@pytest.mark.parametrize("response", STRANGERS)
def test_foreign_program_gets_no_credentials_and_is_named(home, response):
    with stranger(response) as server:
        remember(home, server.port)
        _, platform = connect_platform("campaign_api")
        with pytest.raises(PlatformRefused) as refused:
            platform.find_campaign("any")
        message = str(refused.value)
        assert f"port {server.port}" in message
        assert str(os.getpid()) in message, "the process that listens"
        assert "no key and no secret" in message
        assert ("impostor/1.0" in message) == (response is HELLO)
        assert ("older version" in message) == (response is OLDER)
        sent = b"".join(server.received)
        assert b"/identity?nonce=" in sent
        assert KEY.encode() not in sent
        assert SECRET.encode() not in sent


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"key": "a"}', '{"key": {}, "secret": 1}'])
def test_a_damaged_file_of_the_service_means_that_none_runs(home, content):
    remember(home, 1)
    for name in ("admin.json", "service.json"):
        remember(home, 1)
        (home / "service" / name).write_text(content)
        assert settings().embedded_service() is None


def test_a_key_file_that_lost_its_content_proves_nothing(home):
    listening = socket.create_server(("127.0.0.1", 0))

    def answer_with_the_empty_key() -> None:
        connection, client = listening.accept()
        with connection:
            nonce = connection.recv(4096).partition(b"nonce=")[2][:64].decode()
            code = code_of(b"", nonce, connection.getsockname()[:2], client[:2])
            connection.sendall(response(200, json.dumps({"code": code}).encode()))

    remember(home, listening.getsockname()[1])
    (home / "service" / FILE).write_text("")
    with listening:
        thread = threading.Thread(target=answer_with_the_empty_key, daemon=True)
        thread.start()
        with pytest.raises(NotProven):
            check_address("127.0.0.1", listening.getsockname()[1], home / "service" / FILE)
        thread.join(30)


def test_url_from_option_and_environment_is_verified(home, monkeypatch):
    with stranger(HELLO) as server:
        remember(home, 1)
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):
            url = f"http://{host}:{server.port}/api/v1"
            monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL", url)
            forget_settings()
            with pytest.raises(PlatformRefused, match="no key and no secret"):
                connect_platform("campaign_api")[1].check()
        assert SECRET.encode() not in b"".join(server.received)


def test_a_service_with_a_key_of_its_own_is_asked_for_no_proof(home, monkeypatch):
    remember(home, 1)
    for name, value in (("URL", "http://127.0.0.1:9/api/v1"), ("KEY", "k"), ("SECRET", "s")):
        monkeypatch.setenv(f"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__{name}", value)
    forget_settings()
    assert settings().connection("campaign_api").identity is None


@contextmanager
def relay(to: tuple[str, int], more: bytes = b"") -> Iterator[Listener]:
    """A stranger that passes on all that it gets to the real service, and all that the service answers."""
    received: list[bytes] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def talk(client: socket.socket) -> None:
            with client, socket.create_connection(to) as real, suppress(OSError):
                while data := client.recv(65536):
                    received.append(data)
                    head, end, body = data.partition(b"\r\n\r\n")
                    real.sendall(head + more.replace(b"PORT", b"%d" % client.getpeername()[1]) + end + body)
                    response = b""
                    while not response.endswith(b"}"):
                        response += real.recv(65536)
                    client.sendall(response)

        def work() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=[listening.accept()[0]], daemon=True).start()

        threading.Thread(target=work, daemon=True).start()
        yield Listener(port=listening.getsockname()[1], received=received)


@pytest.mark.parametrize("more", [b"", b"\r\nX-Forwarded-For: 127.0.0.1:PORT", b"\r\nForwarded: for=127.0.0.1"])
def test_a_relay_of_the_challenge_to_the_real_service_gets_nothing(home, service, more):
    port = int(service.rpartition(":")[2])
    with relay(("127.0.0.1", port), more) as server:
        remember(home, server.port)
        with pytest.raises(PlatformRefused, match="no key and no secret"):
            connect_platform("campaign_api")[1].check()
        assert SECRET.encode() not in b"".join(server.received)


def test_every_connection_is_proven_and_not_only_the_first(home, service):
    _, platform = connect_platform("campaign_api")
    platform.check()
    platform.close()  # its connections, so that the next request opens one
    (home / "service" / FILE).write_text("00" * 32)
    with pytest.raises(PlatformRefused, match="did not prove"):
        platform.check()


def test_a_code_is_of_one_number_and_one_connection():
    key, nonce = b"k" * 32, "0" * 64
    code = code_of(key, nonce, ("127.0.0.1", 80), ("127.0.0.1", 5000))
    others = [
        code_of(b"l" * 32, nonce, ("127.0.0.1", 80), ("127.0.0.1", 5000)),
        code_of(key, "1" * 64, ("127.0.0.1", 80), ("127.0.0.1", 5000)),
        code_of(key, nonce, ("127.0.0.1", 81), ("127.0.0.1", 5000)),
        code_of(key, nonce, ("127.0.0.2", 80), ("127.0.0.1", 5000)),
        code_of(key, nonce, ("127.0.0.1", 80), ("127.0.0.1", 5001)),
    ]
    assert code not in others
    assert code == code_of(key, nonce, ("::ffff:127.0.0.1", 80), ("127.0.0.1", 5000))


def test_the_doctor_and_the_demos_partner_send_a_stranger_nothing(home):
    with stranger(HELLO) as server:
        remember(home, server.port)
        assert any(
            "no key and no secret" in str(item) for _, check in connection_checks(settings()) for item in check()
        )
        access, identity = LabelerAccess("a@example.com", "labelers-key", Secret(SECRET)), home / "service" / FILE
        with pytest.raises(PlatformRefused, match="no key and no secret"):
            label_campaign(f"http://127.0.0.1:{server.port}/api/v1", "1", access, identity=identity)
        sent = b"".join(server.received)
        assert SECRET.encode() not in sent
        assert b"labelers-key" not in sent


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_prefect_of_up_is_used_only_while_up_runs(home, monkeypatch):
    import fcntl

    monkeypatch.setenv("PREFECT_API_URL", "")  # so that what is set below is undone
    monkeypatch.delenv("PREFECT_API_URL")
    with stranger(HELLO) as server:
        url = f"http://127.0.0.1:{server.port}"
        (home / "up.lock").write_text(json.dumps({"process": 1, "Prefect UI": url}))
        use_prefect_of_up(home)
        assert "PREFECT_API_URL" not in os.environ
        assert server.received == []
        with (home / "up.lock").open("a+") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            use_prefect_of_up(home)
        assert os.environ["PREFECT_API_URL"] == f"{url}/api"


def test_up_that_ends_by_a_failure_leaves_no_address_behind(home):
    from labelwright.local.up import _only_one

    def fails() -> None:
        with _only_one(home / "up.lock") as file:
            file.write('{"Prefect UI": "http://127.0.0.1:1"}')
            file.flush()
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        fails()
    assert (home / "up.lock").read_text() == ""


def test_own_service_starts_beside_a_foreign_program(home, capsys):
    spec = validate_spec(CAMPAIGN, "test")
    with stranger(HELLO) as server:
        remember(home, server.port)
        assert needs_embedded_service(spec)
        assert "impostor/1.0" in capsys.readouterr().err
    with stranger(OLDER) as server:
        remember(home, server.port)
        with pytest.raises(CannotRun, match="older version"):
            needs_embedded_service(spec)


def test_a_command_uses_the_service_that_runs(home, service):
    spec = validate_spec(CAMPAIGN, "test")
    assert not needs_embedded_service(spec)


@pytest.mark.parametrize("response", [b"", b"HTTP/1.1 200 OK\r\nX: ", HELLO[:-1]])
def test_incomplete_response_is_a_transient_error(home, monkeypatch, response):
    monkeypatch.setattr("labelwright.security.identity._SECONDS", 0.3)
    make_key(home)
    with stranger(response) as server:
        with pytest.raises(ConnectionResetError):
            check_address("127.0.0.1", server.port, home / FILE)
        remember(home, server.port)
        with pytest.raises(PlatformUnavailable):
            connect_platform("campaign_api")[1].check()
        assert SECRET.encode() not in b"".join(server.received)


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    assert make_key(tmp_path) == make_key(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
