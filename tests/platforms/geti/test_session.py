"""Logging in, being logged out, and what is never sent where."""

from __future__ import annotations

import io
import threading

import pytest

from labelwright.platforms.errors import AccessDenied, PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.adapter import Geti, connect
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.session import GetiSession, host_of, path_on_host
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


@pytest.mark.parametrize("how", ["401", "html", "302", "end"])
def test_an_ended_session_is_begun_again_and_the_question_repeated_once(sc, how):
    client = client_of(sc)
    client.connect_platform()
    sc.break_next("GET", "projects/", how)
    assert client.find_project("nobody") is None
    assert [path for _, path in sc.requests].count("/user/login") == 2


def test_a_session_that_ends_at_once_again_is_told_and_not_begun_for_ever(sc):
    client = client_of(sc)
    client.connect_platform()
    sc.break_next("GET", "projects/", "html", times=100)
    with pytest.raises(PlatformUnavailable):
        client.find_project("nobody")
    assert [path for _, path in sc.requests].count("/user/login") == 2


def test_what_creates_is_not_said_again_after_a_page_of_html_but_after_a_401(sc):
    client = client_of(sc)
    client.connect_platform()
    sc.break_next("POST", "projects$", "html")
    with pytest.raises(PlatformUnavailable):
        client.create_project("once", DETECTION)
    sc.break_next("POST", "projects$", "401")
    client.create_project("once", DETECTION)
    assert [one.name for one in client.projects()].count("once") == 1


def test_an_upload_goes_on_after_the_session_ended_and_sends_the_file_from_its_start(sc):
    client = client_of(sc)
    project = client.create_project("upload", DETECTION)
    sc.break_next("POST", "media/images", "401")
    sent = client.upload(project, "a.png", lambda: io.BytesIO(picture("a.png")))
    into = io.BytesIO()
    client.download(project, sent, into)
    assert into.getvalue() == picture("a.png")


def test_a_download_that_is_a_page_of_html_is_no_image(sc):
    client = client_of(sc)
    project = client.create_project("download", DETECTION)
    sent = client.upload(project, "a.png", lambda: io.BytesIO(picture("a.png")))
    sc.break_next("GET", "display/full", "html")
    into = io.BytesIO()
    client.download(project, sent, into)
    assert into.getvalue() == picture("a.png")


def test_many_threads_that_find_the_session_ended_log_in_once(sc):
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


def test_a_wrong_password_is_told_and_not_shown(sc):
    with pytest.raises(AccessDenied) as caught:
        client_of(sc, secret="not the password").connect_platform()
    assert "not the password" not in str(caught.value)


def test_a_server_without_login_is_entered_without_one_even_with_a_password():
    with geti_server(SC, login=False) as server:
        assert client_of(server).connect_platform() == SC
        assert client_of(server, "", "").connect_platform() == SC


def test_a_token_that_expired_ends_it():
    with geti_server("2.12.1") as server:
        with pytest.raises(AccessDenied) as caught:
            client_of(server, "", "an-old-token").connect_platform()
        assert "token has expired" in str(caught.value)
        assert "an-old-token" not in str(caught.value)
        assert [path for _, path in server.requests] == ["/api/v1/product_info"]


def test_every_write_to_geti_bears_the_mark_against_forgery():
    with geti_server("2.12.1") as server:  # refuses writes without it
        client_of(server, "", TOKEN).create_project("written", DETECTION)


def test_the_dialect_follows_the_version_and_not_the_credential():
    said = b'{"product-version": "2.3.0"}'
    with scripted(answer(404), answer(200, said)) as server, pytest.raises(AccessDenied) as caught:
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
def test_versions_1_that_were_built_after_sonoma_creek_are_not_taken_for_it(version, name):
    """Geti began at 1.0 again, and tells pixels: fractions would be taken for boxes smaller than a pixel."""
    answers = [b'{"product-version": "%s"}' % version.encode()]
    answers += [b'{"organizationId": "o"}'] if name == "Geti" else []
    answers += [b'{"workspaces": [{"id": "w", "name": "W"}]}']
    with scripted(*(answer(200, one) for one in answers)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("token")))
        if name is None:
            with pytest.raises(PlatformRefused, match="neither Sonoma Creek nor Geti"):
                client.connect_platform()
        else:
            assert client.dialect.name == name


def test_several_workspaces_are_refused_until_one_is_named():
    two = b'[{"id": "w1", "name": "Mine"}, {"id": "w2", "name": "Theirs"}]'
    version = b'{"product-version": "1.1.0"}'
    with scripted(answer(200, version), answer(200, two)) as server:
        with pytest.raises(PlatformRefused) as caught:
            GetiClient(GetiSession(server.url, "", Secret(""))).connect_platform()
        assert "'Mine' (w1)" in str(caught.value)
    with scripted(answer(200, version), answer(200, two)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("")), workspace="Theirs")
        assert client.dialect.workspace == "w2"


def test_of_several_organizations_the_oldest_is_taken():
    organizations = (
        b'{"organizations": [{"organizationId": "new", "organizationCreatedAt": "2025-02-01T00:00:00Z"},'
        b' {"organizationId": "old", "organizationCreatedAt": "2024-02-01T00:00:00Z"}]}'
    )
    answers = (b'{"product-version": "2.6.0"}', organizations, b'{"workspaces": [{"id": "w", "name": "W"}]}')
    with scripted(*(answer(200, one) for one in answers)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("token")))
        assert client.dialect.root == "/api/v1/organizations/old/workspaces/w"
        assert "x-api-key: token" in server.requests[-1]


def test_secrets_stay_out_of_the_open():
    with pytest.raises(PlatformRefused, match="plain http"):
        GetiSession("http://geti.example.com", "", Secret("token"))
    with scripted(answer(404)) as server:
        session = GetiSession("http://sc.example.com:8080", "user", Secret("password"))
        session.log_in()  # no login is tried: the address would be asked
        assert server.requests == []
    for session in (GetiSession("https://x", "user", Secret("hidden")), GetiSession("https://x", "", Secret("hidden"))):
        assert "hidden" not in repr(session)


def test_addresses_that_a_server_gives_are_asked_on_the_configured_host():
    assert path_on_host("https://elsewhere.example/api/v1/x?y=1") == "/api/v1/x?y=1"
    assert path_on_host("/api/v1.0/x/display/full ") == "/api/v1.0/x/display/full"
    assert host_of("https://sc.example/api/v1.0/") == "https://sc.example"
    assert host_of("https://geti.example/api/v1") == "https://geti.example"


@pytest.mark.parametrize(
    ("key", "secret", "token"), [("t", "", True), ("", "t", True), ("user", "pw", False), ("", "", False)]
)
def test_a_key_alone_is_a_token_and_a_pair_is_user_and_password(key, secret, token):
    made = PLATFORMS["geti"].connect(Connection("https://geti.example", key, Secret(secret)))
    assert isinstance(made, Geti)
    assert made.client.session.has_token is token


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="kinds"):
        connect(Connection("https://geti.example", "t", options={"kinds": "detection"}))
    with pytest.raises(ValueError, match="no project is of the kind"):
        connect(Connection("https://geti.example", "t", options={"kind": "detektion"}))
