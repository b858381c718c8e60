"""One login for each connection and process, on every platform that has logins."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from labelwright.platforms import AccessDenied
from labelwright.platforms.http.logins import Login, forget_logins, shared_login
from labelwright.platforms.protocol import Secret
from labelwright.platforms.registry import PLATFORMS, Connection
from tests.platforms.cvat.fake_server.server import FakeCvat
from tests.platforms.geti.server import PASSWORD as GETI_PASSWORD
from tests.platforms.geti.server import SC, USER, geti_server
from tests.platforms.remo.server import EMAIL, RemoServer
from tests.platforms.remo.server import PASSWORD as REMO_PASSWORD

THREADS = 8


@dataclass
class Served:
    """A server of one platform: how it is reached, and how many logins it saw."""

    platform: str
    url: str
    key: str
    secret: str
    logins: Callable[[], int]
    end: Callable[[], object]
    """Ends every session on the server."""

    def connect(self, secret: str = "", **options: Any) -> Any:
        connection = Connection(self.url, self.key, Secret(secret or self.secret), options)
        return PLATFORMS[self.platform].connect(connection)


def _cvat(stack: ExitStack) -> Served:
    server = stack.enter_context(FakeCvat("2.15"))

    def end() -> None:
        server.requester.token = os.urandom(20).hex()

    return Served(
        "cvat", server.url, "requester", "requester-password", lambda: server.count("POST", "/auth/login"), end
    )


def _geti(stack: ExitStack) -> Served:
    server = stack.enter_context(geti_server(SC, smallest=1))

    def logins() -> int:
        return [path for _, path in server.requests].count("/user/login")

    return Served("geti", server.url, USER, GETI_PASSWORD, logins, server.sessions.clear)


def _remo(stack: ExitStack) -> Served:
    server = stack.enter_context(RemoServer(modern=True))

    def end() -> None:
        server.token = os.urandom(20).hex()

    def logins() -> int:
        return len(server.calls("POST", "/api/rest-auth/login/"))

    return Served("remo", server.url, EMAIL, REMO_PASSWORD, logins, end)


@pytest.fixture(params=[_cvat, _geti, _remo], ids=["cvat", "geti", "remo"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    forget_logins()
    with ExitStack() as stack:
        yield request.param(stack)
    forget_logins()


def in_threads(work: Callable[[], object]) -> list[BaseException]:
    """Do the work in several threads that begin at once. Returns what they raised."""
    together, raised = threading.Barrier(THREADS), []

    def begin() -> None:
        together.wait(120)
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    threads = [threading.Thread(target=begin) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised


def test_adapters_of_one_connection_log_in_once(served: Served) -> None:
    for number in range(5):
        # Campaigns with options of their own are reached through adapters of their own.
        served.connect(timeout_seconds=20 + number).find_campaign("nobody")
    assert served.logins() == 1


def test_threads_that_begin_at_once_log_in_once(served: Served) -> None:
    assert in_threads(lambda: served.connect().find_campaign("nobody")) == []
    assert served.logins() == 1


def test_a_session_that_ended_is_begun_again_once_by_all_threads(served: Served) -> None:
    served.connect().find_campaign("nobody")
    served.end()
    assert in_threads(lambda: served.connect().find_campaign("nobody")) == []
    assert served.logins() == 2


def test_a_changed_password_has_a_login_of_its_own(served: Served) -> None:
    served.connect().check()
    with pytest.raises(AccessDenied):
        served.connect(secret="another password").check()
    served.connect().check()
    assert served.logins() == 2


def test_a_refused_password_is_not_tried_by_every_thread() -> None:
    login: Login[str] = Login()
    waiting, tries = threading.Event(), []

    def log_in() -> str:
        tries.append(1)
        waiting.wait(120)
        raise AccessDenied("cvat", "log in", status=400)

    raised: list[AccessDenied] = []
    begun: list[int] = []

    def enter() -> None:
        begun.append(1)
        try:
            login.enter(log_in)
        except AccessDenied as denied:
            raised.append(denied)

    threads = [threading.Thread(target=enter) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    while not tries or len(begun) < THREADS:
        time.sleep(0.01)
    time.sleep(0.2)  # so that all others wait for the one that logs in
    waiting.set()
    for thread in threads:
        thread.join(20)
    assert len(raised) == THREADS
    assert len({id(error) for error in raised}) == THREADS, "one error for each thread: they keep their own traceback"
    assert len(tries) == 1
    with pytest.raises(AccessDenied):
        login.enter(log_in)
    assert len(tries) == 2, "a later try asks the server again"


def test_a_login_shows_no_secret() -> None:
    login = shared_login("cvat", "http://host", "key", Secret("canary-secret"))
    login.enter(lambda: "canary-token")
    assert "canary" not in repr(login)
    assert shared_login("cvat", "http://host/", "key", Secret("canary-secret")) is login
    assert shared_login("cvat", "http://host", "key", Secret("other")) is not login
    assert shared_login("geti", "http://host", "key", Secret("canary-secret")) is not login


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_logs_in_by_itself() -> None:
    login = shared_login("cvat", "http://host", "key", Secret("secret"))
    login.enter(lambda: "token")
    child = os.fork()
    if not child:
        os._exit(int(shared_login("cvat", "http://host", "key", Secret("secret")).session is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert login.session == "token"
