"""With a real Prefect server: what a server repeats of a login is in none of its databases, and drips end a sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from labelwright.ledger import open_ledger
from tests.network.fault_server import drip, echo, fault_server
from tests.security.test_echoes import CONNECTIONS, traces

from .conftest import make_photos

COMMAND = [sys.executable, "-m", "labelwright"]


def environment(home: Path, server: Any, prefect: str) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LABELWRIGHT_CONNECTIONS")}
    variables |= {
        "LABELWRIGHT_HOME": str(home),
        "PREFECT_API_URL": f"{prefect}/api",
        "LABELWRIGHT_RETRY_DELAYS": "[0.1]",
    }
    variables["PREFECT_LOGGING_LEVEL"] = "DEBUG"
    for kind, (key, secret) in CONNECTIONS.items():
        prefix = f"LABELWRIGHT_CONNECTIONS__{kind.replace(' ', '_').upper()}__"
        variables |= {prefix + "PLATFORM": kind.split(maxsplit=1)[0], prefix + "URL": server.url}
        variables |= {prefix + "SECRET": secret, **({prefix + "KEY": key} if key else {})}
    return variables


LAUNCH = """
import sys
from pathlib import Path
from labelwright.campaigns.spec import load_spec
from labelwright.cli.campaigns import _launch
from labelwright.cli.exit_codes import print_error

codes = []
for file in sys.argv[1:]:
    try:
        _launch(load_spec(Path(file)))
    except Exception as error:
        codes.append(print_error(error))
print(codes)
"""
"""`labelwright launch` without its checks, which would refuse the credentials before Prefect sees them."""


def campaign(folder: Path, kind: str, title: str) -> Path:
    make_photos(folder / "photos", 2)
    document = {
        "title": title,
        "platform": kind.split(maxsplit=1)[0],
        "connection": kind.replace(" ", "_"),
        "images": {"folder": str(folder / "photos")},
        "labels": ["boat"],
        "labeler": "partner@example.com",
        "export": {"folder": str(folder / "datasets")},
    }
    path = folder / f"{title}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.slow
def test_no_secret_that_a_server_repeats_is_in_prefect_or_the_home_folder(prefect_server, tmp_path):
    home, printed = tmp_path / "home", []
    kinds = ("cvat", "remo", "geti", "scale", "campaign_api")

    def run(server: Any, *command: str) -> subprocess.CompletedProcess[str]:
        completed = subprocess.run(
            [sys.executable, *command],
            env=environment(home, server, prefect_server.url),
            capture_output=True,
            text=True,
            timeout=300,
        )
        printed.extend([completed.stdout, completed.stderr])
        return completed

    for status in (403, 500):
        with fault_server(echo(status)) as server:
            files = [str(campaign(tmp_path, kind, f"echo {kind} {status}")) for kind in kinds]
            launched = run(server, "-c", LAUNCH, *files)
            codes = json.loads(launched.stdout.strip().splitlines()[-1])
            assert len(codes) == len(kinds)
            assert set(codes) <= {1, 4}, launched.stderr
            assert launched.stderr.count(str(status)) >= len(kinds)
            assert len(server.requests) >= len(kinds)
            run(server, *COMMAND[1:], "status", "--json")
    time.sleep(3)  # Prefect writes logs and events a moment later
    texts_by_place = {"the terminal": "\n".join(printed)}
    for folder in (home, prefect_server.log.parent.parent):
        for path in folder.rglob("*"):
            if path.is_file():
                texts_by_place[str(path)] = path.read_bytes().decode("utf-8", "replace")
    assert any(name.endswith("prefect.db") for name in texts_by_place)
    assert {place: secrets[:3] for place, text in texts_by_place.items() if (secrets := plain_traces(text))} == {}


def plain_traces(text: str) -> list[str]:
    """Databases are large: the other ways of writing are looked for in `test_echoes`."""
    return traces(text) if len(text) < 100_000 else [text[at : at + 60] for at in _finds(text)]


def _finds(text: str) -> list[int]:
    lowered = text.lower()
    return [at for word in ("canary.", "canary-7", "canary7", "canarytoken") if (at := lowered.find(word)) >= 0]


@pytest.mark.slow
def test_a_sweep_that_is_told_to_end_does_not_wait_for_a_server_that_drips(prefect_server, tmp_path):
    home = tmp_path / "home"
    with fault_server(drip("a header")) as server:
        variables = environment(home, server, prefect_server.url)
        from labelwright.campaigns.spec import load_spec
        from labelwright.domain import State

        ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}") if home.mkdir() is None else None
        assert ledger is not None
        for number in range(3):
            spec = load_spec(campaign(tmp_path, "campaign_api", f"slow {number}"))
            ledger.campaigns.add(spec.title, spec.model_dump(mode="json"))
            for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
                ledger.campaigns.move(spec.title, state)
            ledger.campaigns.record_remote_campaign(spec.title, str(number))
        sweep = subprocess.Popen(
            [*COMMAND, "sweep"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            deadline = time.monotonic() + 240
            while len(server.requests) < 3 and sweep.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            assert len(server.requests) >= 3
            sweep.send_signal(signal.SIGTERM)
            _, output = sweep.communicate(timeout=45)  # one look alone has 60 seconds for its headers
            assert sweep.returncode != 0
            assert "mistake in Labelwright" not in output
        finally:
            sweep.kill()
