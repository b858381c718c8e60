"""This machine is never reached through a proxy, whatever the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import httpx
import pytest
import requests

from labelwright.local.servers import answers
from labelwright.network.proxies import is_loopback, keep_loopback_direct
from labelwright.platforms.http.client import Http

from .fault_server import Received, fault_server, page, response

PROXY = "http://127.0.0.1:9"
HERE = ["http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"]


@pytest.fixture
def proxied(monkeypatch):
    """An environment that names a proxy and nothing besides."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    def name_proxy(*variables: str, **more: str) -> None:
        for variable in variables:
            monkeypatch.setenv(variable, PROXY)
        for variable, value in more.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("NO_PROXY", more.get("NO_PROXY", ""))
        monkeypatch.setenv("no_proxy", more.get("no_proxy", ""))
        keep_loopback_direct()

    return name_proxy


def by_proxy(url: str) -> list[str]:
    """Which of the clients in use would ask a proxy."""
    with httpx.Client() as client:
        results = [] if client._transport_for_url(httpx.URL(url)) is client._transport else ["httpx"]
    results += ["requests"] if requests.utils.get_environ_proxies(url) else []
    host = urlsplit(url).netloc
    bypassed = urllib.request.proxy_bypass(host)
    return results if bypassed or "[" in host else [*results, "urllib"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("url", HERE)
def test_no_client_asks_a_proxy_for_this_machine(proxied, variable, url):
    proxied(variable)
    assert by_proxy(url) == []
    assert by_proxy("http://elsewhere.example/") == ["httpx", "requests", "urllib"]


@pytest.mark.parametrize("url", ["http://127.0.0.2:4200/api", "http://prefect.localhost:4200/api"])
def test_other_names_of_this_machine_are_added_as_they_are_configured(proxied, url):
    proxied("HTTP_PROXY", PREFECT_API_URL=url)
    assert by_proxy(url) == []


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_what_no_proxy_lists_is_kept(proxied, name):
    proxied("HTTP_PROXY", **{name: "inside.example, 10.1.2.3,[::1]"})
    assert by_proxy("http://inside.example/") == []
    assert by_proxy("http://10.1.2.3/") == []
    assert all(by_proxy(url) == [] for url in HERE)
    before = dict(os.environ)
    keep_loopback_direct()
    assert dict(os.environ) == before


def test_nothing_is_set_where_no_proxy_is_named_or_all_is_direct():
    """On some systems a NO_PROXY alone would hide the proxies of the system."""
    plain = {"PATH": "/bin", "NO_PROXY": "x.example"}
    keep_loopback_direct(plain)
    assert plain == {"PATH": "/bin", "NO_PROXY": "x.example"}
    direct = {"HTTP_PROXY": PROXY, "NO_PROXY": "*"}
    keep_loopback_direct(direct)
    assert direct == {"HTTP_PROXY": PROXY, "NO_PROXY": "*"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("remo.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host, loopback):
    assert is_loopback(host) is loopback


def test_loopback_services_are_reached_without_proxy(monkeypatch):
    """As a library nothing changes the environment; what we ask ourselves goes directly all the same."""
    from labelwright.ingest.sources.azure_container import ContainerSource
    from labelwright.platforms.errors import PlatformError

    def respond(_request: Received, connection) -> None:
        connection.sendall(response(200, b"{}", "Content-Type: application/json"))

    with fault_server(page(502)) as proxy, fault_server(respond) as server:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        assert answers(f"{server.url}/health")
        for name in ("127.0.0.1", "localhost"):
            assert Http("river", f"http://{name}:{server.port}").call("look", "GET", "/x") == {}
        with pytest.raises(PlatformError):
            list(ContainerSource(f"{server.url}/account/box", sas="sv=1&sig=abcdefgh").find())
        assert proxy.requests == []
        assert len(server.requests) >= 4


def test_the_doctor_asks_servers_of_this_machine_directly(tmp_path):
    def respond(_request: Received, connection) -> None:
        connection.sendall(response(200, b"{}", "Content-Type: application/json"))

    with fault_server(page(502)) as proxy, fault_server(respond) as server:
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment |= {
            "LABELWRIGHT_HOME": str(tmp_path / "home"),
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": f"{server.url}/api/v1",
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__KEY": "the-key",
            "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__SECRET": "the-secret",
            "PREFECT_API_URL": f"{server.url}/prefect/api",
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "HTTP_PROXY": proxy.url,
            "ALL_PROXY": proxy.url,
        }
        command = [sys.executable, "-m", "labelwright", "doctor"]
        subprocess.run(command, env=environment, capture_output=True, timeout=300)
        paths = {request.path.partition("?")[0] for request in server.requests}
        assert {"/api/v1/image_sets", "/"} <= paths
        assert any(path.startswith("/prefect/api") for path in paths)
        assert proxy.requests == []
