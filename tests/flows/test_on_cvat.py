"""The main job, and CVAT's own flows, against the stand-in for CVAT in both dialects and a real Prefect server."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator

import pytest
from PIL import Image

from labelwright.domain import Annotation, Box, State
from labelwright.flows.export_campaign import export_campaign
from labelwright.flows.finish_campaign import finish_campaign
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.platforms.cvat_folders import cvat_tasks_from_folders
from labelwright.flows.platforms.cvat_review import cvat_review_campaign
from labelwright.flows.predict_campaign import predict_campaign
from labelwright.flows.run_campaign import run_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.platforms import PlatformRefused, PlatformUnavailable
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.receiver.errors import RequestRefused
from labelwright.receiver.webhooks import Webhooks
from labelwright.settings import forget_settings, settings
from labelwright.tasks.campaign.predictions import PredictionsUnusable
from labelwright.tasks.context import the_ledger
from labelwright.tasks.platforms import cvat as cvat_calls
from labelwright.tasks.platforms import cvat_review as cvat_work
from labelwright.tasks.platforms.cvat_folders import of_camera
from tests.platforms.cvat.fake_server.server import FakeCvat, Response
from tests.platforms.cvat.harness import as_labeler, label_images, proxied
from tests.platforms.proxy import Fault, FaultProxy, Rule

from .conftest import make_photos, make_spec

pytestmark = pytest.mark.usefixtures("plain_flows")
BOAT = Annotation("boat", Box(1, 2, 11, 12))
OPTIONS = {"organization": "acme", "segment_size": 2, "images_per_task": 4}


@pytest.fixture(params=["2.15", pytest.param("requests", marks=pytest.mark.slow)])
def cvat(request, home, monkeypatch) -> Iterator[FakeCvat]:
    with FakeCvat(request.param) as server:
        connect(monkeypatch, server.url)
        yield server


@pytest.fixture
def newer(home, monkeypatch) -> Iterator[FakeCvat]:
    with FakeCvat("requests") as server:
        connect(monkeypatch, server.url)
        yield server


def connect(monkeypatch, url: str) -> None:
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__URL", url)
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__KEY", "requester")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__CVAT__SECRET", "requester-password")
    forget_settings()


def river(tmp_path, count: int = 7, **options):
    make_photos(tmp_path / "photos", count)
    return make_spec(
        "river",
        tmp_path / "photos",
        tmp_path / "datasets",
        platform="cvat",
        labeler="labeler1@example.com",
        options=OPTIONS | options,
    )


def record():
    return the_ledger().campaigns.get("river")


def project() -> int:
    return int(record().remote_id)


def images() -> list[str]:
    return [entry.remote_id or "" for entry in the_ledger().manifests.entries("river")]


def with_boats(image_ids: list[str]) -> dict[str, list[Annotation]]:
    return {image_id: [BOAT] for image_id in image_ids}


def test_a_folder_becomes_datasets_and_a_second_time_changes_nothing(cvat, tmp_path):
    spec = river(tmp_path)
    launch_campaign(spec)
    assert record().state is State.ACTIVE
    tasks = sorted(cvat.state.tasks.values(), key=lambda task: task.id)
    assert [(task.name, len(task.frames)) for task in tasks] == [("river 001", 4), ("river 002", 3)]
    assert {job.assignee for job in cvat.state.jobs.values()} == {cvat.labeler1.id}
    assert cvat.count("POST", "/auth/login") <= 1, "one login for all tasks of this process"
    cvat.received.clear()
    launch_campaign(spec)
    assert cvat.count("POST", "/(projects|tasks|data)") == cvat.count("PATCH", "") == 0

    label_images(cvat, project(), with_boats(images()[:6]))
    assert sweep_campaigns() == {"river": "active"}
    label_images(cvat, project(), {images()[6]: []})
    assert sweep_campaigns() == {"river": "exported"}
    assert {(job.stage, job.state) for job in cvat.state.jobs.values()} == {("acceptance", "completed")}
    folder = tmp_path / "datasets" / "river_labels" / "v1"
    coco = json.loads((folder / "river_coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == [f"photo-{number:03}.jpg" for number in range(7)]
    assert [annotation["bbox"] for annotation in coco["annotations"]] == [[1, 2, 10, 10]] * 6
    datasets_before = the_ledger().campaigns.datasets("river")
    export_campaign("river")
    assert the_ledger().campaigns.datasets("river") == datasets_before
    assert cvat.statuses.count(429) == 0
    assert cvat.count("POST", "/auth/login") <= 1, "one login for all runs of this process"


@pytest.mark.usefixtures("prefect_server")
def test_one_run_waits_finishes_and_exports_on_a_newer_server(newer, tmp_path):
    spec = river(tmp_path, 3)
    launch_campaign(spec)
    label_images(newer, project(), with_boats(images()))
    assert run_campaign(spec, wait_hours=0.01, look_every=0.1)
    finish_campaign("river")


@pytest.mark.usefixtures("prefect_server")
def test_a_launch_on_a_network_that_breaks_ends_as_on_a_good_one(cvat, tmp_path, monkeypatch):
    with proxied(cvat) as proxy:
        connect(monkeypatch, proxy.url)
        spoil(proxy)
        launch_campaign(river(tmp_path))
        assert len([request for request in proxy.requests if request.fault]) >= 6
        proxy.clear()
    assert record().state is State.ACTIVE
    assert len(cvat.state.projects) == 1
    frames = [frame.name for task in cvat.state.tasks.values() for frame in task.frames]
    assert sorted(frames) == [f"photo-{number:03}.jpg" for number in range(7)]


def spoil(proxy: FaultProxy) -> None:
    proxy.add(
        Rule(Fault.LOSE_ANSWER, method="POST", path="/projects$", nth=(1,)),
        Rule(Fault.LOSE_ANSWER, method="POST", path="/tasks$", nth=(1,)),
        Rule(Fault.RESET, method="POST", path="/data/", nth=(2,)),
        Rule(Fault.LOSE_ANSWER, method="POST", path="/data/", nth=(5, 8)),
        Rule(Fault.ERROR_AFTER, method="PATCH", nth=(1,)),
        Rule(Fault.BUSY, method="GET", every=7, retry_after="0"),
    )


@pytest.mark.slow
def test_a_file_that_cvat_cannot_take_is_left_out_and_the_rest_goes_on(cvat, tmp_path):
    spec = river(tmp_path, 3)

    def spoil_one(request) -> None:
        if "upload-multiple" in request.headers:
            request.files = [
                (field, name, b"no image at all" if name == "photo-001.jpg" else content)
                for field, name, content in request.files
            ]

    cvat.interfere = spoil_one
    launch_campaign(spec)
    assert (record().state, record().images) == (State.ACTIVE, 2)
    ((name, reason),) = [(reject.name, reject.reason) for reject in the_ledger().manifests.rejects("river")]
    assert name == "photo-001.jpg"
    assert "cannot identify it" in reason


@pytest.mark.slow
def test_review_rejects_reopens_and_accepts_until_all_is_done(cvat, tmp_path):
    launch_campaign(river(tmp_path, 4, done_means="accepted", reviewers=["labeler2"]))
    label_images(cvat, project(), with_boats(images()))
    assert sweep_campaigns() == {"river": "active"}, "labeled is not accepted"
    assert cvat_review_campaign("river") == {"accepted": 0, "rejected": 0, "to review": 2}
    first, second = sorted(cvat.state.jobs)
    as_labeler(cvat, "PATCH", f"/api/jobs/{first}", {"state": "completed"}, "labeler2")
    as_labeler(cvat, "PATCH", f"/api/jobs/{second}", {"state": "rejected"}, "labeler2")
    assert cvat_review_campaign("river") == {"accepted": 1, "rejected": 1, "to review": 0}
    label_images(cvat, project(), {image: [] for image in images()[2:]})
    assert cvat_review_campaign("river") == {"accepted": 0, "rejected": 0, "to review": 1}
    as_labeler(cvat, "PATCH", f"/api/jobs/{second}", {"state": "completed"}, "labeler2")
    cvat_review_campaign("river")
    assert sweep_campaigns() == {"river": "exported"}


@pytest.mark.slow
def test_predictions_of_a_coco_file_wait_for_labelers(cvat, tmp_path):
    launch_campaign(river(tmp_path, 3))
    coco = {
        "images": [{"id": 7, "file_name": "photo-001.jpg"}, {"id": 8, "file_name": "elsewhere.jpg"}],
        "categories": [{"id": 1, "name": "boat"}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 10], "score": 0.5},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "segmentation": [[5, 5, 15, 5, 10, 25]]},
            {"image_id": 8, "category_id": 1, "bbox": [1, 2, 10, 10]},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    for _ in range(2):
        assert predict_campaign("river", str(tmp_path / "coco.json")) == 1
    shapes = [shape for job in cvat.state.jobs.values() for shape in job.shapes.values()]
    assert [(shape["type"], shape["source"]) for shape in shapes] == [("rectangle", "auto"), ("polygon", "auto")]
    assert sweep_campaigns() == {"river": "active"}
    (tmp_path / "coco.json").write_text("{}")
    with pytest.raises(PredictionsUnusable, match="images"):
        predict_campaign("river", str(tmp_path / "coco.json"))


@pytest.mark.slow
def test_a_malformed_shape_is_told_and_the_rest_is_exported(cvat, tmp_path):
    launch_campaign(river(tmp_path, 3))
    label_images(cvat, project(), with_boats(images()))
    first_job = cvat.state.jobs[min(cvat.state.jobs)]
    shape = next(iter(first_job.shapes.values()))
    first_job.shapes[999] = {**shape, "id": 999, "points": [1, 2, 3]}
    (malformed,) = cvat_work.find_malformed_shapes("river")
    assert "shape 999" in malformed
    assert sweep_campaigns() == {"river": "exported"}
    with pytest.raises(PlatformRefused):
        cvat_work.export_from_server("tasks", first_job.task, str(tmp_path / "a.zip"), organization="acme", seconds=30)
    assert not list(tmp_path.glob("a.zip*"))
    assert cvat_work.remove_malformed_shapes("river") == [malformed]
    file = cvat_work.export_from_server("tasks", first_job.task, str(tmp_path / "a.zip"), organization="acme")
    assert zipfile.is_zipfile(file)


@pytest.mark.slow
def test_a_campaign_has_one_webhook_however_often_it_is_asked_for(cvat, tmp_path):
    launch_campaign(river(tmp_path, 3))
    for _ in range(2):
        assert cvat_work.create_webhook("river", "http://127.0.0.1:9/hook") == 1


def test_the_receiver_takes_a_note_once_and_forged_ones_never(cvat, home):
    platform = cvat_calls.cvat_of("cvat", organization="acme")
    platform.put_webhook(str(a_project(cvat)), "http://127.0.0.1:9/hook")
    task = {"name": "x", "project_id": 1, "segment_size": 0}
    as_labeler(cvat, "POST", "/api/webhooks/1/ping", {}, "requester")
    as_labeler(cvat, "POST", "/api/tasks", task, "requester")
    ((_, headers, body),) = cvat.notes
    webhooks = Webhooks(the_ledger(), CONNECTIONS)
    assert webhooks.record("cvat", headers, body)
    assert not webhooks.record("cvat", headers, body), "told twice"
    with pytest.raises(RequestRefused, match="not from the platform"):
        webhooks.record("cvat", headers, body + b" ")


# The script of the user's document


def recordings(root) -> None:
    for bag, count in (("bag-b", 12), ("bag-a", 3)):
        for camera in ("front", "rear"):
            make_photos(root / bag / camera, count)
    (root / "bag-a" / "front" / "broken.jpg").write_bytes(
        (root / "bag-a" / "front" / "photo-000.jpg").read_bytes()[:300]
    )
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("no folder")


def a_project(cvat) -> int:
    body = {"name": "cars", "labels": [{"name": "car"}]}
    return as_labeler(cvat, "POST", "/api/projects", body, "requester")["id"]


def test_each_folder_becomes_a_task_and_running_again_changes_nothing(cvat, tmp_path):
    recordings(tmp_path / "bags")
    project_id = a_project(cvat)
    for project in (project_id, "cars", str(project_id)):
        results = cvat_tasks_from_folders(
            str(tmp_path / "bags"), project, "front", segment_size=2, images_per_folder=5, organization="acme"
        )
        assert [(result["folder"], result["images"]) for result in results] == [("bag-a", 3), ("bag-b", 5)]
        assert [name for name, _ in results[0]["left_out"]] == ["front/broken.jpg"], "checked before it is sent"
        tasks = sorted(cvat.state.tasks.values(), key=lambda task: task.name)
        assert [(task.name, len(task.frames), task.segment_size) for task in tasks] == [
            ("bag-a", 3, 2),
            ("bag-b", 5, 2),
        ]
        assert [[task.id] for task in tasks] == [result["tasks"] for result in results]
    assert {frame.name for frame in tasks[0].frames} == {f"front%2Fphoto-{i:03}.jpg" for i in range(3)}


@pytest.mark.slow
def test_folders_whose_names_begin_alike_are_kept_apart(cvat, tmp_path):
    for bag in ("bag", "bag.2", "bag 2"):
        make_photos(tmp_path / "bags" / bag, 2)
    results = cvat_tasks_from_folders(str(tmp_path / "bags"), a_project(cvat), organization="acme")
    assert sorted((task.name, len(task.frames)) for task in cvat.state.tasks.values()) == [
        ("bag", 2),
        ("bag 2", 2),
        ("bag.2", 2),
    ]
    assert [len(result["tasks"]) for result in results] == [1, 1, 1]


@pytest.mark.slow
def test_what_a_folder_gained_since_goes_into_a_further_task(cvat, tmp_path):
    make_photos(tmp_path / "bags" / "bag.2", 2)
    project_id = a_project(cvat)
    cvat_tasks_from_folders(str(tmp_path / "bags"), project_id, organization="acme")
    make_photos(tmp_path / "bags" / "bag.2", 4)
    (result,) = cvat_tasks_from_folders(str(tmp_path / "bags"), project_id, organization="acme")
    assert sorted((task.name, len(task.frames)) for task in cvat.state.tasks.values()) == [
        ("bag.2", 2),
        ("bag.2 #2", 2),
    ]
    assert len(result["tasks"]) == 2


def test_a_folder_whose_import_failed_is_made_anew_by_the_next_run(cvat, tmp_path):
    make_photos(tmp_path / "bags" / "bag", 3)
    project_id = a_project(cvat)

    def forget(request) -> None:
        if "upload-multiple" in request.headers:
            request.files = [(field, name, b"no image") for field, name, _ in request.files]

    cvat.interfere = forget
    with pytest.raises(PlatformRefused, match="cannot identify"):
        cvat_tasks_from_folders(str(tmp_path / "bags"), project_id, organization="acme")
    cvat.interfere = lambda _: None
    (result,) = cvat_tasks_from_folders(str(tmp_path / "bags"), project_id, organization="acme")
    (task,) = cvat.state.tasks.values()
    assert (result["tasks"], len(task.frames)) == ([task.id], 3)


@pytest.mark.slow
def test_what_is_not_there_is_named(cvat, tmp_path):
    project_id = a_project(cvat)
    with pytest.raises(PlatformRefused, match="is no folder"):
        cvat_tasks_from_folders(str(tmp_path / "nowhere"), project_id, organization="acme")
    (tmp_path / "bags" / "bag").mkdir(parents=True)
    with pytest.raises(PlatformRefused, match=r"no folder in .* holds images of camera 'front'"):
        cvat_tasks_from_folders(str(tmp_path / "bags"), project_id, "front", organization="acme")
    with pytest.raises(PlatformRefused, match="no project 'trucks'"):
        cvat_tasks_from_folders(str(tmp_path / "bags"), "trucks", organization="acme")


@pytest.mark.parametrize(
    ("name", "camera", "belongs"),
    [
        ("front/1.jpg", "front", True),
        ("rig/front/1.jpg", "/rig/front", True),
        ("front_0001.jpg", "front", True),
        ("images/rig_front-1.jpg", "rig/front", True),
        ("frontal/1.jpg", "front", False),
        ("frontal_1.jpg", "front", False),
        ("rear/front.jpg", "front", True),
        ("rear/1.jpg", "front", False),
        ("anything.jpg", "", True),
    ],
)
def test_images_belong_to_a_camera_by_folder_or_by_name(name, camera, belongs):
    assert of_camera(name, camera) is belongs


@pytest.mark.usefixtures("prefect_server")
def test_every_call_of_the_document_is_a_task(cvat, tmp_path):
    project_id = a_project(cvat)
    make_photos(tmp_path / "bag", 3)
    account = {"organization": "acme"}
    assert "as requester" in cvat_calls.log_in(**account)
    details = cvat_calls.read_project(project_id, **account)
    assert (details["name"], details["labels"], details["tasks"]) == ("cars", ["car"], 0)
    task = cvat_calls.create_task(project_id, "bag", segment_size=2, **account)
    assert cvat_calls.create_task(project_id, "bag", **account) == task, "names are not unique there, and are here"
    assert (cvat_calls.read_task(task, **account)["name"], cvat_calls.read_task(task, **account)["size"]) == ("bag", 0)
    files = ["photo-000.jpg", "photo-001.jpg", "photo-002.jpg"]
    assert cvat_calls.upload_images(project_id, "bag", str(tmp_path / "bag"), files, **account) == task
    assert cvat_calls.wait_for_import(project_id, "bag", **account) == [task]
    assert cvat_calls.read_task(task, **account)["size"] == 3
    jobs = cvat_calls.list_jobs(task, **account)
    assert [(job["start"], job["stop"]) for job in jobs] == [(0, 1), (2, 2)]
    cvat_calls.assign_job(jobs[0]["id"], "labeler2", **account)
    cvat_calls.move_job(jobs[0]["id"], "validation", **account)
    assert cvat.state.jobs[jobs[0]["id"]].assignee == cvat.labeler2.id
    assert cvat.state.jobs[jobs[0]["id"]].stage == "validation"
    cvat_calls.delete_task(task, **account)
    cvat_calls.delete_task(task, **account)
    assert cvat.state.tasks == {}


@pytest.mark.usefixtures("prefect_server")
def test_a_mistake_that_comes_as_500_is_tried_a_few_times_and_then_told(cvat):
    project_id = a_project(cvat)
    task = as_labeler(cvat, "POST", "/api/tasks", {"name": "x", "project_id": project_id}, "requester")["id"]
    cvat.interfere = lambda request: Response(500, "boom: duplicate key value") if request.method == "DELETE" else None
    with pytest.raises(PlatformUnavailable, match=r"500 when asked to delete task .*boom: duplicate key value"):
        cvat_calls.delete_task(task, organization="acme")
    assert cvat.count("DELETE", "/tasks/") == 1 + len(settings().retry_delays)


@pytest.mark.slow
def test_a_portrait_taken_sideways_is_as_large_there_as_here(cvat, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40), (9, 9, 9)).save(folder / "portrait.jpg", exif=exif)
    spec = make_spec("river", folder, tmp_path / "d", platform="cvat", labeler="labeler1@example.com", options=OPTIONS)
    launch_campaign(spec)
    label_images(cvat, project(), {images()[0]: [Annotation("boat", Box(1, 2, 11, 55))]})
    assert sweep_campaigns() == {"river": "exported"}
