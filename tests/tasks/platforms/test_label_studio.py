"""A campaign on Label Studio through all flows, and every call as a task: as functions, without Prefect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prefect import Task

from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.cli.main import app
from labelwright.domain import Annotation, Box, Size, State
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.platforms.http.logins import forget_logins
from labelwright.platforms.label_studio.annotations import to_result
from labelwright.platforms.label_studio.label_config import label_config, read_config
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from labelwright.tasks.platforms import label_studio as calls
from tests.platforms.label_studio.fake_server.server import FakeLabelStudio
from tests.platforms.label_studio.harness import submit
from tests.platforms.proxy import Fault, FaultProxy, Rule
from tests.tasks.without_prefect import run_as_functions

BOAT = Annotation("boat", Box(4, 3, 20, 15), attributes={"colour": "red"})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLabelStudio]:
    with FakeLabelStudio() as server:
        monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__URL", server.url)
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__KEY", server.pat)
        forget_settings()
        forget_logins()
        run_as_functions(monkeypatch)
        yield server
    forget_settings()
    forget_logins()


@pytest.fixture
def river(tmp_path: Path) -> CampaignSpec:
    """Six images in batches of four; one in a folder of its own, stored turned."""
    photos = tmp_path / "photos"
    (photos / "second").mkdir(parents=True)
    for number in range(5):
        Image.new("RGB", (40, 30), (number * 20, 9, 9)).save(photos / f"photo-{number}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 40), "red").save(photos / "second" / "photo-0.jpg", exif=exif)
    return validate_spec(
        {
            "title": "river",
            "platform": "label_studio",
            "images": {"folder": str(photos)},
            "labels": [{"name": "boat", "attributes": [{"name": "colour", "values": ["red", "blue"]}]}, "buoy"],
            "labeler": "owner@example.com",
            "instructions": "Everything that floats.",
            "options": {"images_per_batch": 4},
            "export": {"folder": str(tmp_path / "datasets")},
        },
        "campaign.yaml",
    )


def label(server: FakeLabelStudio, spec: CampaignSpec, *, rest: bool = False) -> None:
    """The first image has a boat, the second nothing, the third is skipped, and the others have a boat."""
    config = read_config(label_config(spec.schema_of_labels()))
    boat = to_result([BOAT], Size(40, 30), config)
    for number, task in enumerate(list(server.world.tasks.values())):
        if server.world.is_labeled(task) or (number > 3 and not rest):
            continue
        submit(server, str(task.id), [] if number == 1 else boat, was_cancelled=number == 2)


def test_a_folder_becomes_datasets_and_corrections_a_second_version(
    server: FakeLabelStudio, river: CampaignSpec, tmp_path: Path
) -> None:
    launch_campaign(river)
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    (project,) = server.world.projects.values()
    assert (project.title, len(server.world.tasks), len(server.world.files)) == ("river", 6, 6)
    assert project.settings["expert_instruction"] == "Everything that floats."
    label(server, river)
    assert sweep_campaigns() == {"river": "active"}
    label(server, river, rest=True)
    assert sweep_campaigns() == {"river": "exported"}
    datasets = the_ledger().campaigns.datasets("river")
    launch_campaign(river)
    assert sweep_campaigns() == {}
    assert the_ledger().campaigns.datasets("river") == datasets
    assert (len(server.world.projects), len(server.world.tasks), len(server.world.exports)) == (1, 6, 1)

    folder = tmp_path / "datasets" / "river_labels" / "v1"
    receipt = json.loads((folder / "receipt.json").read_text())
    assert receipt["campaign"]["snapshot"] == {"id": "1", "md5": server.world.exports[1].md5}
    assert receipt["excluded"]["by_state"] == {"skipped": 1}
    coco = json.loads((folder / "river_coco.json").read_text())
    assert {image["file_name"]: (image["width"], image["height"]) for image in coco["images"]}[
        "second/photo-0.jpg"
    ] == (40, 30)
    assert (len(coco["images"]), len(coco["annotations"])) == (5, 4)
    assert {str(item["attributes"]) for item in coco["annotations"]} == {"{'colour': 'red'}"}

    (tmp_path / "wrong.txt").write_text("photo-0.png\n")
    arguments = ["reopen", "river", "--images", str(tmp_path / "wrong.txt"), "--reason", "two boats, not one"]
    app(arguments, standalone_mode=False)
    task = next(task for task in server.world.tasks.values() if task.data["lw_name"] == "photo-0.png")
    assert task.data["lw_note"] == "two boats, not one"
    assert sweep_campaigns() == {"river": "reopened"}
    annotation = submit(server, str(task.id), [])
    assert sweep_campaigns() == {"river": "exported"}
    assert json.loads((folder.parent / "v2" / "receipt.json").read_text())["images"]["count"] == 5
    calls.convert_to_draft.fn(annotation["id"])
    assert sweep_campaigns() == {"river": "reopened"}, "anybody may take an annotation back"


@pytest.mark.slow
def test_interruptions_before_and_after_every_call_leave_everything_there_once(
    server: FakeLabelStudio, river: CampaignSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try breaks off at its first change: by turns before the server heard of it, and after it acted."""
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__URL", proxy.url)
        forget_settings()

        def until_it_passes(call: Callable[[], object], passed: Callable[[], bool]) -> int:
            for tries in range(40):
                proxy.clear()
                fault = Fault.LOSE_ANSWER if tries % 2 else Fault.RESET
                proxy.add(Rule(fault, method="POST|PATCH|DELETE", path="/api/projects", nth=(1,)))
                with suppress(PlatformUnavailable):
                    call()
                if passed() and not any(request.fault for request in proxy.requests):
                    return tries
            raise AssertionError("it never passes")

        def state() -> State:
            return the_ledger().campaigns.get("river").state

        # Create, upload and import two batches, activate: each is interrupted twice.
        assert until_it_passes(lambda: launch_campaign(river), lambda: state() is State.ACTIVE) >= 12
        world = server.world
        assert (len(world.projects), len(world.tasks), len(world.files)) == (1, 6, 6)
        label(server, river, rest=True)
        # The snapshot, and the record of it in the project's description.
        assert until_it_passes(lambda: finish_campaign("river", export=True), lambda: state() is State.EXPORTED) >= 4
        assert len(world.exports) == 1


def test_every_call_is_a_task(server: FakeLabelStudio, tmp_path: Path) -> None:
    assert calls.check_server.fn().startswith("Label Studio 1.23.2")
    assert [user["email"] for user in calls.list_users.fn()] == ["owner@example.com"]
    config = '<View><Image name="image" value="$image"/></View>'
    project = calls.create_project.fn("lake", config)["id"]
    assert calls.create_project.fn("lake", config)["id"] == project
    assert [item["id"] for item in calls.find_projects.fn("lake")] == [project]
    assert calls.find_projects.fn("lak") == []
    calls.change_project.fn(project, {"description": "deep"})
    assert calls.read_project.fn(project)["description"] == "deep"
    server.world.storage_files["/data/lake"] = ["a.jpg", "b.jpg"]
    storage = calls.add_folder.fn(project, "/data/lake")["id"]
    assert calls.add_folder.fn(project, "/data/lake")["id"] == storage
    assert [calls.sync_folder.fn(storage)["last_sync_count"] for _ in range(2)] == [2, 0]
    first, second = (item["id"] for item in calls.list_tasks.fn(project, "id"))
    assert calls.list_files.fn(project) == []
    submit(server, str(first), [])
    assert [item["id"] for item in calls.list_annotations.fn(first)] == [1]
    for _ in range(2):
        calls.convert_to_draft.fn(1)
        calls.delete_task.fn(second)
    assert [item["id"] for item in calls.list_tasks.fn(project)] == [first]
    assert calls.read_task.fn(first)["drafts"]
    assert calls.list_model_versions.fn(project) == {}
    assert calls.delete_predictions.fn(project, "m-1") == 0
    snapshot = calls.create_snapshot.fn(project, "v1")
    assert calls.create_snapshot.fn(project, "v1")["id"] == snapshot["id"]
    path = calls.download_snapshot.fn(project, snapshot["id"], str(tmp_path / "exports" / "v1.json"))
    assert hashlib.md5(Path(path).read_bytes()).hexdigest() == snapshot["md5"]
    for _ in range(2):
        calls.delete_snapshot.fn(project, snapshot["id"])
    assert calls.list_snapshots.fn(project) == []
    server.world.guards_addresses = False
    hook = calls.put_webhook.fn(project, "http://127.0.0.1:4300/webhooks/label_studio")
    assert [set(item) & {"id", "headers"} for item in calls.list_webhooks.fn(project)] == [{"id"}]
    for _ in range(2):
        calls.delete_webhook.fn(hook, project)
        calls.delete_project.fn(project)
    assert not server.world.projects


def test_a_connection_to_another_platform_is_refused(server: FakeLabelStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__LABEL_STUDIO__PLATFORM", "cvat")
    forget_settings()
    with pytest.raises(PlatformRefused, match="one of cvat"):
        calls.check_server.fn()


def test_no_task_shows_a_secret_in_its_parameters() -> None:
    tasks: list[Task[Any, Any]] = [item for item in vars(calls).values() if isinstance(item, Task)]
    assert len(tasks) >= 22
    for task in tasks:
        annotations = task.fn.__annotations__
        assert "connection" in annotations
        assert not {"secret", "key", "password", "token"} & annotations.keys()
