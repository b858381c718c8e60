"""Environments of their own for vendors' SDKs that judge our stand-ins: they do not resolve together with ours.

They are made on first use, in the folder that LABELWRIGHT_SDKS names (kept from run to run), else in the tests' own
temporary one. One that cannot be made makes its test fail, and says how to get it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def python_with(name: str, requirement: str, temporary: Path, *more: str) -> Path:
    """The interpreter of an environment that holds the requirement, as in `cvat-sdk==2.15.0`, and `more` beside it."""
    folder = Path(os.environ.get("LABELWRIGHT_SDKS") or temporary) / name
    python, whole = folder / "bin" / "python", folder / "whole"
    with alone(folder):
        if not whole.exists():
            run([sys.executable, "-m", "venv", "--clear", str(folder)], requirement)
            run([str(python), "-m", "pip", "install", "--quiet", requirement, *more], requirement)
            whole.touch()
    return python


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While another process of the tests makes this environment, wait for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command: list[str], requirement: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode:
        pytest.fail(
            f"{requirement} is needed in an environment of its own, and {' '.join(command[:4])} failed:\n"
            f"{done.stderr[-2000:]}\nMake one where pip can reach an index, and name its folder in LABELWRIGHT_SDKS."
        )
