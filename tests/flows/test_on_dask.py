"""Images checked by a Dask cluster: two worker processes, a scheduler on loopback, and a real Prefect server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterName

from labelwright.ledger import open_ledger
from labelwright.local.servers import LOOPBACK
from labelwright.platforms import PlatformUnavailable
from labelwright.settings import SettingsError, forget_settings, settings
from labelwright.tasks.campaign.dask_cluster import connected_cluster
from labelwright.tasks.campaign.image_checks import check_images, register_campaign
from labelwright.tasks.context import CampaignContext

from .conftest import make_photos, make_spec


@pytest.fixture
def photos(tmp_path) -> Path:
    make_photos(tmp_path / "photos", 11)
    (tmp_path / "photos" / "broken.jpg").write_bytes((tmp_path / "photos" / "photo-000.jpg").read_bytes()[:-100])
    (tmp_path / "photos" / "words.jpg").write_text("no picture")
    return tmp_path / "photos"


@pytest.fixture
def cluster(home, monkeypatch) -> Iterator[Any]:
    """Its machines read settings of their own: the environment in which they were started."""
    import dask
    from distributed import LocalCluster

    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "4")
    forget_settings()
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        LocalCluster(n_workers=2, threads_per_worker=1, host=LOOPBACK, dashboard_address=None) as cluster,
    ):
        monkeypatch.setenv("LABELWRIGHT_DASK_SCHEDULER", cluster.scheduler_address)
        forget_settings()
        yield cluster


@flow
def check(campaign: Any) -> int:
    return check_images(register_campaign(campaign))


def manifest(title: str) -> tuple[list[Any], list[Any]]:
    manifests = open_ledger(settings().ledger_address()).manifests
    return list(manifests.entries(title)), sorted((reject.name, reject.reason) for reject in manifests.rejects(title))


def batches(title: str) -> list[Any]:
    """Among the hundreds of task runs that other tests leave behind."""
    name_filter = TaskRunFilter(name=TaskRunFilterName(like_=f"check images of {title} from"))
    with get_client(sync_client=True) as client:
        return client.read_task_runs(task_run_filter=name_filter)


@pytest.mark.slow
def test_a_cluster_finds_what_one_machine_finds(prefect_server, cluster, photos, tmp_path, monkeypatch):
    assert check(make_spec("checked there", photos, tmp_path / "out")) == 11
    with monkeypatch.context() as patch:
        patch.delenv("LABELWRIGHT_DASK_SCHEDULER")
        forget_settings()
        assert check(make_spec("checked here", photos, tmp_path / "out")) == 11
    forget_settings()
    assert manifest("checked there") == manifest("checked here")
    # Thirteen files are three batches of four, on Prefect's timeline, and one that is checked at home.
    deadline = time.monotonic() + 240
    while [task_run.state_name for task_run in batches("checked there")] != [
        "Completed"
    ] * 3 and time.monotonic() < deadline:
        time.sleep(0.5)  # Prefect writes task runs down some seconds late
    assert [task_run.state_name for task_run in batches("checked there")] == ["Completed"] * 3
    assert batches("checked here") == []


@pytest.mark.slow
def test_a_machine_of_the_cluster_that_dies_is_no_loss(prefect_server, cluster, photos, tmp_path):
    victim = next(iter(cluster.workers.values()))
    os.kill(victim.pid, 9)
    assert check(make_spec("river", photos, tmp_path / "out")) == 11


def test_a_cluster_that_is_away_is_told_and_may_be_there_at_the_next_try(home, monkeypatch):
    import dask
    import distributed  # noqa: F401 - it brings defaults, which the change below would take along

    monkeypatch.setenv("LABELWRIGHT_DASK_SCHEDULER", f"tcp://{LOOPBACK}:1")
    forget_settings()
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        connected_cluster(CampaignContext("river")) as cluster,
        pytest.raises(PlatformUnavailable, match="LABELWRIGHT_DASK_SCHEDULER"),
    ):
        cluster.check([])


def test_without_the_package_its_name_is_told(home, monkeypatch):
    import sys

    monkeypatch.setenv("LABELWRIGHT_DASK_SCHEDULER", f"tcp://{LOOPBACK}:1")
    forget_settings()
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    with (
        pytest.raises(SettingsError, match=r"pip install 'labelwright\[dask\]'"),
        connected_cluster(CampaignContext("river")),
    ):
        pass


def test_without_a_cluster_there_is_none(home):
    with connected_cluster(CampaignContext("river")) as cluster:
        assert cluster is None
