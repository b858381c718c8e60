"""How many Prefect task runs and API calls a campaign costs: counted for two real ones, extended to 100,000 images."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from prefect_calls import watch_prefect_calls
from servers import servers

SIZES = (1000, 4000)
WANTED = 100_000
AIM = 500


def make_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, number // 65536)).save(folder / f"{number:06}.png")


def count_task_runs(title: str, count: int, home: Path) -> int:
    """Launch, label, finish and export a campaign; answers the task runs that Prefect's server has of it."""
    import requests
    from prefect.client.orchestration import get_client

    from labelwright.campaigns.labeler_keys import LabelerKeys
    from labelwright.campaigns.spec import validate_spec
    from labelwright.settings import settings
    from labelwright.tasks.context import the_ledger

    make_images(home / title, count)
    spec = validate_spec(
        {
            "title": title,
            "images": {"folder": str(home / title)},
            "labels": ["thing"],
            "labeler": "bench@example.com",
            "export": {"folder": str(home / "datasets")},
        },
        "bench",
    )
    from labelwright.flows.launch_campaign import launch_campaign
    from labelwright.flows.sweep_campaigns import sweep_campaigns

    with get_client(sync_client=True) as client:
        before = client._client.post("/task_runs/count", json={}).json()
        launch_campaign(spec)
        access = LabelerKeys(settings().home).find("campaign_api", "bench@example.com")
        assert access is not None
        assert access.secret is not None
        headers = {"Authentication-Key": access.key, "Authentication-Secret": access.secret.value}
        url = f"{settings().connection('campaign_api').url}/campaigns/{the_ledger().campaigns.get(title).remote_id}"
        ids = [
            image["image_id"]
            for page in range(1, count // 1000 + 1)
            for image in requests.get(f"{url}/images", params={"page": page}, headers=headers, timeout=60).json()[
                "images"
            ]
        ]
        for first in range(0, len(ids), 500):
            body = [{"image_id": image, "objects": []} for image in ids[first : first + 500]]
            requests.put(f"{url}/objects", json=body, headers=headers, timeout=60).raise_for_status()
        sweep_campaigns()
        after = client._client.post("/task_runs/count", json={}).json()
    return int(after) - int(before)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with servers() as (home, _):
        calls, runs, api_calls = watch_prefect_calls(), [], []
        for size in SIZES:
            calls.clear()
            runs.append(count_task_runs(f"bench-{size}", size, home))
            api_calls.append(len(calls))
        from labelwright.prefect_integration.runtime import flush_logs_and_events

        flush_logs_and_events()
    an_image = (runs[1] - runs[0]) / (SIZES[1] - SIZES[0])
    expected = runs[0] + an_image * (WANTED - SIZES[0])
    for size, count, call_count in zip(SIZES, runs, api_calls, strict=True):
        print(f"{size:>7,} images: {count} task runs, {call_count} calls of Prefect's API (counted)")
    reached = "reached" if expected < AIM else "not reached"
    print(f"{WANTED:>7,} images: {expected:.0f} task runs (aim: under {AIM}, {reached})")


if __name__ == "__main__":
    main()
