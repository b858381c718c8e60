"""The service with the operations page on a real socket, above a ledger with campaigns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from labelwright.ledger import Ledger, open_ledger
from labelwright.operations.access import Door
from labelwright.operations.app import create_operations
from labelwright.operations.sources import Sources
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.prefect_integration.requested_runs import RunNotStarted, RunStatus
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import forget_settings, settings
from tests.service.page.conftest import browser as browser  # noqa: PLC0414 - a fixture
from tests.service.page.conftest import driver as driver  # noqa: PLC0414 - a fixture
from tests.service.page.conftest import pytest_generate_tests as pytest_generate_tests  # noqa: PLC0414 - a hook

KEY, SECRET = "admin-key", "an-admin-secret-of-the-tests"
READER = ("reader-key", "a-reader-secret-of-the-tests")


RUNNING = RunStatus("Running", False, False, "", "http://127.0.0.1:4200/runs/flow-run/1")


@dataclass
class FakeRuns:
    """Runs that no worker executes."""

    started: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """Deployment and parameters by key."""
    state: RunStatus = RUNNING
    refusal: str = ""

    def ui(self) -> str | None:
        return "http://127.0.0.1:4200"

    def start(self, deployment: str, parameters: Mapping[str, bool | str], key: str) -> str:
        if self.refusal:
            raise RunNotStarted(self.refusal)
        self.started.setdefault(key, (deployment, dict(parameters)))
        return f"run-{list(self.started).index(key) + 1}"

    def status(self, run: str) -> RunStatus:
        return self.state

    def end(self, message: str, *, succeeded: bool = True) -> None:
        name = "Completed" if succeeded else "Failed"
        self.state = replace(self.state, state=name, is_over=True, succeeded=succeeded, message=message)


class Person:
    """Somebody with a browser that runs no scripts."""

    def __init__(self, url: str) -> None:
        self.url, self.session = f"{url}/operations", requests.Session()

    def log_in(self, key: str = KEY, secret: str = SECRET) -> requests.Response:
        return self.post("/login", key=key, secret=secret)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=60, **{"allow_redirects": False, **options})

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> requests.Response:
        return self.session.post(self.url + path, data=fields, headers=headers, timeout=60, allow_redirects=False)

    def form(self, title: str, action: str) -> str:
        """The token in the form that asks for confirmation."""
        text = self.get("/confirm", params={"title": title, "action": action}).text
        token = re.search(r'name="form" value="([^"]+)"', text)
        assert token is not None, text
        return token[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_OPERATIONS__READER_KEY", READER[0])
    monkeypatch.setenv("LABELWRIGHT_OPERATIONS__READER_SECRET", READER[1])
    forget_settings()
    yield settings().home
    forget_settings()


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    home.mkdir(exist_ok=True)
    opened = open_ledger(settings().ledger_address())
    yield opened
    opened.close()


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def site(home: Path, runs: FakeRuns) -> Iterator[str]:
    """The address of a service with the page."""
    folder = home / "service"
    config = ServiceConfig(folder, admin_key=KEY, admin_secret=SECRET)

    def mount(access: Any) -> dict[str, Any]:
        door = Door(access, settings().operations, folder / "operations.key")
        return {"/operations": create_operations(door, Sources(CONNECTIONS, runs))}

    with serving(config, mount) as url:
        yield url


@pytest.fixture
def person(site: str) -> Callable[..., Person]:
    """Somebody who is logged in with these keys."""

    def arrive(key: str = KEY, secret: str = SECRET) -> Person:
        visitor = Person(site)
        assert visitor.log_in(key, secret).status_code == 303
        return visitor

    return arrive
