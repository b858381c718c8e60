"""Replays traffic of a real Sonoma Creek 1.1: the client must send every request in the recorded form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from labelwright.platforms.geti.api_versions import SonomaCreek
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.configuration import auto_train_body
from labelwright.platforms.geti.models import CoordinateUnit, GetiProject, scene_from
from labelwright.platforms.geti.projects import NewLabel, NewTask
from labelwright.platforms.geti.reencoding import pixel_difference, reencoded
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.http.json_fields import Fields
from labelwright.platforms.protocol import Secret

from .replay import RECORDINGS, Replay, replaying
from .server import reencoded_as_recorded

WORKSPACE = "624c004b234370fcf24bf38c"


@contextmanager
def replayed_client(*names: str) -> Iterator[tuple[GetiClient, Replay]]:
    """A client that is logged in already, as at the start of all recordings but client.yaml."""
    with replaying(*names) as replay:
        session = GetiSession(replay.url, "", Secret(""))
        client = GetiClient(session)
        client.__dict__["_detected_version"] = (SonomaCreek(WORKSPACE), "1.1.0")
        yield client, replay
        session.close()


def test_every_recording_is_replayed():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.stem for path in RECORDINGS.glob("*.yaml") if f'"{path.stem}"' not in text] == []


@pytest.mark.parametrize("name", ["client", "session"])
def test_login_follows_the_recorded_steps(name):
    with replaying(name) as replay:
        client = GetiClient(GetiSession(replay.url, "dummy_user", Secret("dummy_password")))
        if name == "client":
            assert (client.api_version.name, client.api_version.workspace) == ("Sonoma Creek", WORKSPACE)
            assert client.version == "1.1.0-latest-20220405093904"
        else:
            client.session.log_in()
            assert client.session.request("look", "GET", "/api/v1.0/product_info")["product-version"].startswith(
                "1.1.0"
            )
        steps = [request.partition(" ")[2].partition("?")[0] for request in replay.requests]
        assert steps[:9] == [
            "/user/login",
            "/oauth2/start",
            "/dex/auth",
            "/dex/auth/ldap",
            "/dex/auth/ldap/login",
            "/dex/auth/ldap/login",
            "/dex/approval",
            "/oauth2/callback",
            "/",
        ]
        assert replay.unrecorded == []
        # The recorded client joined its addresses with two slashes: that cost it two redirects, and is not copied.
        assert [request for request in replay.remaining if "product_info" not in request] == []
        assert replay.remaining == ["GET /api/v1.0//product_info"]


def test_recorded_projects_of_every_kind_are_read():
    with replayed_client("TestProjectManager.test_get_all_projects") as (client, replay):
        kinds = {project.name: project.kind for project in client.projects()}
        assert kinds == {
            "sdk_test_classification_project_from_dataset": "classification",
            "label_add_test": "detection",
            "Weeds": "detection -> segmentation",
            "Blocks": "instance_segmentation",
            "dog": "detection",
        }
        assert (replay.remaining, replay.unrecorded) == ([], [])


def test_project_is_found_and_deleted():
    with replayed_client("TestProjectManager.test_create_and_delete_project") as (client, replay):
        match = client.find_project("sdk_test_project_simple")
        assert match is not None
        assert client.find_project("sdk_test_project_simple") == match
        client.delete_project(match.id)
        assert client.find_project("sdk_test_project_simple") is None
        assert (replay.remaining, replay.unrecorded) == ([], [])


SIMPLE = [NewTask("classification", (NewLabel("cube"), NewLabel("cylinder")))]
HIERARCHICAL = [
    NewTask(
        "classification",
        (
            NewLabel("animal"),
            NewLabel("dog", parent="animal"),
            NewLabel("cat", parent="animal"),
            NewLabel("vehicle"),
            *(NewLabel(name, parent="vehicle", group="vehicle type") for name in ("car", "taxi", "truck")),
            *(NewLabel(name, parent="vehicle", group="vehicle color") for name in ("red", "blue", "black", "grey")),
        ),
    )
]
DETECTION = [NewTask("detection", (NewLabel("cube"), NewLabel("cylinder")))]


def create(name: str, tasks: list[NewTask]) -> GetiProject:
    with replayed_client(name) as (client, replay):
        assert client.find_project(name) is None
        created = client.create_project(name, tasks)
        assert (replay.remaining, replay.unrecorded) == ([], [])
        return created


def test_flat_classification_project_is_created():
    created = create("sdk_test_project_simple", SIMPLE)
    assert [(label.name, label.is_empty) for label in created.trained[0].labels] == [
        ("cube", False),
        ("cylinder", False),
    ]
    assert created.trained[0].empty_label is None


def test_label_hierarchy_is_created_by_names_and_read_by_ids():
    created = create("sdk_test_project_hierarchical", HIERARCHICAL)
    labels = {label.name: label for label in created.trained[0].labels}
    assert labels["dog"].parent_id == labels["animal"].id
    assert labels["animal"].group == "default - Classification task"
    assert labels["taxi"].group == "vehicle type"


def test_empty_label_of_a_detection_project_is_read_by_its_flag():
    created = create("sdk_test_configuration_manager", DETECTION)
    empty = created.trained[0].empty_label
    assert empty is not None
    assert empty.name == "No Object"


def test_hierarchical_project_is_deleted():
    with replayed_client("sdk_test_project_hierarchical_deletion") as (client, replay):
        match = client.find_project("sdk_test_project_hierarchical")
        assert match is not None
        client.delete_project(match.id)
        assert (replay.remaining, replay.unrecorded) == ([], [])


def test_image_is_uploaded_downloaded_listed_and_deleted():
    with replayed_client("TestImageManager.test_upload_and_delete_image") as (client, replay):
        recorded = next(
            interaction["request"]["body"]
            for interaction in replay.interactions
            if interaction["request"]["method"] == "POST"
        )
        picture = recorded.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        project = GetiProject("62548574234370fcf24c14a1", "images", (), (), (("62548574234370fcf24c14a0", "images"),))
        sent = client.upload(project, "WIN_20220406_21_24_24_Pro.jpg", lambda: BytesIO(picture))
        assert (sent.name, sent.width, sent.height) == ("WIN_20220406_21_24_24_Pro", 455, 256)
        assert sent.states == {"62548574234370fcf24c14a5": "none"}
        into = BytesIO()
        client.download(project, sent, into)
        assert into.getvalue()[:3] == b"\xff\xd8\xff"
        assert list(client.media(project)) == [sent]
        client.delete_medium(project, sent)
        assert list(client.media(project)) == []
        assert (replay.remaining, replay.unrecorded) == ([], [])


def test_recorded_reencoding_of_a_jpeg_is_accepted(tmp_path):
    """The fake server encodes the same way; pixels differ by at most one level between library versions."""
    with replayed_client("TestImageManager.test_upload_and_delete_image") as (_, replay):
        upload = next(
            interaction["request"]["body"]
            for interaction in replay.interactions
            if interaction["request"]["method"] == "POST"
        )
        sent = upload.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        (returned,) = (
            interaction["response"]["body"]["string"]
            for interaction in replay.interactions
            if "display/full" in interaction["request"]["uri"]
        )
    assert (len(sent), len(returned)) == (20509, 59231)
    (tmp_path / "sent.jpg").write_bytes(sent)
    difference = pixel_difference(tmp_path / "sent.jpg", returned)
    assert difference is not None
    assert difference.is_reencoding
    assert 4 <= difference.most <= 6
    for encoded in (reencoded_as_recorded(sent), reencoded(Image.open(BytesIO(sent)))):
        (tmp_path / "ours.jpg").write_bytes(encoded)
        difference_to_ours = pixel_difference(tmp_path / "ours.jpg", returned)
        assert difference_to_ours is not None
        assert difference_to_ours.most <= 1


def test_configuration_is_changed_in_one_request():
    names = (
        "sdk_test_configuration_manager_configuration_manager",
        "TestConfigurationManager.test_get_and_set_configuration",
    )
    created = create("sdk_test_configuration_manager", DETECTION)
    with replayed_client(*names) as (client, replay):
        assert {parameter["task_type"] for parameter in client.algorithms()} >= {"detection", "segmentation"}
        client.wait_until_ready(created.id)
        task = created.trained[0]
        batch = {parameter.key: parameter for parameter in client.task_parameters(created, task)}[
            "learning_parameters/batch_size"
        ]
        assert (batch.value, batch.low, batch.high) == (8, 1, 512)
        # Read once more, as recorded: the configuration as a whole, and the task before it was set.
        client.set_configuration(created, {(task.id, "learning_parameters/batch_size"): 4})
        for _ in range(2):
            after = {parameter.key: parameter for parameter in client.task_parameters(created, task)}
        assert after["learning_parameters/batch_size"].value == 4
        assert after["SUBSET_MANAGER.subset_parameters/test_proportion"].value == 0.3
        assert (replay.remaining, replay.unrecorded) == ([], [])


def test_iterations_are_read_with_their_bounds():
    with replayed_client("TestConfigurationManager.test_get_and_set_configuration") as (client, _):
        project = create("sdk_test_configuration_manager", DETECTION)
        assert client.iterations(project) == {"Detection task": 300}


def test_auto_train_request_equals_the_recorded_one():
    """From recordings of the vendor's `create_single_task_project_from_dataset`, too large to store here."""
    parts = ("COMPONENT_PARAMETERS", "624c004b234370fcf24bf38c", "TASK_NODE")
    project, task = "624ea5aa234370fcf24c0964", "624ea5aa234370fcf24c0968"
    names = ("type", "workspace_id", "component", "project_id", "task_id")
    entity = dict(zip(names, (*parts, project, task), strict=True))
    parameters = [{"name": "auto_training", "value": False}]
    recorded = {"components": [{"entity_identifier": entity, "parameters": parameters}]}
    assert auto_train_body(parts[1], project, task, False) == recorded


def test_polygon_is_read_and_sent_as_recorded():
    points = [{"x": 0.46373626373626375, "y": 0.28125}, {"x": 0.45494505494505494, "y": 0.28125}, {"x": 0.42, "y": 0.5}]
    label = {"probability": 1.0, "id": "624ea5aa234370fcf24c096e"}
    shape = {"points": points, "type": "POLYGON"}
    recorded = {
        "annotation_state_per_task": [{"state": "annotated", "task_id": "624ea5aa234370fcf24c0968"}],
        "annotations": [
            {
                "id": "624ea5b1234370fcf24c09ac",
                "labels": [{"color": "#125f5bff", **label, "name": "cylinder", "source": {"id": "N/A", "type": "N/A"}}],
                "labels_to_revisit": [],
                "modified": "2022-04-07T08:49:53.713000+00:00",
                "shape": shape,
            }
        ],
        "id": "624ea5b1234370fcf24c09ad",
        "kind": "annotation",
        "labels_to_revisit_full_scene": [],
        "media_identifier": {"image_id": "624ea5ae234370fcf24c097d", "type": "image"},
        "modified": "2022-04-07T08:49:53.714000+00:00",
    }
    (annotation,) = scene_from(Fields("geti", "read", recorded), CoordinateUnit.FRACTIONS).annotations
    assert annotation.json() == {"labels": [label], "shape": shape}


def test_sonoma_creek_returns_fractions():
    assert SonomaCreek(WORKSPACE).unit is CoordinateUnit.FRACTIONS
