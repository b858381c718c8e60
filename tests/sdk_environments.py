"""Separate environments for vendors' SDKs that verify our fake servers. Their requirements conflict with ours.

They are created on first use, in the folder LABELWRIGHT_SDKS (kept between runs) or in a temporary one. If that fails,
the test fails with a message that says how to create the environment.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def shelf() -> Path:
    """The folder for what is made once: LABELWRIGHT_SDKS, by default one of the user's among the temporary files."""
    return Path(os.environ.get("LABELWRIGHT_SDKS") or Path(tempfile.gettempdir()) / f"labelwright-sdks-{os.getuid()}")


def python_with(name: str, requirement: str, temporary: Path, *requirements: str) -> Path:
    """Returns the Python of an environment with the requirement, as in `cvat-sdk==2.15.0`, and further ones."""
    folder = Path(os.environ.get("LABELWRIGHT_SDKS") or temporary) / name
    python, complete = folder / "bin" / "python", folder / "whole"
    with alone(folder):
        if not complete.exists():
            run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], requirement)
            pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
            run([*pip, requirement, *requirements], requirement)
            complete.touch()
    return python


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Waits while another test process creates this environment."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str], requirement: str) -> None:
    completed = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if completed.returncode:
        pytest.fail(
            f"{requirement} needs a separate environment, and {' '.join(command[:4])} failed:\n"
            f"{completed.stderr[-2000:]}\n"
            "Create it where pip can reach an index, and set LABELWRIGHT_SDKS to its folder."
        )
