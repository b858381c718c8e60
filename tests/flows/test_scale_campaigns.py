"""The lifecycle on Scale: what is billed, what fails, what is recalled."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from labelwright.campaigns.billing import TooManyTasks
from labelwright.campaigns.plan import make_plan
from labelwright.cli.output import console as printing
from labelwright.domain import State
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.run_campaign import run_campaign
from labelwright.flows.settle_failed_images import settle_failed_images
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms import PlatformRefused
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign.failed_images import count_reviews
from labelwright.tasks.context import the_ledger
from tests.platforms.scale.harness import HASTE
from tests.platforms.scale.server import ScaleServer

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")
BOX = {"type": "box", "label": "boat", "uuid": "1", "left": 1.5, "top": 2, "width": 10, "height": 8, "attributes": {}}


@pytest.fixture(scope="module")
def shared():
    with ScaleServer() as server:
        yield server


@pytest.fixture
def scale(shared, home, monkeypatch):
    """A server whose projects and batches are those of one test."""
    shared.live.__init__(test=False)
    shared.test.__init__(test=True)
    shared.heal()
    shared.requests.clear()
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__URL", shared.url)
    use_key(monkeypatch, "live_key_of_this_test")
    monkeypatch.setenv("LABELWRIGHT_BATCH_SIZE", "3")
    forget_settings()
    return shared


def use_key(monkeypatch, key: str) -> None:
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__KEY", key)
    forget_settings()


def spec_of(tmp_path, count: int = 7, **options: Any):
    make_photos(tmp_path / "photos", count, (40, 30))
    all_options = {"kind": "rapid", **HASTE, "storm_seconds": 20, **options}
    return make_spec("river", tmp_path / "photos", tmp_path / "datasets", platform="scale", options=all_options)


def tasks_of(scale) -> dict[str, str]:
    """Task ids by our names."""
    return {task["metadata"]["file"]: id for id, task in scale.live.tasks.items() if "unique_id" in task}


def label(scale, *names: str) -> None:
    tasks = tasks_of(scale)
    for name in names or tasks:
        scale.live.complete(tasks[name], {"annotations": [BOX]})


def record():
    return the_ledger().campaigns.get("river")


@pytest.mark.usefixtures("prefect_server")
def test_a_campaign_goes_from_folder_to_dataset(scale, tmp_path, capsys):
    with printing.progress():
        launch_campaign(spec_of(tmp_path))
    assert "river: 7 tasks will be billed: it is a live key" in capsys.readouterr().err
    assert the_ledger().effects.find("river", "tell bill").outcome == "7 tasks will be billed: it is a live key"
    assert record().state is State.ACTIVE
    (batch,) = scale.live.batches.values()
    assert (batch["name"], batch["project"], batch["status"]) == ("river", "labelwright-imageannotation", "in_progress")
    assert scale.live.finalized == ["river"]
    assert sorted(scale.live.unique_ids) == [f"river/photo-{number:03}.jpg" for number in range(7)]
    uploads = [file["size"] for file in scale.live.files.values()]
    assert len(uploads) == 7, "a folder is nowhere where Scale could fetch from"
    assert sum(uploads) == sum(path.stat().st_size for path in (tmp_path / "photos").iterdir())
    label(scale)
    assert sweep_campaigns() == {"river": "exported"}
    lines = (tmp_path / "datasets" / "river_labels" / "v1" / "river_detection.jsonl").read_text().splitlines()
    assert len(lines) == 7
    assert json.loads(lines[0])["label"][0]["label"] == "boat"


def test_a_launch_that_is_run_again_makes_no_task(scale, tmp_path):
    spec = spec_of(tmp_path)
    launch_campaign(spec)
    scale.requests.clear()
    launch_campaign(spec)
    assert scale.statuses_of("POST", "") == []
    assert len(scale.live.tasks) == 7


@pytest.mark.usefixtures("prefect_server")
def test_whatever_goes_wrong_on_the_way_no_task_is_made_twice(scale, tmp_path):
    scale.fail("POST", r"/task/", 500, times=2, after=True)
    scale.fail("POST", r"/task/", 429, times=20)
    scale.fail("POST", r"/batches$", 504, after=True)
    scale.fail("POST", r"/projects$", 0, after=True)
    scale.fail("POST", r"/files/upload", 503, after=True)
    scale.fail("POST", r"/finalize", 0, after=True)
    scale.fail("GET", r"/tasks\?", 503, times=2)
    launch_campaign(spec_of(tmp_path))
    assert len(scale.live.tasks) == len(scale.live.unique_ids) == 7
    assert (len(scale.live.batches), len(scale.live.projects)) == (1, 1)
    label(scale)
    assert sweep_campaigns() == {"river": "exported"}


def test_images_with_addresses_are_fetched_by_scale_itself(scale, tmp_path, monkeypatch):
    from labelwright.ingest.sources.urls import UrlFetcher

    folder = tmp_path / "photos"
    names = make_photos(folder, 2, (40, 30))
    monkeypatch.setattr(
        UrlFetcher, "fetch", lambda self, url: io.BytesIO((folder / url.rpartition("/")[2].split("?")[0]).read_bytes())
    )
    manifest = tmp_path / "images.csv"
    lines = [f"https://store.example.com/{name}?sig=CANARY{number}" for number, name in enumerate(names)]
    manifest.write_text("\n".join(["url", *lines]))
    spec = make_spec("river", folder, tmp_path / "datasets", platform="scale", images={"manifest": str(manifest)})
    launch_campaign(spec)
    assert the_ledger().manifests.rejects("river") == []
    assert scale.live.files == {}
    assert sorted(task["params"]["attachment"] for task in scale.live.tasks.values()) == lines
    assert "CANARY" not in str(the_ledger().effects.all("river")) + str(record())


def test_a_campaign_over_the_limit_is_stopped_before_anything_is_sent(scale, tmp_path):
    with pytest.raises(TooManyTasks, match="7 tasks would be billed, and 6 are allowed"):
        launch_campaign(spec_of(tmp_path, max_tasks=6))
    assert record().state is State.NEEDS_ATTENTION
    assert scale.requests == []


def test_the_machines_limit_holds_too(scale, tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SCALE__MOST_TASKS", "3")
    forget_settings()
    spec = spec_of(tmp_path, max_tasks=100)
    plan = make_plan(spec, settings(), CONNECTIONS)
    assert plan.billed == 7
    assert "7 tasks will be billed, at most 3 are allowed: it is a live key" in plan.billing
    assert "3 are allowed" in plan.refusal
    with pytest.raises(TooManyTasks):
        launch_campaign(spec)
    assert scale.requests == []


def test_a_plan_says_what_will_be_billed_and_asks_nobody(scale, tmp_path, monkeypatch):
    spec = spec_of(tmp_path)
    plan = make_plan(spec, settings(), CONNECTIONS)
    assert (plan.billed, plan.refusal) == (7, "")
    assert plan.billing == "7 tasks will be billed: it is a live key"
    assert "image set" not in " ".join(plan.create)
    use_key(monkeypatch, "test_key")
    plan = make_plan(spec, settings(), CONNECTIONS)
    assert plan.billed == 0
    assert "test key" in plan.billing
    monkeypatch.delenv("LABELWRIGHT_CONNECTIONS__SCALE__KEY")
    forget_settings()
    plan = make_plan(spec, settings(), CONNECTIONS)
    assert plan.billed is None
    assert "7 tasks will be billed, unless" in plan.billing
    assert scale.requests == []


def test_a_test_key_runs_the_whole_way_and_is_billed_nothing(scale, tmp_path, monkeypatch):
    use_key(monkeypatch, "test_key")
    for kind in ("enterprise", "rapid"):
        scale.test.__init__(test=True)
        title = f"try {kind}"
        options = {"kind": kind, "max_tasks": 0, "only_test": True, **HASTE}
        make_photos(tmp_path / "photos", 4, (40, 30))
        spec = make_spec(title, tmp_path / "photos", tmp_path / kind, platform="scale", options=options)
        datasets = run_campaign(spec, wait_hours=0.01, look_every=0.05)
        assert [dataset["version"] for dataset in datasets] == ["1", "1"]
        assert scale.test.finalized == [title]
    assert scale.live.tasks == {}


def test_a_live_key_is_refused_where_only_test_keys_are_wanted(scale, tmp_path):
    with pytest.raises(PlatformRefused, match="refuses a live key"):
        launch_campaign(spec_of(tmp_path, only_test=True))
    assert scale.requests == []


@pytest.mark.slow
def test_failed_images_are_listed_with_reasons_and_resent(scale, tmp_path):
    launch_campaign(spec_of(tmp_path, kind="enterprise"))
    tasks = tasks_of(scale)
    scale.live.fail(tasks["photo-001.jpg"], 403)
    scale.live.fail(tasks["photo-004.jpg"], 404)
    scale.live.cancel(tasks["photo-005.jpg"], {})
    label(scale, *(f"photo-00{number}.jpg" for number in (0, 2, 3, 6)))
    assert sweep_campaigns() == {"river": "needs attention"}
    assert (record().done, record().total) == (4, 7)
    assert "2 failed and 1 cancelled on the platform" in record().reason
    assert "labelwright failed 'river' --resend" in record().reason
    assert the_ledger().image_states.counts() == {
        "river": {"cancelled on the platform": 1, "failed on the platform": 2}
    }
    reasons = {row["file"]: row["reason"] for row in settle_failed_images("river")}
    assert set(reasons) == {"photo-001.jpg", "photo-004.jpg", "photo-005.jpg"}
    assert "could not be downloaded" in reasons["photo-001.jpg"]
    assert "403" in reasons["photo-001.jpg"]
    assert "cancelled" in reasons["photo-005.jpg"]
    assert len(scale.live.tasks) == 7, "nothing is sent again by itself"
    settle_failed_images("river", send_again=True)
    assert len(scale.live.tasks) == 10
    assert settle_failed_images("river", send_again=True) == []
    assert sweep_campaigns() == {"river": "active"}
    label(scale, "photo-001.jpg", "photo-004.jpg", "photo-005.jpg")
    assert sweep_campaigns() == {"river": "exported"}
    ids = {entry.image.name: entry.remote_id for entry in the_ledger().manifests.entries("river")}
    assert ids == tasks_of(scale)


@pytest.mark.slow
def test_failed_images_can_be_left_out(scale, tmp_path):
    launch_campaign(spec_of(tmp_path))
    scale.live.fail(tasks_of(scale)["photo-001.jpg"])
    label(scale, *(name for name in tasks_of(scale) if name != "photo-001.jpg"))
    settle_failed_images("river", leave_out=True)
    (reject,) = the_ledger().manifests.rejects("river")
    assert reject.name == "photo-001.jpg"
    assert "could not be downloaded" in reject.reason
    assert sweep_campaigns() == {"river": "exported"}
    assert record().images == 6


@pytest.mark.slow
def test_a_batch_that_takes_no_more_keeps_its_failed_images_as_they_are(scale, tmp_path):
    launch_campaign(spec_of(tmp_path))
    scale.live.fail(tasks_of(scale)["photo-001.jpg"])
    with pytest.raises(PlatformRefused, match="finalized"):
        settle_failed_images("river", send_again=True)
    assert [row["file"] for row in settle_failed_images("river")] == ["photo-001.jpg"]


@pytest.mark.slow
def test_a_recalled_task_reopens_the_campaign_even_after_its_export(scale, tmp_path):
    spec = spec_of(tmp_path)
    launch_campaign(spec)
    label(scale)
    assert sweep_campaigns(go_on="no") == {"river": "completed"}
    scale.live.recall(tasks_of(scale)["photo-003.jpg"])
    assert sweep_campaigns() == {"river": "reopened"}
    label(scale, "photo-003.jpg")
    assert sweep_campaigns() == {"river": "exported"}
    scale.live.recall(tasks_of(scale)["photo-003.jpg"])
    assert sweep_campaigns() == {"river": "reopened"}
    scale.live.complete(tasks_of(scale)["photo-003.jpg"], {"annotations": [BOX | {"label": "buoy"}]})
    assert sweep_campaigns() == {"river": "exported"}
    assert (tmp_path / "datasets" / "river_labels" / "v2").is_dir()
    scale.requests.clear()
    assert sweep_campaigns() == {}
    assert len(scale.requests) == 2, "it is still looked at, in two requests"


@pytest.mark.slow
def test_a_campaign_whose_days_of_watching_are_over_is_left_alone(scale, tmp_path):
    launch_campaign(spec_of(tmp_path, watch_days=0))
    label(scale)
    sweep_campaigns()
    scale.requests.clear()
    assert sweep_campaigns() == {}
    assert scale.requests == []


@pytest.mark.slow
def test_reviews_of_the_customer_are_counted(scale, tmp_path):
    launch_campaign(spec_of(tmp_path))
    label(scale)
    first, second, *_ = tasks_of(scale).values()
    scale.live.review(first, "accepted")
    scale.live.review(second, "rejected")
    assert count_reviews("river") == {"pending": 0, "accepted": 1, "fixed": 0, "rejected": 1, "commented": 0}


@pytest.mark.slow
def test_an_export_said_again_gives_the_same_datasets(scale, tmp_path):
    launch_campaign(spec_of(tmp_path))
    label(scale)
    sweep_campaigns()
    assert export_campaign("river") == export_campaign("river")
