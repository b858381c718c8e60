from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labelwright.domain import Reject
from labelwright.domain.image_limits import MOST_BYTES
from labelwright.ingest import CannotRead, InventoryItem, SourceFile, UrlSource, build_inventory
from labelwright.ingest.sources.local import SourceError
from labelwright.ingest.sources.public_addresses import is_public
from labelwright.ingest.sources.urls import UrlFetcher
from labelwright.platforms.errors import PlatformUnavailable

from .conftest import picture

JPEG = picture()


class Site(BaseHTTPRequestHandler):
    requests: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.requests.append((self.path, self.headers.get("Authorization")))
        path = self.path.partition("?")[0]
        if path.startswith("/to/"):
            self._answer(302, Location=self.path[4:])
        elif path.startswith("/status/"):
            self._answer(int(path[8:]), **{"Retry-After": "3"})
        elif path == "/leak":
            self._answer(302, Location=f"http://user:canary@{self.headers['Host']}/status/404?sig=canary")
        elif path == "/loop":
            self._answer(301, Location="/loop")
        elif path == "/endless":
            self._stream(b"x" * 1000, 0)
        elif path == "/slow":
            self._stream(b"x", 0.15)
        elif path == "/silent":
            time.sleep(1.5)
        elif path == "/cut.jpg":
            self._answer(200, JPEG[:-10], **{"Content-Length": str(len(JPEG))})
        else:
            self._answer(200, JPEG)

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, piece: bytes, pause: float) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(200):
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass  # the client had enough

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    Site.requests.clear()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(url: str, **options: object) -> bytes:
    source = UrlSource([url], **({"allow_private": True, "timeout": 20.0} | options))  # type: ignore[arg-type]
    file = next(source.find())
    if isinstance(file, Reject):
        raise CannotRead(file.reason)
    with source.open(file.location) as stream:
        return stream.read()


def test_images_are_fetched_and_named_after_their_path(site: str) -> None:
    paths = ["/x/a.jpg", "/y/a.jpg?v=2", "/%D1%80%D0%B5%D0%BA%D0%B0%20.jpg", "/", "/..%2Fb.jpg"]
    source = UrlSource([site + path for path in paths], allow_private=True)
    assert [file.name for file in source.find()] == ["a.jpg", "a-2.jpg", "река .jpg", "image", ".._b.jpg"]
    item, *others = build_inventory(source)
    assert isinstance(item, InventoryItem)
    assert all(isinstance(item, Reject) and "same file" in item.reason for item in others)


def test_a_redirect_is_followed(site: str) -> None:
    assert fetch(f"{site}/to//a.jpg") == JPEG
    assert fetch(f"{site}/to/{site}/a.jpg") == JPEG


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3", "169.254.169.254", "0.0.0.0", "2130706433"]
)
def test_a_private_address_is_refused_unless_it_is_allowed(host: str) -> None:
    with pytest.raises(CannotRead, match=r"private network|no server"):
        fetch(f"http://{host}/a.jpg", allow_private=False)


def test_a_redirect_into_the_private_network_is_refused(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = site.rpartition(":")[2]
    pretend(monkeypatch, {"public.example": "127.0.0.1", "inside.example": "10.0.0.7"})
    monkeypatch.setattr("labelwright.ingest.sources.urls.is_public", lambda address: address == "127.0.0.1")
    assert fetch(f"http://public.example:{port}/a.jpg", allow_private=False) == JPEG
    with pytest.raises(CannotRead, match=r"'inside\.example' is in a private network"):
        fetch(f"http://public.example:{port}/to/http://inside.example/a.jpg", allow_private=False)
    with pytest.raises(CannotRead, match="not an http or https URL"):
        fetch(f"http://public.example:{port}/to/file:///etc/passwd", allow_private=False)


def pretend(monkeypatch: pytest.MonkeyPatch, hosts: dict[str, str], *later: str) -> list[str]:
    """A name server of our own; with `later` it gives other addresses the next times that it is asked."""
    calls: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: object, **keywords: object) -> object:
        if host not in hosts:
            return real(host, port, *args, **keywords)  # type: ignore[arg-type]
        calls.append(host)
        address = later[min(len(calls) - 2, len(later) - 1)] if later and len(calls) > 1 else hosts[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (part, port)) for part in address.split()]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return calls


def test_the_address_that_was_checked_is_connected_to(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = pretend(monkeypatch, {"rebinding.example": "127.0.0.1"}, "10.0.0.1")
    monkeypatch.setattr("labelwright.ingest.sources.urls.is_public", lambda address: address == "127.0.0.1")
    port = site.rpartition(":")[2]
    assert fetch(f"http://rebinding.example:{port}/a.jpg", allow_private=False) == JPEG
    assert calls == ["rebinding.example"]


def test_one_private_address_among_public_ones_is_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"mixed.example": "93.184.216.34 192.168.0.1"})
    with pytest.raises(CannotRead, match="private network"):
        fetch("http://mixed.example/a.jpg", allow_private=False)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
        ("168.63.129.16", False),  # Azure's own services for a virtual machine
        ("::ffff:168.63.129.16", False),
        ("::ffff:a83f:8110", False),
        ("::ffff:0:a83f:8110", False),
        ("64:ff9b::a83f:8110", False),
        ("64:ff9b:1::a83f:8110", False),
        ("2002:a83f:8110::1", False),
        ("2606:4700::5efe:a83f:8110", False),
        ("2001:0:a83f:8110::", False),
        ("192.0.0.192", False),  # Oracle Cloud's metadata
        ("::ffff:192.0.0.192", False),
        ("64:ff9b::c000:c0", False),
        ("2002:c000:c0::", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("fd20:ce::254", False),
        ("::7f00:1", False),
        ("8.8.8.8", True),
        ("2606:4700::5efe:808:808", True),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_file_that_is_too_large_is_given_up_while_it_comes(site: str) -> None:
    with pytest.raises(CannotRead, match="more than"):
        fetch(f"{site}/endless", max_bytes=10_000)
    with pytest.raises(CannotRead, match="more than"):
        fetch(f"{site}/a.jpg", max_bytes=len(JPEG) - 1)
    assert fetch(f"{site}/a.jpg", max_bytes=len(JPEG)) == JPEG


@pytest.mark.parametrize(("path", "timeout"), [("/silent", 0.2), ("/slow", 0.05), ("/slow", 0.3)])
def test_a_server_that_is_too_slow_may_be_asked_again(site: str, path: str, timeout: float) -> None:
    # Whoever waited for the end of what drips would have it, and no reason to say so.
    with pytest.raises(PlatformUnavailable, match="took too long"):
        fetch(site + path, timeout=timeout)


def test_what_may_work_later_and_what_will_not_are_told_apart(site: str) -> None:
    for status in (408, 429, 500, 503):
        with pytest.raises(PlatformUnavailable) as caught:
            fetch(f"{site}/status/{status}")
        assert (caught.value.status, caught.value.retry_after) == (status, 3)
    for status in (400, 401, 403, 404, 410, 204):
        with pytest.raises(CannotRead, match=str(status)):
            fetch(f"{site}/status/{status}")
    with pytest.raises(CannotRead, match="more than 5 times"):
        fetch(f"{site}/loop")
    with pytest.raises(PlatformUnavailable, match="cut off"):
        fetch(f"{site}/cut.jpg")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(PlatformUnavailable, match="refused"):
        fetch(f"http://127.0.0.1:{port}/a.jpg")


def test_secrets_in_a_url_are_used_and_never_told(site: str) -> None:
    host = site.removeprefix("http://")
    urls = [
        f"http://user:canary@{host}/a.jpg?sig=canary",
        f"http://user:canary@{host}/status/404?sig=canary",
        f"http://user:canary@{host}/status/503?sig=canary",
        f"http://{host}/leak",
        "http://user:canary@127.0.0.1:1/a.jpg?sig=canary",
        "ftp://user:canary@127.0.0.1/a.jpg?sig=canary",
        "http://user:canary@[::1/a.jpg?sig=canary",
        "http://user:canary@h:port/a.jpg?sig=canary",
    ]
    source = UrlSource(urls, allow_private=True)
    messages = [repr(source)]
    for file in source.find():
        messages.append(repr(file))
        if isinstance(file, SourceFile):
            try:
                source.open(file.location).close()
            except (CannotRead, PlatformUnavailable) as error:
                messages += [
                    repr(error),
                    str(error),
                    "".join(traceback.format_exception(error)),
                    repr(error.__context__),
                ]
    assert "canary" not in "".join(messages)
    assert Site.requests[0] == ("/a.jpg?sig=canary", "Basic dXNlcjpjYW5hcnk=")


def test_a_password_is_not_sent_on_to_another_server(site: str) -> None:
    host = site.removeprefix("http://")
    fetch(f"http://user:canary@{host}/to/http://localhost:{host.rpartition(':')[2]}/a.jpg")
    assert [authorization is not None for _, authorization in Site.requests] == [True, False]


def test_a_location_means_the_same_url_in_another_process(site: str) -> None:
    urls = [f"{site}/a.jpg", f"{site}/a.jpg?sig=1", f"{site}/a.jpg?sig=2"]
    locations = [file.location for file in UrlSource(urls).find() if isinstance(file, SourceFile)]
    assert locations == [f"{site}/a.jpg", f"{site}/a.jpg#1", f"{site}/a.jpg#2"]
    again = UrlSource(urls, allow_private=True)
    for location in locations:
        again.open(location).close()
    assert [path for path, _ in Site.requests] == ["/a.jpg", "/a.jpg?sig=1", "/a.jpg?sig=2"]


def test_an_empty_list_says_so() -> None:
    with pytest.raises(SourceError, match="empty"):
        UrlSource([]).find()


def test_https_is_verified_by_the_name_in_the_url(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        trusting = UrlFetcher(MOST_BYTES, allow_private=True, timeout=20.0)
        trusting._tls.load_verify_locations(certificate)
        with trusting.fetch(f"https://localhost:{server.server_port}/a.jpg") as stream:
            assert stream.read() == JPEG
        with pytest.raises(CannotRead, match="redirects from https to http"):
            trusting.fetch(f"https://localhost:{server.server_port}/to/http://localhost/a.jpg")
        with pytest.raises(CannotRead, match="certificate is not valid"):
            trusting.fetch(f"https://127.0.0.1:{server.server_port}/a.jpg")
        with pytest.raises(CannotRead, match="certificate is not valid"):
            fetch(f"https://localhost:{server.server_port}/a.jpg")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for `localhost` and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
