"""label-studio-sdk works with the fake server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sdk_environments import python_with

from .fake_server.server import FakeLabelStudio

JUDGE = Path(__file__).parent / "judge.py"

pytestmark = pytest.mark.sdk


def test_the_vendors_own_sdk_works_with_the_stand_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    python = python_with("label-studio-sdk", "label-studio-sdk==2.1.2", tmp_path_factory.getbasetemp().parent)
    with FakeLabelStudio() as server:
        server.world.guards_addresses = False
        command = [str(python), str(JUDGE), server.url, server.pat]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr[-6000:]
        assert done.stdout.endswith("judged\n")
