"""Login, ended sessions, and what must never be sent where."""

from __future__ import annotations

import io
import threading

import pytest

from labelwright.platforms.errors import AccessDenied, PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.adapter import Geti, connect
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.session import GetiSession, base_url, path_of_url
from labelwright.platforms.protocol import Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from tests.platforms.contract import picture
from tests.platforms.scripted import answer, scripted

from .server import PASSWORD, SC, TOKEN, USER, geti_server

DETECTION = [NewTask("detection", (NewLabel("dog"),))]


def client_of(server, user=USER, secret=PASSWORD) -> GetiClient:
    return GetiClient(GetiSession(server.url, user, Secret(secret)))


@pytest.fixture(scope="module")
def sc():
    with geti_server(SC, smallest=1) as server:
        yield server


@pytest.fixture(autouse=True)
def _calm(sc):
    sc.breaks.clear()
    sc.requests.clear()


@pytest.mark.parametrize("effect", ["401", "html", "302", "end"])
def test_ended_session_is_renewed_and_the_request_repeated_once(sc, effect):
    client = client_of(sc)
    client.connect_platform()
    sc.break_next("GET", "projects/", effect)
    assert client.find_project("nobody") is None
    assert [path for _, path in sc.requests].count("/user/login") == 2


def test_session_that_ends_again_raises(sc):
    client = client_of(sc)
    client.connect_platform()
    sc.break_next("GET", "projects/", "html", times=100)
    with pytest.raises(PlatformUnavailable):
        client.find_project("nobody")
    assert [path for _, path in sc.requests].count("/user/login") == 2


def test_creation_is_repeated_after_401_but_not_after_html(sc):
    client = client_of(sc)
    client.connect_platform()
    sc.break_next("POST", "projects$", "html")
    with pytest.raises(PlatformUnavailable):
        client.create_project("once", DETECTION)
    sc.break_next("POST", "projects$", "401")
    client.create_project("once", DETECTION)
    assert [project.name for project in client.projects()].count("once") == 1


def test_upload_restarts_the_file_after_the_session_ended(sc):
    client = client_of(sc)
    project = client.create_project("upload", DETECTION)
    sc.break_next("POST", "media/images", "401")
    sent = client.upload(project, "a.png", lambda: io.BytesIO(picture("a.png")))
    into = io.BytesIO()
    client.download(project, sent, into)
    assert into.getvalue() == picture("a.png")


def test_html_page_does_not_pass_for_an_image(sc):
    client = client_of(sc)
    project = client.create_project("download", DETECTION)
    sent = client.upload(project, "a.png", lambda: io.BytesIO(picture("a.png")))
    sc.break_next("GET", "display/full", "html")
    into = io.BytesIO()
    client.download(project, sent, into)
    assert into.getvalue() == picture("a.png")


def test_threads_with_an_ended_session_log_in_once(sc):
    client = client_of(sc)
    client.connect_platform()
    sc.sessions.clear()
    sc.requests.clear()
    together = threading.Barrier(6)

    def ask() -> None:
        together.wait()
        client.find_project("nobody")

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path for _, path in sc.requests].count("/user/login") == 1


def test_wrong_password_is_reported_without_showing_it(sc):
    with pytest.raises(AccessDenied) as caught:
        client_of(sc, secret="not the password").connect_platform()
    assert "not the password" not in str(caught.value)


def test_server_without_login_gets_no_password():
    with geti_server(SC, login=False) as server:
        assert client_of(server).connect_platform() == SC
        assert client_of(server, "", "").connect_platform() == SC


def test_expired_token_raises():
    with geti_server("2.12.1") as server:
        with pytest.raises(AccessDenied) as caught:
            client_of(server, "", "an-old-token").connect_platform()
        assert "token has expired" in str(caught.value)
        assert "an-old-token" not in str(caught.value)
        assert [path for _, path in server.requests] == ["/api/v1/product_info"]


def test_writes_carry_the_csrf_header():
    with geti_server("2.12.1") as server:  # refuses writes without it
        client_of(server, "", TOKEN).create_project("written", DETECTION)


def test_api_version_follows_the_servers_version():
    product_info = b'{"product-version": "2.3.0"}'
    with scripted(answer(404), answer(200, product_info)) as server, pytest.raises(AccessDenied) as caught:
        GetiClient(GetiSession(server.url, "user", Secret("password"))).connect_platform()
    assert "personal access token" in str(caught.value)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("1.0.0-release-20220129184214", "Sonoma Creek"),
        ("1.1.0-release-20220624125113", "Sonoma Creek"),
        ("1.1.0", "Sonoma Creek"),
        ("1.16.0-release-20240320101320", "Geti"),
        ("2.0.0-release-20240320101320", "Geti"),
        ("1.1.0-release-20221125121144", None),
        ("1.8.0-release-20231018022911", None),
    ],
)
def test_later_builds_of_version_1_are_geti(version, name):
    """Geti's versions began at 1.0 again, with pixels: as fractions they would be boxes smaller than a pixel."""
    answers = [b'{"product-version": "%s"}' % version.encode()]
    answers += [b'{"organizationId": "o"}'] if name == "Geti" else []
    answers += [b'{"workspaces": [{"id": "w", "name": "W"}]}']
    with scripted(*(answer(200, body) for body in answers)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("token")))
        if name is None:
            with pytest.raises(PlatformRefused, match="neither Sonoma Creek nor Geti"):
                client.connect_platform()
        else:
            assert client.api_version.name == name


def test_several_workspaces_need_a_name():
    two = b'[{"id": "w1", "name": "Mine"}, {"id": "w2", "name": "Theirs"}]'
    version = b'{"product-version": "1.1.0"}'
    with scripted(answer(200, version), answer(200, two)) as server:
        with pytest.raises(PlatformRefused) as caught:
            GetiClient(GetiSession(server.url, "", Secret(""))).connect_platform()
        assert "'Mine' (w1)" in str(caught.value)
    with scripted(answer(200, version), answer(200, two)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("")), workspace="Theirs")
        assert client.api_version.workspace == "w2"


def test_oldest_organization_is_used():
    organizations = (
        b'{"organizations": [{"organizationId": "new", "organizationCreatedAt": "2025-02-01T00:00:00Z"},'
        b' {"organizationId": "old", "organizationCreatedAt": "2024-02-01T00:00:00Z"}]}'
    )
    answers = (b'{"product-version": "2.6.0"}', organizations, b'{"workspaces": [{"id": "w", "name": "W"}]}')
    with scripted(*(answer(200, body) for body in answers)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("token")))
        assert client.api_version.root == "/api/v1/organizations/old/workspaces/w"
        assert "x-api-key: token" in server.requests[-1]


def test_secrets_are_not_sent_over_plain_http():
    with pytest.raises(PlatformRefused, match="plain http"):
        GetiSession("http://geti.example.com", "", Secret("token"))
    with scripted(answer(404)) as server:
        session = GetiSession("http://sc.example.com:8080", "user", Secret("password"))
        session.log_in()  # no login is tried: a request would fail
        assert server.requests == []
    for session in (GetiSession("https://x", "user", Secret("hidden")), GetiSession("https://x", "", Secret("hidden"))):
        assert "hidden" not in repr(session)


def test_server_urls_are_requested_on_the_configured_host():
    assert path_of_url("https://elsewhere.example/api/v1/x?y=1") == "/api/v1/x?y=1"
    assert path_of_url("/api/v1.0/x/display/full ") == "/api/v1.0/x/display/full"
    assert base_url("https://sc.example/api/v1.0/") == "https://sc.example"
    assert base_url("https://geti.example/api/v1") == "https://geti.example"


@pytest.mark.parametrize(
    ("key", "secret", "token"), [("t", "", True), ("", "t", True), ("user", "pw", False), ("", "", False)]
)
def test_key_alone_is_a_token_and_a_pair_is_user_and_password(key, secret, token):
    adapter = PLATFORMS["geti"].connect(Connection("https://geti.example", key, Secret(secret)))
    assert isinstance(adapter, Geti)
    assert adapter.client.session.has_token is token


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="kinds"):
        connect(Connection("https://geti.example", "t", options={"kinds": "detection"}))
    with pytest.raises(ValueError, match="no project is of the kind"):
        connect(Connection("https://geti.example", "t", options={"kind": "detektion"}))
