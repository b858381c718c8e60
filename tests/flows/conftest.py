"""A real Prefect server, a real labeling service, and images made by Pillow: shared by the tests of flows."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
    temporary_settings,
)

from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.local.servers import Server, free_port, start_prefect
from labelwright.prefect_integration.runtime import flush_logs_and_events
from labelwright.security.private_files import private_folder
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from labelwright.settings import forget_settings
from tests.prefect_database import prepare_database
from tests.tasks.without_prefect import run_as_functions


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory) -> Iterator[Server]:
    """Prefect's own server for the whole session; flows of this process run against it."""
    home = tmp_path_factory.mktemp("prefect")
    prepare_database(home)
    server = start_prefect(home, port=free_port(0))
    test_settings = {
        PREFECT_API_URL: f"{server.url}/api",
        PREFECT_HOME: home / "client",
        PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # each flow would wait up to a second for its heartbeat's thread
    }
    # Flows of this process and workers of the crash tests, which inherit the environment, talk to this server.
    os.environ["PREFECT_API_URL"] = f"{server.url}/api"
    try:
        with temporary_settings(test_settings):
            yield server
            flush_logs_and_events()
    finally:
        del os.environ["PREFECT_API_URL"]
        server.stop()


@pytest.fixture(scope="session")
def deployed(prefect_server, tmp_path_factory) -> list[str]:
    """The deployments, as they are by default, and the blocks; a test that deploys otherwise puts them back."""
    from labelwright.prefect_integration.deployments import deploy

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELWRIGHT_HOME", str(tmp_path_factory.mktemp("deployed")))
        forget_settings()
        names = deploy()
    forget_settings()
    return names


@pytest.fixture
def plain_flows(request, monkeypatch) -> None:
    """Flows and tasks as plain functions, in a tenth of the time, unless the test asks for Prefect's server."""
    if "prefect_server" not in request.fixturenames:
        run_as_functions(monkeypatch)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    """A home folder of its own for each test."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    forget_settings()
    yield tmp_path / "home"
    forget_settings()


@pytest.fixture
def service(home, monkeypatch) -> Iterator[str]:
    """The embedded service, in a thread of this process: a process of its own takes seconds to start. Its URL."""
    with serving(ServiceConfig(data_dir=private_folder(home) / "service")) as url:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL", f"{url}/api/v1")
        forget_settings()
        yield url


def make_photos(folder: Path, count: int, size: tuple[int, int] = (60, 40)) -> list[str]:
    """Different JPEG files, the same ones each time."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number in range(count):
        noise = random.Random(number)
        picture = Image.new("RGB", size, (noise.randrange(256), noise.randrange(256), noise.randrange(256)))
        picture.putpixel((number % size[0], 0), (255, 255, 255))
        names.append(f"photo-{number:03}.jpg")
        picture.save(folder / names[-1], quality=90)
    return names


def make_spec(title: str, folder: Path, output: Path, **fields: object) -> CampaignSpec:
    document = {
        "title": title,
        "images": {"folder": str(folder)},
        "labels": [{"name": "boat", "geometry": "any"}, "buoy"],
        "labeler": "partner@example.com",
        "export": {"folder": str(output)},
        **fields,
    }
    return validate_spec(document, "test")
