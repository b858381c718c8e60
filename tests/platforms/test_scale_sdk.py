"""Scale's own client, unchanged, is the judge of the stand-in: over http, and over TLS, where it retries."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import scale_judge
from .scale_server import ScaleServer

pytestmark = pytest.mark.sdk
SDK = "scaleapi==2.18.4"
NAMES = [case.__name__ for case in scale_judge.CASES]


@functools.cache
def judges_python() -> Path:
    """The Python of an environment that has scaleapi, made once a folder (LABELWRIGHT_SDKS, by default one of the
    system's for temporary files). It does not share an environment with us: it would decide our versions."""
    shelf = Path(os.environ.get("LABELWRIGHT_SDKS") or Path(tempfile.gettempdir()) / f"labelwright-sdks-{os.getuid()}")
    home = shelf / SDK.replace("==", "-")
    python = home / "bin" / "python"
    if subprocess.run([str(python), "-c", "import scaleapi"], capture_output=True).returncode if python.exists() else 1:
        venv.create(home, with_pip=True, clear=True)
        answer = subprocess.run([str(python), "-m", "pip", "install", "--quiet", SDK], capture_output=True, text=True)
        if answer.returncode:
            pytest.fail(
                f"{SDK} could not be installed into {home}: pip needs a package index.\n{answer.stderr[-2000:]}"
            )
    return python


def judged(server: ScaleServer) -> dict[str, str | None]:
    """What went wrong in each case; None: nothing."""
    for status in (429, 500, 503, 504, 418):
        server.fail("GET", f"projects/fault-{status}", status, times=99)
    server.fail("POST", "/task/", 429, body=b"429 once")
    server.fail("POST", "/task/", 500, after=True, body=b"500 after it was made")
    server.fail("POST", "/task/", 500, after=True, body=b"without unique_id")
    command = [str(judges_python()), scale_judge.__file__, server.url, *([server.ca] if server.ca else [])]
    # The client's second look after a 409 forgets its own `verify`: it needs the authority from the environment.
    environment = os.environ | ({"REQUESTS_CA_BUNDLE": server.ca} if server.ca else {})
    environment = {
        name: value for name, value in environment.items() if name.lower() not in ("http_proxy", "https_proxy")
    }
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert answer.returncode == 0, answer.stderr
    told = [json.loads(line) for line in answer.stdout.splitlines()]
    return {one["case"]: one["fault"] for one in told}


@pytest.fixture(scope="module", params=["http", "https"])
def faults(request: pytest.FixtureRequest) -> Iterator[dict[str, str | None]]:
    with ScaleServer(tls=request.param == "https") as server:
        yield judged(server)


@pytest.mark.parametrize("case", NAMES)
def test_the_vendors_client_agrees(faults: dict[str, str | None], case: str) -> None:
    assert faults[case] is None, faults[case]


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
    root = Path(__file__).resolve().parents[2]
    assert "scaleapi" not in (root / "pyproject.toml").read_text(encoding="utf-8")
    imports = [
        path
        for folder in ("src", "flows", "tasks")
        for path in (root / folder).rglob("*.py")
        if "import scaleapi" in path.read_text(encoding="utf-8")
    ]
    assert imports == []
    assert "scaleapi" not in sys.modules
