"""A database with Prefect's tables, made once for all tests: its first start takes most of a server's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import prefect

from labelwright.security.private_files import private_folder


def prepare_database(home: Path) -> None:
    """Puts the database where `labelwright up` and the commands of this home look for it.

    Tests whose subject is an empty home do without.
    """
    made = Path(tempfile.gettempdir()) / f"labelwright-tests-{os.getuid()}-prefect-{prefect.__version__}.db"
    if not made.is_file():
        _make(made)
    private_folder(home)
    shutil.copy(made, private_folder(home / "prefect") / "prefect.db")


def _make(target: Path) -> None:
    """Several processes may do so at a time: whoever is last replaces what is equal."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
            env={**environment, "PREFECT_HOME": folder},
            capture_output=True,
            check=True,
            timeout=300,
        )
        database = Path(folder) / "prefect.db"
        database.chmod(0o600)
        database.replace(target)
