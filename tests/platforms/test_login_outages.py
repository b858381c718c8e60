"""Logins and credential checks: an outage is tried again; a wrong credential and a missing right are not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from labelwright.platforms import AccessDenied, PlatformError, PlatformUnavailable
from labelwright.platforms.campaign_api.adapter import CampaignApi
from labelwright.platforms.cvat.client import Client as CvatClient
from labelwright.platforms.geti.session import LOGIN_PAGE, GetiSession
from labelwright.platforms.http.logins import Login, forget_logins
from labelwright.platforms.protocol import Secret
from labelwright.platforms.remo.session import RemoSession
from labelwright.platforms.scale.adapter import Scale
from labelwright.platforms.scale.options import Options
from tests.network.fault_server import Behavior, Received, fault_server, page, refuse, response, silent

SHORT = (1.0, 1.0)
JSON = "Content-Type: application/json"


def check_campaign_api(url: str) -> object:
    return CampaignApi(url, "key", Secret("secret-of-it"), timeout=SHORT, patience=0).check()


def check_cvat(url: str) -> object:
    return CvatClient(url, "anna", Secret("secret-of-it"), timeout=SHORT, patience=0).log_in()


def check_cvat_token(url: str) -> object:
    return CvatClient(url, "", Secret("secret-of-it"), timeout=SHORT, patience=0).log_in()


def check_geti(url: str) -> object:
    return GetiSession(url, "anna", Secret("secret-of-it"), timeout=SHORT, patience=0).log_in()


def check_geti_token(url: str) -> object:
    session = GetiSession(url, "", Secret("secret-of-it"), timeout=SHORT, patience=0)
    return session.request("list workspaces", "GET", "/api/v1/workspaces")


def check_remo(url: str) -> object:
    return RemoSession(url, "anna@example.com", Secret("secret-of-it"), timeout=SHORT, patience=0).server()


def check_scale(url: str) -> object:
    options = Options(timeout_seconds=1, connect_seconds=1, patience_seconds=0, storm_seconds=1)
    return Scale(url, "live_secret-of-it", options=options).check()


Check = Callable[[str], object]
CHECKS: dict[str, Check] = {
    "campaign_api": check_campaign_api,
    "cvat": check_cvat,
    "cvat by token": check_cvat_token,
    "geti": check_geti,
    "geti by token": check_geti_token,
    "remo": check_remo,
    "scale": check_scale,
}
EVERY = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)


@pytest.fixture(autouse=True)
def no_logins() -> Iterator[None]:
    forget_logins()
    yield
    forget_logins()


def cut(_request: Received, connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def failure(check: Check, behavior: Behavior) -> PlatformError:
    with fault_server(behavior) as server, pytest.raises(PlatformError) as caught:
        check(server.url)
    assert "secret-of-it" not in str(caught.value)
    return caught.value


@EVERY
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_server_error_is_an_outage(check: Check, status: int) -> None:
    assert isinstance(failure(check, refuse(status)), PlatformUnavailable)


@EVERY
@pytest.mark.parametrize("behavior", [cut, silent, page(503)], ids=["cut", "silent", "a proxy's page"])
def test_no_answer_is_an_outage(check: Check, behavior: Behavior) -> None:
    assert isinstance(failure(check, behavior), PlatformUnavailable)


@EVERY
def test_401_is_a_wrong_credential(check: Check) -> None:
    error = failure(check, version_of_remo_and(form_of_geti_and(refuse(401))))
    assert isinstance(error, AccessDenied)
    assert "role" not in error.advice


@pytest.mark.parametrize("check", [check_cvat, check_remo], ids=["cvat", "remo"])
def test_400_to_a_login_is_a_wrong_password(check: Check) -> None:
    error = failure(check, version_of_remo_and(refuse(400)))
    assert isinstance(error, AccessDenied)
    assert "password" in error.advice


@pytest.mark.parametrize("name", ["campaign_api", "cvat by token", "geti by token", "scale"])
def test_403_is_a_missing_right(name: str) -> None:
    error = failure(CHECKS[name], refuse(403))
    assert isinstance(error, AccessDenied)
    assert error.status == 403


def version_of_remo_and(behavior: Behavior) -> Behavior:
    """Remo tells its version before the login; everything else is answered as `behavior` does."""

    def behave(request: Received, connection: socket.socket) -> None:
        if request.path == "/api/version":
            connection.sendall(response(200, b'{"app": "remo", "version": "0.5.4"}', JSON))
        else:
            behavior(request, connection)

    return behave


def form_of_geti_and(behavior: Behavior) -> Behavior:
    """Geti's proxy shows a form before a password is sent; everything else is answered as `behavior` does."""

    def behave(request: Received, connection: socket.socket) -> None:
        if request.method == "GET" and request.path.startswith(LOGIN_PAGE):
            connection.sendall(response(200, b"<form><input type=password></form>", "Content-Type: text/html"))
        else:
            behavior(request, connection)

    return behave


def logs_in_once(login_path: str, token: dict[str, str]) -> Behavior:
    """The first login succeeds; its token is refused at once, and the next login fails with 503."""
    logins: list[str] = []

    def behave(request: Received, connection: socket.socket) -> None:
        if request.path != login_path:
            refuse(401)(request, connection)
        elif logins:
            refuse(503)(request, connection)
        else:
            logins.append(request.path)
            connection.sendall(response(200, json.dumps(token).encode(), JSON))

    return behave


def test_new_login_to_cvat_that_fails_is_an_outage() -> None:
    error = failure(check_cvat, logs_in_once("/api/auth/login", {"key": "0" * 40}))
    assert isinstance(error, PlatformUnavailable)
    assert error.status == 503


def test_new_login_to_remo_that_fails_is_an_outage() -> None:
    def list_datasets(url: str) -> object:
        session = RemoSession(url, "anna@example.com", Secret("secret-of-it"), timeout=SHORT, patience=0)
        return session.call("list datasets", "GET", "/api/v1/ui/datasets/")

    error = failure(list_datasets, version_of_remo_and(logs_in_once("/api/rest-auth/login/", {"key": "0" * 40})))
    assert isinstance(error, PlatformUnavailable)
    assert error.status == 503


def test_new_login_to_geti_that_fails_is_an_outage() -> None:
    """The proxy sends a session that has ended to its login page, whose server is away."""
    login = Login[dict[str, str]]()
    login.enter(lambda: {"_oauth2_proxy": "a-session-that-ended"})

    def behave(request: Received, connection: socket.socket) -> None:
        status = 302 if request.path.startswith("/api") else 502
        connection.sendall(response(status, b"", "Location: /dex/auth"))

    def list_workspaces(url: str) -> object:
        session = GetiSession(url, "anna", Secret("secret-of-it"), timeout=SHORT, patience=0, login=login)
        return session.request("list workspaces", "GET", "/api/v1/workspaces")

    error = failure(list_workspaces, behave)
    assert isinstance(error, PlatformUnavailable)
    assert error.status == 502


def test_proxy_without_a_cvat_behind_it_is_an_outage() -> None:
    """As Traefik answers while the containers behind it are restarted."""

    def behave(_request: Received, connection: socket.socket) -> None:
        body = b"404 page not found\n"
        connection.sendall(response(404, body, "Content-Type: text/plain; charset=utf-8"))

    for check in (check_cvat, check_cvat_token):
        assert isinstance(failure(check, behave), PlatformUnavailable)
