"""A command that a signal ends in the middle of a task, while it waits for a platform."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from labelwright.ledger import Ledger
from labelwright.security.private_files import private_folder
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from tests.platforms.proxy import FaultProxy, Request

from .conftest import make_photos


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_during_a_task_prints_how_to_continue(tmp_path, prefect_server, number):
    make_photos(tmp_path / "photos", 2)
    file = tmp_path / "campaign.yaml"
    file.write_text("title: river\nimages: {folder: photos}\nlabels: [boat]\nlabeler: a@b.c\n")
    (tmp_path / "temporary").mkdir()
    asked, over = Event(), Event()

    def never_answer(request: Request) -> None:
        if request.method == "POST":
            asked.set()
            over.wait(120)

    config = ServiceConfig(
        data_dir=private_folder(tmp_path / "home") / "service", admin_key="key", admin_secret="s" * 16
    )
    with (
        serving(config) as url,
        FaultProxy(("127.0.0.1", int(url.rsplit(":", 1)[1])), before_forward=never_answer) as proxy,
    ):
        connection = "LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__"
        environment = {
            "LABELWRIGHT_HOME": str(tmp_path / "home"),
            "TMPDIR": str(tmp_path / "temporary"),
            f"{connection}URL": f"{proxy.url}/api/v1",
            f"{connection}KEY": "key",
            f"{connection}SECRET": "s" * 16,
        }
        command = [sys.executable, "-m", "labelwright", "launch", str(file)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        try:
            assert asked.wait(120), "no task has asked the platform"
            process.send_signal(number)
            out, errors = process.communicate(timeout=120)
        finally:
            over.set()
    assert (process.returncode, out) == (128 + number, ""), errors
    message = "Interrupted." if number == signal.SIGINT else "Ended by SIGTERM before it was done."
    assert errors.startswith(f"{message} Nothing is lost: run the same command again")
    assert "labelwright status" in errors
    assert errors.count("\n") == 1
    assert list((tmp_path / "temporary").iterdir()) == []
    ledger = Ledger(f"sqlite:///{Path(environment['LABELWRIGHT_HOME']) / 'ledger.db'}")
    assert ledger.campaigns.get("river").title == "river"
    ledger.close()
