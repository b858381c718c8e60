"""Checks the fake server with Scale's own, unchanged client: over http, and over TLS, where it retries.

So is the test suite that Scale ships with the source of that client.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.sdk_environments import alone, python_with, run, shelf

from . import judge as scale_judge
from .server import ScaleServer

pytestmark = pytest.mark.sdk
SDK = "scaleapi==2.18.4"
NAMES = [case.__name__ for case in scale_judge.CASES]


@functools.cache
def judges_python() -> Path:
    """The Python of an environment that has scaleapi. It does not share an environment with us: it would decide our
    versions."""
    return python_with(SDK.replace("==", "-"), SDK, shelf(), "pytest")


@functools.cache
def vendors_suite() -> bytes:
    """The tests of the client, as its source distribution has them."""
    folder = shelf() / f"{SDK.replace('==', '-')}-source"
    with alone(folder):
        if not list(folder.glob("*.tar.gz")):
            fetch = ["download", "--quiet", "--no-deps", "--no-binary=:all:", f"--dest={folder}"]
            run([sys.executable, "-m", "pip", *fetch, SDK], f"the source of {SDK}")
    with tarfile.open(next(folder.glob("*.tar.gz"))) as source:
        member = next(path for path in source if path.name.endswith("/tests/test_client.py"))
        file = source.extractfile(member)
        assert file is not None
        return file.read()


def surroundings(server: ScaleServer) -> dict[str, str]:
    """The client's second look after a 409 forgets its own `verify`: it needs the authority from the environment."""
    environment = os.environ | ({"REQUESTS_CA_BUNDLE": server.ca} if server.ca else {})
    return {name: value for name, value in environment.items() if name.lower() not in ("http_proxy", "https_proxy")}


def judged(server: ScaleServer) -> dict[str, str | None]:
    """What went wrong in each case; None: nothing."""
    for status in (429, 500, 503, 504, 418):
        server.fail("GET", f"projects/fault-{status}", status, times=99)
    server.fail("POST", "/task/", 429, body=b"429 once")
    server.fail("POST", "/task/", 500, after=True, body=b"500 after it was made")
    server.fail("POST", "/task/", 500, after=True, body=b"without unique_id")
    command = [str(judges_python()), scale_judge.__file__, server.url, *([server.ca] if server.ca else [])]
    result = subprocess.run(command, capture_output=True, text=True, env=surroundings(server), timeout=300)
    assert result.returncode == 0, result.stderr
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    return {verdict["case"]: verdict["fault"] for verdict in verdicts}


@pytest.fixture(scope="module", params=["http", "https"])
def faults(request: pytest.FixtureRequest) -> Iterator[dict[str, str | None]]:
    with ScaleServer(tls=request.param == "https") as server:
        yield judged(server)


@pytest.mark.parametrize("case", NAMES)
def test_the_vendors_client_agrees(faults: dict[str, str | None], case: str) -> None:
    assert faults[case] is None, faults[case]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_the_vendors_own_test_suite_passes(tmp_path: Path, tls: bool) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_client.py").write_bytes(vendors_suite())
    Image.new("RGB", (8, 8)).save(tmp_path / "tests" / "test_image.png")  # which the distribution leaves out
    with ScaleServer(tls=tls) as server:
        # The suite names no address: it uses the client's own.
        patch = f"import scaleapi.api\n\nscaleapi.api.SCALE_API_BASE_URL_V1 = {server.url!r}\n"
        (tmp_path / "conftest.py").write_text(patch, encoding="utf-8")
        result = subprocess.run(
            [str(judges_python()), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_client.py"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=surroundings(server) | {"SCALE_TEST_API_KEY": "test_of_the_vendor"},
            timeout=300,
        )
    assert result.returncode == 0, result.stdout[-4000:]
    assert re.search(r"^48 passed", result.stdout, re.MULTILINE), result.stdout[-4000:]


def test_the_judge_can_condemn(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScaleServer() as server:
        monkeypatch.setattr(
            server.test,
            "list_batches",
            lambda query: {"docs": [], "totalDocs": 0, "limit": 1, "offset": 0, "has_more": False},
        )
        monkeypatch.setattr(server.test, "clear_unique_id", server.test.task)
        faults = judged(server)
    assert {name for name, fault in faults.items() if fault} >= {
        "batches_are_listed_newest_first_by_offset_to_the_end",
        "a_unique_id_is_taken_once_and_the_other_task_is_named",
    }


def test_scaleapi_is_no_dependency_of_ours() -> None:
    root = Path(__file__).resolve().parents[3]
    assert "scaleapi" not in (root / "pyproject.toml").read_text(encoding="utf-8")
    imports = [
        path
        for folder in ("src", "flows", "tasks")
        for path in (root / folder).rglob("*.py")
        if "import scaleapi" in path.read_text(encoding="utf-8")
    ]
    assert imports == []
    assert "scaleapi" not in sys.modules
