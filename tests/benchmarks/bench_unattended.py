"""From a campaign that is completely labeled to its finishing run, through `labelwright up` and its worker."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import requests
from PIL import Image

CAMPAIGNS = 5


def started(home: Path, finish_by: str, port: int) -> tuple[subprocess.Popen[str], dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LABELWRIGHT_"))}
    environment = kept | {
        "LABELWRIGHT_HOME": str(home),
        "LABELWRIGHT_SWEEP_EVERY": "10",
        "LABELWRIGHT_FINISH_BY": finish_by,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    command = [sys.executable, "-m", "labelwright", "up", "--json", "--prefect-port", str(port)]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.err").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    output = ""
    while not output.endswith("}\n"):
        line = process.stdout.readline()
        if not line:
            raise SystemExit((home / "up.err").read_text())
        output += line
    return process, json.loads(output)


def ask(url: str, body: Any) -> Any:
    for _ in range(20):  # Prefect's server on SQLite says 503 when its database is busy
        response = requests.post(url, json=body, timeout=60)
        if response.status_code != 503:
            break
        time.sleep(1)
    response.raise_for_status()
    return response.json()


def wait_until(so: Any, patience: float = 240) -> Any:
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        result = so()
        if result:
            return result
        time.sleep(0.2)
    raise SystemExit("it never came to its end")


def measure(finish_by: str) -> None:
    from labelwright.ledger import Ledger
    from labelwright.local.servers import free_port

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        (Path(folder) / "photos").mkdir()
        Image.new("RGB", (20, 20)).save(Path(folder) / "photos" / "a.png")
        process, addresses = started(home, finish_by, free_port(0))
        try:
            api = f"{addresses['Prefect UI']}/api"
            deployment = requests.get(f"{api}/deployments/name/launch-campaign/launch-campaign", timeout=60).json()[
                "id"
            ]
            ledger = Ledger(f"sqlite:///{home / 'ledger.db'}")
            waits = []
            for number in range(CAMPAIGNS):
                title = f"bench-{number}"
                campaign = {
                    "title": title,
                    "images": {"folder": f"{folder}/photos"},
                    "labels": [{"name": "thing"}],
                    "labeler": "bench@example.com",
                }
                ask(f"{api}/deployments/{deployment}/create_flow_run", {"parameters": {"campaign": campaign}})
                wait_until(lambda title=title: (r := ledger.campaigns.find(title)) and r.state.value == "active")
                label(home, ledger, title)
                waits.append(wait_for_finish(api, ledger, title))
            seconds = ", ".join(f"{wait:.1f}" for wait in waits)
            print(
                f"finish_by {finish_by}: completed to first line of the run, median {median(waits):.1f} s ({seconds})"
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def label(home: Path, ledger: Any, title: str) -> None:
    from labelwright.campaigns.labeler_keys import LabelerKeys

    access = LabelerKeys(home).find("campaign_api", "bench@example.com")
    assert access is not None
    assert access.secret is not None
    service = json.loads((home / "service" / "service.json").read_text())["url"]
    headers = {"Authentication-Key": access.key, "Authentication-Secret": access.secret.value}
    url = f"{service}/api/v1/campaigns/{ledger.campaigns.get(title).remote_id}"
    images = requests.get(f"{url}/images", headers=headers, timeout=60).json()["images"]
    body = [{"image_id": image["image_id"], "objects": []} for image in images]
    requests.put(f"{url}/objects", json=body, headers=headers, timeout=60).raise_for_status()


def wait_for_finish(api: str, ledger: Any, title: str) -> float:
    """Seconds from the completed event to the start of the run that finishes the campaign."""
    wait_until(lambda: ledger.campaigns.get(title).state.value == "exported")
    completed = next(event for event in ledger.outbox.of(title) if event.kind == "completed").occurred_at
    runs = ask(f"{api}/flow_runs/filter", {"flow_runs": {"name": {"any_": [f"finish {title}"]}}})
    begun = min(datetime.fromisoformat(run["start_time"].replace("Z", "+00:00")) for run in runs)
    return (begun - completed).total_seconds()


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    for finish_by in ("sweep", "event"):
        measure(finish_by)


if __name__ == "__main__":
    main()
