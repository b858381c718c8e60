"""Environment of the vendor's client: its pinned versions conflict with Prefect's.

    python -m tests.platforms.geti.sdk_environment          creates it and prints its interpreter

It is created once, in the folder of LABELWRIGHT_SDKS or in the temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.sdk_environments import alone

VERSION = "2.13.1"


def interpreter() -> Path:
    """The Python that has the client. Raises CalledProcessError when it cannot be installed."""
    folder = Path(os.environ.get("LABELWRIGHT_SDKS") or tempfile.gettempdir()) / f"labelwright-geti-sdk-{VERSION}"
    python, marker = folder / "bin" / "python", folder / f"geti-sdk-{VERSION}"
    with alone(folder):
        if not marker.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, f"geti-sdk=={VERSION}"], check=True)
            marker.touch()
    return python


if __name__ == "__main__":
    print(interpreter())
