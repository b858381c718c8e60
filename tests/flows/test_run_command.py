"""`labelwright run` in an empty folder: servers, link, labels, datasets; and once more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.platforms.protocol import LabelerAccess, Secret
from tests.cli.schemas import output_in_schema

from . import partner
from .conftest import make_photos
from .test_scaled_out import until

LABELER = "partner@example.com"

# Not on a terminal: there the command prints the link itself, which holds the labeler's key.
LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/label#key=(\w+)&secret=(\w+)&campaign=(\d+)")


@pytest.mark.slow  # starts Prefect's server twice
def test_a_folder_becomes_a_dataset_while_somebody_labels_behind_the_link(tmp_path):
    """The command as the README has it. Run again, it changes nothing."""
    make_photos(tmp_path / "photos", 3)
    unset = ("LABELWRIGHT_", "PREFECT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    environment |= {"HOME": str(tmp_path), "LABELWRIGHT_HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "labelwright", "run", "photos", "--labels", "boat,buoy"]
    command += ["--labeler", LABELER, "--look-every", "0.5"]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=tmp_path, env=environment
        )
    try:
        told = tmp_path / "errors"
        until(lambda: "labelwright labeler-key 'photos'" in told.read_text(), told.read_text, process)
        key = subprocess.run(
            [*command[:3], "labeler-key", "photos"], capture_output=True, text=True, env=environment, timeout=240
        )
        link = LINK.search(key.stdout)
        assert link, key.stdout + key.stderr
        url, name, secret, campaign = link.groups()
        assert partner.label(f"{url}/api/v1", campaign, LabelerAccess(LABELER, name, Secret(secret))) == 3
        printed, _ = process.communicate(timeout=240)
        assert process.returncode == 0, (tmp_path / "errors").read_text()
    finally:
        process.terminate()
        process.wait(240)
    assert "exported" in printed
    written = {path: path.read_bytes() for path in Path(tmp_path / "datasets").rglob("*") if path.is_file()}
    assert {"photos_labels.csv", "photos_coco.json"} <= {path.name for path in written}
    again = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=240
    )
    assert again.returncode == 0, again.stderr
    assert output_in_schema("run", again.stdout)["state"] == "exported"
    assert {path: path.read_bytes() for path in Path(tmp_path / "datasets").rglob("*") if path.is_file()} == written
