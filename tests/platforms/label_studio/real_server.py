"""Starts a real Label Studio server, Community Edition, in an environment of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import requests

from labelwright.local.servers import free_port

VERSION = "1.23.2"
EMAIL, PASSWORD = "owner@example.com", "a-password-of-the-test"
STARTING = 900.0
"""Seconds that a start may take: the first one makes the database."""


class RealLabelStudio:
    """A server with its data below a folder. It can be killed, and started again on the same port."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.program, self.folder = python.with_name("label-studio"), folder
        self.port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder / "data"),
            "LABEL_STUDIO_USERNAME": EMAIL,
            "LABEL_STUDIO_PASSWORD": PASSWORD,
            "COLLECT_ANALYTICS": "False",
            "SENTRY_DSN": "",
            "LATEST_VERSION_CHECK": "0",
        }
        command = [str(self.program), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            try:
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.5)
        raise AssertionError(f"it did not start: {(self.folder / 'server.log').read_text()[-3000:]}")

    def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def personal_access_token(self) -> str:
        """Logs in by the form of its page, and creates a token."""
        with requests.Session() as session:
            session.trust_env = False
            address = f"{self.url}/user/login"
            match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', session.get(address, timeout=60).text)
            assert match is not None
            form = {"email": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": match[1]}
            response = session.post(address, form, headers={"Referer": address}, allow_redirects=False, timeout=60)
            assert response.status_code == 302, "200 is a wrong password"
            headers = {"X-CSRFToken": session.cookies["csrftoken"], "Referer": self.url}
            created = session.post(f"{self.url}/api/token/", json={}, headers=headers, timeout=60)
            return str(created.json()["token"])
