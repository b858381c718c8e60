"""Creates a virtual environment for an Azure ML SDK that cannot be installed beside Labelwright.

    python -m labelwright.stores.azure_ml.environment v1 FOLDER [PACKAGE ...]

Prints the Python to name in the workspace's settings (`python_v1`, `python_v2`). An existing environment is
kept. Packages come from where pip is configured to get them.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = {
    # azureml-dataprep brings azure-identity, and the cloudpickle that does not go with Prefect.
    "v1": ("azureml-core>=1.60", "azureml-dataprep>=5.1"),
    "v2": ("azure-ai-ml>=1.27", "azure-identity>=1.19"),
}


def make_environment(engine: str, folder: Path, more: tuple[str, ...] = ()) -> Path:
    """Returns the environment's Python. Raises CalledProcessError when pip fails."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True, symlinks=sys.platform != "win32")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES[engine], *more], check=True, stdout=sys.stderr)
    return python


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in PACKAGES:
        sys.exit(__doc__)
    sys.stdout.write(f"{make_environment(sys.argv[1], Path(sys.argv[2]).resolve(), tuple(sys.argv[3:]))}\n")
