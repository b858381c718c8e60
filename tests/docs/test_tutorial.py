"""The tutorial, from top to bottom in an empty folder, as somebody copies it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
INSTALLATION = """\
SOURCE=~/labelwright
python3 -m venv .venv
. .venv/bin/activate
pip install --quiet "$SOURCE"
labelwright --version
"""


@pytest.mark.slow
def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """Every `sh` block in one shell that stops at a failure; `tests/packaging/test_install.py` installs."""
    home, empty = tmp_path / "user", tmp_path / "empty"
    home.mkdir()
    empty.mkdir()
    blocks = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 10
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LABELWRIGHT", "PREFECT", "PYTHON", "VIRTUAL_ENV"))
    } | {"HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    environment["PATH"] = f"{sysconfig.get_path('scripts')}:{environment['PATH']}"
    script = "\n".join(["set -eu -o pipefail", *(block for block in blocks if block != INSTALLATION), "wait"])
    assert INSTALLATION in blocks
    log = tmp_path / "output.txt"
    with log.open("w") as file:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=empty,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(timeout=2700)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the tutorial did not end:\n{log.read_text()[-5000:]}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    output = log.read_text()
    assert shell.returncode == 0, output[-5000:]
    made = empty / "harbour"
    assert "first is exported" in output
    assert re.search(r"9 images, \d\d objects", output), output[-5000:]
    version = made / "datasets" / "first_labels" / "v1"
    parts = [json.loads((version / f"first_coco_{part}.json").read_text()) for part in ("train", "validation")]
    assert sum(len(part["images"]) for part in parts) == 9
    assert all(part["annotations"] for part in parts), "both parts have objects"
    assert "names:" in (version / "first_yolo" / "data.yaml").read_text()
    assert not (home / ".labelwright").exists(), "the tutorial changes nothing outside of its folder"
    assert not (made / "datasets" / "first_labels" / "v2").exists()
