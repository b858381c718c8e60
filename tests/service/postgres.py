"""A real PostgreSQL server of the tests' own: a socket in a folder of its own, or a port of loopback and a password."""

from __future__ import annotations

import itertools
import os
import secrets
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
    folder = os.environ.get("LABELWRIGHT_POSTGRES")
    beside = shutil.which("initdb")
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    paths = (
        [Path(folder) / "initdb"] if folder else [*sorted(installed, key=_version), *([Path(beside)] if beside else [])]
    )
    if not paths or not paths[-1].exists():
        raise RuntimeError(ADVICE)
    return paths[-1].parent


def _version(program: Path) -> int:
    return int(program.parts[-3])


class Postgres:
    """Sorts by the rules of English unless it is told otherwise, as many teams' servers do."""

    def __init__(self, *, port: int | None = None) -> None:
        """With a port it is reached as a team's server is: over TCP, with a password."""
        bin_folder = programs()
        self._port, self._password = port, secrets.token_hex(24)
        self._folder = Path(tempfile.mkdtemp(prefix="lw-pg-"))
        self._numbers = itertools.count(1)
        # The server refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = self._folder / "data"
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        password_file.chmod(0o644)
        command = [bin_folder / "initdb", "-D", data, "-U", "postgres", "--no-sync", "--encoding=UTF8"]
        command += ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password_file}"]
        command += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, **self._as)
        listening = "" if port is None else "127.0.0.1"
        options = [
            "-c",
            f"listen_addresses={listening}",
            "-c",
            f"port={port or 5432}",
            "-c",
            f"unix_socket_directories={self._folder}",
            "-c",
            "fsync=off",
        ]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [bin_folder / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd=self._folder, **self._as
            )
        self._wait()

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + 240
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start: {error}") from None
                time.sleep(0.05)
            else:
                return

    def new_database(self, more: str = "") -> str:
        """The URL of an empty one."""
        name = f"labelwright_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f"create database {name} {more}")
        if self._port is None:
            return f"postgresql://postgres@/{name}?host={self._folder}"
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/{name}"

    def _connect(self) -> Any:
        import psycopg

        where = {"host": str(self._folder), "user": "postgres", "dbname": "postgres", "port": self._port or 5432}
        return psycopg.connect(**where, autocommit=True)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
