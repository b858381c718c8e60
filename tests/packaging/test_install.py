"""A plain `pip install .` on a fresh machine ends with a program that runs the demo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.schemas import output_in_schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_plain_install_runs_the_demo_and_repeats_it(tmp_path):
    """Nothing of the lock file, nothing of this environment: what the ranges of pyproject.toml resolve to today."""
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".venv", ".git", "build", "node_modules", "*.egg-info"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LABELWRIGHT"))}
    run(sys.executable, "-m", "venv", tmp_path / "venv", env=environment)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", source, env=environment)
    run(python, "-m", "pip", "check", env=environment)
    shutil.rmtree(source)
    program, folder = tmp_path / "venv" / "bin" / "labelwright", tmp_path / "demo"
    first = output_in_schema("demo", run(program, "demo", "--folder", folder, "--json", env=environment, cwd=tmp_path))
    second = json.loads(run(program, "demo", "--folder", folder, "--json", env=environment, cwd=tmp_path))
    assert first["state"] == second["state"] == "exported"
    assert [dataset["version"] for dataset in second["datasets"]] == ["1", "1"]
    assert first["effects"] == second["effects"]
    assert (folder / "home" / "campaigns" / "demo-photographs" / "contact-sheet.png").stat().st_size > 100_000
    service = json.loads((folder / "home" / "service" / "service.json").read_text())
    assert not _answers(service["port"]), "the service was left running"


def run(*command: object, **more: Any) -> str:
    process = subprocess.run(
        [str(argument) for argument in command], capture_output=True, text=True, timeout=900, **more
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return str(process.stdout)


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
