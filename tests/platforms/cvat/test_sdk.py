"""cvat-sdk works with the fake server: 2.15.0 with the old API, a new one with the new API."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.platforms.contract import picture
from tests.sdk_environments import python_with

from .fake_server.server import Dialect, FakeCvat

JUDGE = Path(__file__).parent / "judge.py"

pytestmark = pytest.mark.sdk


@pytest.mark.parametrize(("dialect", "requirement"), [("2.15", "cvat-sdk==2.15.0"), ("requests", "cvat-sdk>=2.80")])
def test_the_vendors_own_sdk_works_with_the_stand_in(
    dialect: Dialect, requirement: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = python_with(f"cvat-{dialect}", requirement, tmp_path_factory.getbasetemp().parent)
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(picture(name))
    with FakeCvat(dialect) as cvat:
        cvat.version = version_of(python)
        command = [str(python), str(JUDGE), cvat.url, "requester", "requester-password", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr[-6000:]
        assert done.stdout.endswith("judged\n")
        assert "not compatible" not in done.stderr


def version_of(python: Path) -> str:
    """A server says of itself that it is of the SDK's version."""
    code = "import importlib.metadata as m; print(m.version('cvat-sdk'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
