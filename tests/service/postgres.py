"""A real PostgreSQL server of the tests' own: no port, only a socket in a folder of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

ADVICE = (
    "PostgreSQL is not installed here. Install its server (Debian: apt-get install postgresql), or set"
    " LABELWRIGHT_POSTGRES to the folder of initdb and postgres."
)


def programs() -> Path:
    """The folder of the newest server's programs. Raises RuntimeError with advice."""
    named = os.environ.get("LABELWRIGHT_POSTGRES")
    beside = shutil.which("initdb")
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = (
        [Path(named) / "initdb"] if named else [*sorted(installed, key=_version), *([Path(beside)] if beside else [])]
    )
    if not found or not found[-1].exists():
        raise RuntimeError(ADVICE)
    return found[-1].parent


def _version(program: Path) -> int:
    return int(program.parts[-3])


class Postgres:
    """Sorts by the rules of English unless it is told otherwise, as many teams' servers do."""

    def __init__(self) -> None:
        bin_folder = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="lw-pg-"))
        self._numbers = itertools.count(1)
        # The server refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = self._folder / "data"
        command = [bin_folder / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"]
        command += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, **self._as)
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self._folder}", "-c", "fsync=off"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [bin_folder / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd=self._folder, **self._as
            )
        self._wait()

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres").close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start: {error}") from None
                time.sleep(0.05)
            else:
                return

    def new_database(self, more: str = "") -> str:
        """The URL of an empty one."""
        import psycopg

        name = f"labelwright_{next(self._numbers)}"
        connection = psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True)
        with connection:
            connection.execute(f"create database {name} {more}")
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
