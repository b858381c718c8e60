"""Canary secrets go through a whole campaign, run by a worker, with a failure in it; afterwards they are looked for."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from labelwright.campaigns.labeler_keys import LabelerKeys
from tests.ingest.conftest import picture
from tests.ingest.stores import Azurite
from tests.receiver.test_receiving import created

from . import partner, prefect_api
from .conftest import make_photos, make_spec
from .test_up import Running, environment, running, wait_until

KEY, SECRET = "canary-key-3f7a91c2", "canary-secret-8d04be6f1a"
WRONG = "canary-block-77ac2e90b1"
HOOK = "canary-hook-19bb40cc3d"


def save_block(up: Running, name: str, **values: str) -> str:
    """As a person does it in the UI. Answers the block's id."""
    code = (
        "import json, sys; from labelwright.prefect_integration.blocks import CampaignApiCredentials;"
        "name, values = sys.argv[1], json.loads(sys.stdin.read());"
        "print(CampaignApiCredentials(**values).save(name, overwrite=True, _sync=True))"
    )
    command = [sys.executable, "-c", code, name]
    prefect_variables = {"PREFECT_API_URL": up.api, "PREFECT_HOME": str(up.home / "client")}
    completed = subprocess.run(
        command,
        input=json.dumps(values),
        env=environment(up.home, **prefect_variables),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip().splitlines()[-1]


def everything_written(folder: Path) -> dict[str, bytes]:
    """Every file, and what is in the databases as text besides."""
    contents = {}
    for path in folder.rglob("*"):
        if path.is_file():
            contents[str(path.relative_to(folder))] = path.read_bytes()
    return contents


def read_prefect_texts(up: Running) -> str:
    kinds = ("flow_runs", "task_runs", "logs", "artifacts", "deployments", "automations", "flow_run_states")
    texts = []
    for kind in kinds:
        offset = 0
        while True:
            body = {"limit": 200, "offset": offset}
            response = prefect_api.ask("POST", f"/{kind}/filter", body, up.api)
            if response.status_code == 404:
                break
            assert response.ok, f"{kind}: {response.text}"
            texts.append(response.text)
            if len(response.json()) < 200:
                break
            offset += 200
    events: Any = prefect_api.post("/events/filter", {"limit": 50}, up.api)
    while True:
        texts.append(json.dumps(events))
        if not events.get("next_page"):
            return "\n".join(texts)
        events = prefect_api.get(events["next_page"].removeprefix(up.api), up.api)


def find_secret(secret: str, home: Path, allowed: tuple[str, ...] = ()) -> list[str]:
    """The files that hold the secret where none should."""
    locations = []
    for name, content in everything_written(home).items():
        if secret.encode() in content and not name.startswith(allowed):
            locations.append(name)
    return locations


@pytest.fixture
def drop_container(tmp_path) -> Iterator[tuple[str, str]]:
    """A container with a campaign dropped into it: its URL, and the signature (SAS) that opens it."""
    from azure.storage.blob import ContainerClient

    store = Azurite(tmp_path)
    try:
        url, _, sas = store.new_container().partition("?")
        with ContainerClient.from_container_url(f"{url}?{sas}") as container:
            container.upload_blob("pond/a.jpg", picture())
            document = "title: pond\nlabels: [boat]\nlabeler: partner@example.com\n"
            container.upload_blob("pond/campaign.yaml", document)
        yield url, sas
    finally:
        store.stop()


@pytest.mark.slow
@pytest.mark.azurite
def test_no_secret_is_found_anywhere_after_a_whole_campaign_a_drop_and_failures(tmp_path, drop_container):
    home = tmp_path / "home"
    drops, sas = drop_container
    signature = sas.rpartition("sig=")[2].partition("&")[0]
    make_photos(tmp_path / "photos", 3)
    admin = {"LABELWRIGHT_SERVICE__ADMIN_KEY": KEY, "LABELWRIGHT_SERVICE__ADMIN_SECRET": SECRET}
    hook = {
        "LABELWRIGHT_RECEIVER__PORT": "0",
        "LABELWRIGHT_RECEIVER__EVENT_GRID_SECRET": HOOK,
        "LABELWRIGHT_RECEIVER__DROP_CONTAINER": drops,
        "LABELWRIGHT_CONTAINER_SAS": sas,
    }
    with running(home, **admin, **hook, LABELWRIGHT_RETRY_DELAYS="[0.1]") as up:
        service = up.addresses["labeling service"]
        valid_block = save_block(up, "good", url=f"{service}/api/v1", key=KEY, secret=SECRET)
        save_block(up, "wrong", url=f"{service}/api/v1", key=KEY, secret=WRONG)

        def campaign(title: str, **more: object) -> dict[str, Any]:
            return make_spec(title, tmp_path / "photos", tmp_path / "datasets", **more).model_dump(mode="json")

        parameters = {"campaign": campaign("river"), "credentials": {"$ref": {"block_document_id": valid_block}}}
        up.wait_for(up.start("launch-campaign", parameters), "Completed")
        failed = up.start("launch-campaign", {"campaign": campaign("lake", connection="block:wrong")})
        up.wait_for(failed, "Failed")
        assert "401" in json.dumps(up.get(f"/flow_runs/{failed}"))

        status = [sys.executable, "-m", "labelwright", "status", "river", "--json"]
        status_output = json.loads(
            subprocess.run(status, capture_output=True, env=environment(home), timeout=180).stdout
        )
        access = LabelerKeys(home).find("block:good", "partner@example.com")
        assert access is not None
        partner.label(f"{service}/api/v1", str(status_output["remote_id"]), access)
        up.wait_for(up.start("sweep-campaigns", {}), "Completed")
        wait_until(lambda: list((tmp_path / "datasets").glob("*_labels/v1/receipt.json")), "the datasets")

        grid = f"{up.addresses['receiver']}/eventgrid"
        requests.post(f"{grid}?secret=no", json=[], timeout=30)
        event = created("pond/campaign.yaml", url=drops, container=drops.rpartition("/")[2])
        assert requests.post(f"{grid}?secret={HOOK}", json=[event], timeout=30).json() == {"new": 1}
        wait_until(lambda: [run["state_name"] for run in up.runs("launch-from-drop")] == ["Completed"], "the drop")
        up.wait_for(up.start("launch-from-drop", {"blob": "nowhere/campaign.yaml", "etag": "0x1"}), "Failed")

        prefect_texts = read_prefect_texts(up)
        assert "river" in prefect_texts
        assert "pond" in prefect_texts
        assert "labelwright.campaign." in prefect_texts
        for secret in (KEY, SECRET, WRONG, HOOK, signature, access.secret.value if access.secret else ""):
            assert secret
            assert secret not in prefect_texts
        assert up.stop() == 0

    # The admin's pair is kept by the service itself, in a file that only its owner can read; a labeler's in its own.
    allowed_files = ("service/admin.json",)
    assert (home / "service" / "admin.json").stat().st_mode & 0o077 == 0
    assert find_secret(KEY, home, ("service/",)) == []  # by its key the service knows the admin
    assert find_secret(SECRET, home, allowed_files) == []
    assert find_secret(WRONG, home) == []
    assert find_secret(HOOK, home) == []
    assert find_secret(signature, home) == []
    assert find_secret(access.secret.value, home, ("labelers/",)) == []
    for secret in (KEY, SECRET, WRONG, HOOK):
        assert find_secret(secret, tmp_path / "datasets") == []
    rows = sqlite3.connect(home / "prefect" / "prefect.db").execute("select count(*) from block_document").fetchone()
    assert rows[0] >= 2, "the blocks were there to be found"
