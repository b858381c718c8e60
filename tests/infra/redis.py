"""A real Redis server of the tests' own, on a free port of loopback, with a password."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from labelwright.local.servers import LOOPBACK, free_port

ADVICE = (
    "Redis is not installed here. Install its server (Debian: apt-get install redis-server), or set LABELWRIGHT_REDIS"
    " to the program redis-server."
)


def program() -> str:
    """Raises RuntimeError with advice."""
    executable = os.environ.get("LABELWRIGHT_REDIS") or shutil.which("redis-server")
    if not executable:
        raise RuntimeError(ADVICE)
    return executable


class Redis:
    """Keeps everything in memory."""

    def __init__(self, folder: Path) -> None:
        port, password = free_port(0), secrets.token_hex(8)
        self.url = f"redis://:{password}@{LOOPBACK}:{port}/0"
        options = ["--bind", LOOPBACK, "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "no"]
        log = folder / "redis.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [program(), *options, "--requirepass", password], stdout=out, stderr=out, cwd=folder
            )
        deadline = time.monotonic() + 240
        while "Ready to accept connections" not in log.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"Redis did not start: {log.read_text()[-2000:]}")
            time.sleep(0.05)

    def keys(self, pattern: str) -> list[str]:
        from redis import Redis as Client

        with Client.from_url(self.url, socket_timeout=60) as client:
            return sorted(key.decode() for key in client.scan_iter(pattern))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
