"""A sweep of many open campaigns on the embedded service, beside the same GETs by a bare pool of threads.

Also: Prefect API calls and task runs of a sweep, and the memory of a process that sweeps again and again.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import requests
from PIL import Image
from prefect_calls import watch_prefect_calls
from servers import servers

AIM = 1.3
THREADS = 8


def resident(process: int | str = "self") -> float:
    """Megabytes of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def make_campaigns(url: str, headers: dict[str, str], count: int, home: Path, first: int = 0) -> None:
    """Open campaigns of one image on the service, and in the ledger as if we had launched them."""
    from labelwright.campaigns.spec import validate_spec
    from labelwright.domain import State
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    def ask(method: str, path: str, body: object = None) -> object:
        response = requests.request(method, f"{url}{path}", json=body, headers=headers, timeout=60)
        response.raise_for_status()
        return response.json() if response.content else None

    from labelwright.platforms.protocol import CampaignOrder, SetState
    from labelwright.tasks.context import platform_for

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    document = {
        "title": "x",
        "images": {"folder": str(home)},
        "labels": ["thing"],
        "labeler": "bench@example.com",
        "export": {"folder": str(home / "datasets")},
    }
    spec = validate_spec(document, "bench")
    platform = platform_for(spec)
    image_set = platform.create_image_set(f"bench-{first}", {})
    container, _, query = platform.dropbox(image_set.id).value.partition("?")
    put = requests.put(
        f"{container}/a.png?{query}",
        data=buffer.getvalue(),
        headers={"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"},
        timeout=60,
    )
    put.raise_for_status()
    platform.seal_image_set(image_set.id)
    while platform.read_image_set(image_set.id).state is not SetState.FINISHED:
        time.sleep(0.05)
    (image,) = platform.list_images(image_set.id)
    ledger = open_ledger(settings().ledger_address())
    for number in range(first, first + count):
        title = f"bench-{number:04}"
        campaign = platform.create_campaign(CampaignOrder(title, spec.schema_of_labels(), spec.labeler))
        platform.add_images(campaign.id, [image.id])
        platform.activate_campaign(campaign.id)
        ledger.campaigns.add(title, spec.model_copy(update={"title": title}).model_dump(mode="json"))
        ledger.campaigns.record_remote_campaign(title, campaign.id)
        for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
            ledger.campaigns.move(title, state)


def bare(url: str, headers: dict[str, str], ids: list[str]) -> float:
    """Seconds for a GET of each campaign by threads that keep their connections."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
    session.trust_env = False

    def get(campaign: str) -> None:
        session.get(f"{url}/campaigns/{campaign}", headers=headers, timeout=60).json()

    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(get, ids))
    return time.perf_counter() - begun


def count_task_runs() -> int:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return int(client._client.post("/task_runs/count", json={}).json())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--sweeps", type=int, default=200, help="for the memory, of 20 campaigns")
    arguments = parser.parse_args()
    with servers() as (home, _):
        from labelwright.prefect_integration.runtime import without_heartbeats

        with without_heartbeats():  # as `labelwright sweep`; a deployed run also waits up to a second for its heartbeat
            measure(arguments.campaigns, arguments.sweeps, home)


def measure(count: int, sweeps: int, home: Path) -> None:
    from labelwright.domain import State
    from labelwright.flows.sweep_campaigns import sweep_campaigns
    from labelwright.ledger import open_ledger
    from labelwright.prefect_integration.runtime import flush_logs_and_events
    from labelwright.settings import settings

    connection = settings().connection("campaign_api")
    assert connection.url is not None
    assert connection.key is not None
    assert connection.secret is not None
    headers = {
        "Authentication-Key": connection.key.get_secret_value(),
        "Authentication-Secret": connection.secret.get_secret_value(),
    }
    make_campaigns(connection.url, headers, count, home)
    ledger = open_ledger(settings().ledger_address())
    ids = [record.remote_id or "" for record in ledger.campaigns.all()]
    sweep_campaigns(go_on="no")  # the first one writes down where every campaign stands
    ratios = []
    calls = watch_prefect_calls()
    for _ in range(5):
        peer, runs = bare(connection.url, headers, ids), count_task_runs()
        calls.clear()
        begun = time.perf_counter()
        assert len(sweep_campaigns(go_on="no")) == count
        ours = time.perf_counter() - begun
        ratios.append(ours / peer)
        print(f"sweep of {count:,} campaigns {ours:.2f} s, bare GETs {peer:.2f} s, ratio {ours / peer:.2f}")
    middle = median(ratios)
    print(f"median ratio {middle:.2f} (aim: under {AIM:g}, {'reached' if middle < AIM else 'not reached'})")
    print(f"Prefect API calls of a sweep: {len(calls)}, and {count_task_runs() - runs} task runs in the last one")
    for record in ledger.campaigns.all()[20:]:
        ledger.campaigns.move(record.title, State.CANCELLED)
    sizes = []
    for number in range(sweeps):
        sweep_campaigns(go_on="no")
        if number in (sweeps // 10, sweeps - 1):
            sizes.append(resident())
    print(f"memory after {sweeps // 10} sweeps {sizes[0]:.0f} MB, after {sweeps} sweeps {sizes[-1]:.0f} MB")
    flush_logs_and_events()


if __name__ == "__main__":
    main()
