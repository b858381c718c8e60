"""`labelwright launch` of one image, with its temporary Prefect server, beside a bare flow with Prefect's own.

Wall time and CPU time of the command and every process that it started. The service runs, and both Prefect databases
exist, as from the second command on.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROUNDS = 3
PATIENT = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300"}
BARE_FLOW = """
from prefect import flow, task

@task
def step():
    return 1

@flow
def bare():
    return step()

bare()
"""


@dataclass(frozen=True)
class Cost:
    """Seconds."""

    wall: float
    cpu: float


def run(command: list[str], **variables: str) -> Cost:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    subprocess.run(command, capture_output=True, check=True, env={**environment, **variables})
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def medians(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def write_campaign(folder: Path, number: int) -> Path:
    path = folder / f"campaign-{number}.yaml"
    path.write_text(f"title: c{number}\nimages: {{folder: photos}}\nlabels: [boat]\nlabeler: partner@example.com\n")
    return path


def main() -> None:
    from labelwright.local.servers import start_service

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "photos").mkdir()
        Image.effect_noise((640, 480), 50).convert("RGB").save(home / "photos" / "noise.jpg")
        script = home / "bare_flow.py"
        script.write_text(BARE_FLOW)
        program = str(Path(sys.executable).parent / "labelwright")
        bare, launch, status = list[Cost](), list[Cost](), list[Cost]()
        service = start_service(home)
        try:
            for number in range(ROUNDS + 1):  # the first one creates the databases
                campaign = write_campaign(home, number)
                bare.append(run([sys.executable, str(script)], PREFECT_HOME=str(home / "bare"), **PATIENT))
                launch.append(run([program, "launch", str(campaign)], LABELWRIGHT_HOME=folder))
                status.append(run([program, "status"], LABELWRIGHT_HOME=folder))
        finally:
            service.stop()
    peer = medians(bare[1:])
    print(f"a bare flow with Prefect's own temporary server: {peer.wall:.1f} s, {peer.cpu:.1f} s of CPU")
    for name, costs in (("launch of one image", launch), ("status", status)):
        cost = medians(costs[1:])
        print(f"labelwright {name}: {cost.wall:.1f} s, {cost.cpu:.1f} s of CPU", end="")
        print(f" ({cost.wall / peer.wall:.2f} and {cost.cpu / peer.cpu:.2f} times the bare flow)")
    print(f"the first of all, which creates its databases: {launch[0].wall / bare[0].wall:.2f} times the bare flow")


if __name__ == "__main__":
    main()
