"""Client calls for projects of every kind, configuration, media and annotations, on each API version."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.api_versions import GetiV2
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import (
    CoordinateUnit,
    GetiAnnotation,
    GetiMedium,
    GetiProject,
    GetiShape,
    whole_image,
)
from labelwright.platforms.geti.projects import KINDS, InvalidProject, NewLabel, NewTask, normal_kind, project_body
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.protocol import Secret
from tests.platforms.contract import picture, unique
from tests.platforms.scripted import Scripted, answer, scripted

from .harness import credential
from .server import SC, geti_server

TWO = (NewLabel("dog"), NewLabel("cat"))
TESTED_KINDS = [kind for kind in KINDS if not kind.startswith("anomaly_") and kind != "keypoint_detection"]


@pytest.fixture(scope="module", params=["2.12.1", "2.11.0", SC])
def server(request):
    with geti_server(request.param, smallest=1) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return GetiClient(GetiSession(server.url, *credential(server)))


@pytest.fixture
def project(client):
    created = client.create_project(unique("project"), [NewTask("detection", TWO)])
    client.wait_until_ready(created.id)
    return created


def tasks_of(kind: str) -> list[NewTask]:
    first, _, second = kind.partition(" -> ")
    tasks = [NewTask(first, () if first == "anomaly" else TWO)]
    return tasks if not second else [*tasks, NewTask(second, (NewLabel("long"), NewLabel("short")))]


@pytest.mark.parametrize("kind", TESTED_KINDS)
def test_every_kind_of_project_is_created_and_read(client, kind):
    name = unique(kind)
    created = client.create_project(name, tasks_of(kind))
    assert created.kind == kind
    assert client.project(created.id) == created
    match = client.find_project(name)
    assert match is not None
    assert match.id == created.id
    crops = sum(task.type == "crop" for task in created.tasks)
    assert crops == (1 if " -> " in kind else 0)
    assert len(created.connections) == len(created.tasks) - 1
    for task in created.trained:
        assert (task.empty_label is None) is (task.type in ("anomaly", "classification"))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("Detection", "detection"),
        ("detection_to_segmentation", "detection -> segmentation"),
        ("detection to classification", "detection -> classification"),
        ("rotated detection", "rotated_detection"),
        ("detection->segmentation", "detection -> segmentation"),
    ],
)
def test_kinds_are_parsed_in_several_spellings(written, kind):
    assert normal_kind(written) == kind


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([], "one trainable task or two"),
        ([NewTask("detection")], "needs a label"),
        ([NewTask("classification", (NewLabel("only"),))], "two labels without a parent"),
        ([NewTask("detection", TWO), NewTask("segmentation", TWO)], "twice"),
        ([NewTask("anomaly", (NewLabel("one"),))], "two"),
        ([NewTask("classification", (*TWO, NewLabel("b", parent="c")))], "its parent 'c'"),
        ([NewTask("cooking", TWO)], "known"),
    ],
)
def test_invalid_project_is_refused_before_any_request(server, client, tasks, reason):
    before = len(server.requests)
    with pytest.raises(PlatformRefused, match=reason):
        client.create_project("never", tasks)
    assert len(server.requests) == before
    with pytest.raises(InvalidProject):
        project_body("never", tasks)


def test_hierarchy_is_sent_parents_first_and_read_by_ids(client):
    labels = (NewLabel("poodle", parent="dog"), NewLabel("dog", color="#112233"), NewLabel("cat", hotkey="c"))
    created = client.create_project(unique("hierarchy"), [NewTask("classification", labels)])
    labels_by_name = {label.name: label for label in created.trained[0].labels}
    assert labels_by_name["poodle"].parent_id == labels_by_name["dog"].id
    assert labels_by_name["dog"].color == "#112233ff"
    assert labels_by_name["cat"].hotkey == "c"
    if client.unit is CoordinateUnit.PIXELS:  # 2.x: every label has a group, other than its parent's
        groups = ["dog label group", "classification task label group", "classification task label group"]
        assert [labels_by_name[name].group for name in ("poodle", "dog", "cat")] == groups


def test_two_projects_of_one_name_are_refused(client):
    for _ in range(2):
        client.create_project("twins", [NewTask("detection", TWO)])
    with pytest.raises(PlatformRefused, match="there are 2 of that name"):
        client.find_project("twins")


def test_projects_are_listed_page_by_page(client):
    for number in range(55):
        client.create_project(f"many-{number}", [NewTask("detection", TWO)])
    names = [project.name for project in client.projects()]
    assert {f"many-{number}" for number in range(55)} <= set(names)


def test_new_project_is_awaited_until_configurable(server, client):
    server.unready_status_requests = 2
    created = client.create_project(unique("slow"), [NewTask("detection", TWO)])
    server.unready_status_requests = 0
    with pytest.raises(NotFound):
        client.wait_until_ready(created.id, seconds=0)
    client.wait_until_ready(created.id)
    assert client.auto_train(created) is True


def test_auto_train_is_switched_for_every_task(server, client):
    created = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    client.wait_until_ready(created.id)
    for on in (False, True):
        client.set_auto_train(created, on)
        assert set(server.projects[created.id].auto.values()) == {on}
        assert client.auto_train(created) is on


def test_auto_train_is_not_written_when_unchanged(server, client):
    created = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    client.wait_until_ready(created.id)
    with server.lock:
        server.projects[created.id].auto[created.trained[1].id] = False
    requests_before = len(server.requests)
    client.set_auto_train(created, False)
    methods = [method for method, _ in server.requests[requests_before:]]
    assert methods == (["GET", "PATCH", "GET"] if server.patches else ["GET", "GET", "POST", "GET", "GET"])
    client.set_auto_train(created, False)
    assert {method for method, _ in server.requests[requests_before + len(methods) :]} == {"GET"}


def test_setting_that_the_server_ignores_is_detected(server, client, project, monkeypatch):
    monkeypatch.setattr(type(server), "configure", lambda *_: None)
    server.projects[project.id].auto = _Frozen(server.projects[project.id].auto)
    with pytest.raises(PlatformRefused, match="auto-train is not off"):
        client.set_auto_train(project, False)


class _Frozen(dict):
    def __setitem__(self, *_: object) -> None:
        return


def test_iterations_are_set_within_the_servers_bounds(client):
    created = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    client.wait_until_ready(created.id)
    assert client.set_iterations(created, 750) == {"Detection task": 750, "Segmentation task": 750}
    assert client.iterations(created) == {"Detection task": 750, "Segmentation task": 750}
    for number in (0, 100_001):
        with pytest.raises(PlatformRefused, match="is from 1 to"):
            client.set_iterations(created, number)
    assert client.iterations(created) == {"Detection task": 750, "Segmentation task": 750}


def send(client, project, name):
    return client.upload(project, name, lambda: io.BytesIO(picture(name)))


def test_files_that_differ_in_suffix_only_are_both_uploaded(client, project):
    sent = [send(client, project, name) for name in ("a.jpg", "a.png", "a.png")]
    assert [medium.name for medium in sent] == ["a", "a", "a"]
    assert [medium.id for medium in client.media(project)] == [medium.id for medium in sent]


def test_media_are_listed_page_by_page(server, project):
    paging = GetiClient(GetiSession(server.url, *credential(server)), page_size=2)
    sent = [send(paging, project, f"{number}.png").id for number in range(4)]
    assert [medium.id for medium in paging.media(project)] == sent


@pytest.mark.parametrize("name", ["дно 1.png", 'a "quoted" name.png', "semi;colon.png", "dots.in.it.png"])
def test_names_survive_upload_and_listing(client, project, name):
    assert send(client, project, name).name == name.removesuffix(".png")


def test_rejected_file_raises_with_the_servers_message(client, project):
    with pytest.raises(PlatformRefused, match="no supported format") as caught:
        client.upload(project, "notes.txt", lambda: io.BytesIO(b"text"))
    assert caught.value.status == 415


def test_deleting_is_idempotent_and_waits_for_a_locked_project(server, client, project):
    medium = send(client, project, "a.png")
    server.projects[project.id].locked = True
    for say in (lambda: client.delete_medium(project, medium), lambda: client.delete_project(project.id)):
        with pytest.raises(PlatformUnavailable, match="Jobs of the project are running"):
            say()
    server.projects[project.id].locked = False
    for _ in range(2):
        client.delete_medium(project, medium)
    assert list(client.media(project)) == []


def box(client, medium, label, probability=1.0):
    shape = GetiShape("RECTANGLE", {"x": 4, "y": 3, "width": 10, "height": 6})
    return GetiAnnotation(
        shape.to(client.unit, CoordinateUnit.PIXELS, medium.width, medium.height), ((label.id, probability),)
    )


def test_annotating_replaces_the_scene(client, project):
    medium = send(client, project, "a.png")
    assert client.scene(project, medium) is None
    dog, cat = (label for label in project.trained[0].labels if not label.is_empty)
    polygon = GetiShape("POLYGON", points=((1, 1), (9, 1), (5, 8)))
    outline = GetiAnnotation(polygon.to(client.unit, CoordinateUnit.PIXELS, 40, 30), ((cat.id, 0.25), (dog.id, 1.0)))
    for scene_annotations in ([box(client, medium, dog)], [box(client, medium, dog), outline]):
        client.annotate(project, medium, scene_annotations)
        scene = client.scene(project, medium)
        assert scene is not None
        assert list(scene.annotations) == scene_annotations
    (listed,) = client.media(project)
    assert listed.done(project.trained)


def test_only_the_empty_label_marks_an_empty_image_as_done(client, project):
    empty_image, unannotated = send(client, project, "a.png"), send(client, project, "b.png")
    empty = project.trained[0].empty_label
    client.annotate(project, empty_image, [GetiAnnotation(whole_image(client.unit, 40, 30), ((empty.id, 1.0),))])
    client.annotate(project, unannotated, [])
    states = {medium.id: medium.done(project.trained) for medium in client.media(project)}
    assert states == {empty_image.id: True, unannotated.id: False}


def test_image_of_a_chain_is_done_when_both_tasks_are(client):
    chain = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    medium = send(client, chain, "a.png")
    first, second = (task.labels[0] for task in chain.trained)
    client.annotate(chain, medium, [box(client, medium, first)])
    assert [medium.done(chain.trained) for medium in client.media(chain)] == [False]
    client.annotate(chain, medium, [box(client, medium, first), box(client, medium, second)])
    assert [medium.done(chain.trained) for medium in client.media(chain)] == [True]


def test_video_and_frames_are_uploaded_and_downloaded(client, project):
    data = bytes(range(256)) * 4
    video = client.upload(project, "swim.mp4", lambda: io.BytesIO(data), kind="video")
    assert (video.type, video.name, video.frames) == ("video", "swim", 10)
    assert [medium.id for medium in client.media(project, "video")] == [video.id]
    assert list(client.media(project)) == []
    assert client.video_scenes(project, video) == []
    annotations = [box(client, video, project.trained[0].labels[0])]
    client.annotate(project, video, annotations, frame=3)
    (scene,) = client.video_scenes(project, video)
    assert (scene.frame, list(scene.annotations)) == (3, annotations)
    frame_scene = client.scene(project, video, frame=3)
    assert frame_scene is not None
    assert list(frame_scene.annotations) == annotations
    assert client.scene(project, video, frame=4) is None
    for into, download in (
        (io.BytesIO(), lambda into: client.download(project, video, into)),
        (io.BytesIO(), lambda into: client.download_frame(project, video, 3, into)),
    ):
        download(into)
        assert into.getvalue() == data or into.getvalue().startswith(b"\x89PNG")


def test_frames_are_read_in_several_requests(server, client, project, monkeypatch):
    monkeypatch.setattr(server, "most_frames", 2)
    video = client.upload(project, "long.mp4", lambda: io.BytesIO(bytes(1000)), kind="video")
    whole = whole_image(client.unit, 32, 32)
    annotations = [GetiAnnotation(whole, ((project.trained[0].labels[0].id, 1.0),))]
    for frame in (0, 2, 3, 5, 9):
        client.annotate(project, video, annotations, frame=frame)
    client.annotate(project, video, [], frame=7)
    assert [scene.frame for scene in client.video_scenes(project, video)] == [0, 2, 3, 5, 9]


def test_missing_frames_are_refused():
    scenes = b'"video_annotations": [{"media_identifier": {"frame_index": 0}, "annotations": []}]'
    body = b'{%s, "video_annotation_properties": {"total_requested_count": 2}}' % scenes
    project = GetiProject("p", "p", (), (), (("d", "d"),))
    video = GetiMedium("v", "v", "video", 32, 32, "", {})
    with geti_returning(body) as (client, _), pytest.raises(PlatformRefused, match="fewer frames than announced"):
        client.video_scenes(project, video)


def test_jobs_are_read_cancelled_and_awaited(server, client):
    server.jobs["j1"] = {"state": "running", "steps": [], "metadata": {}}
    server.jobs["j2"] = {"state": "finished", "steps": [], "metadata": {}}
    assert client.job("j1")["state"] == "running"
    with pytest.raises(PlatformUnavailable, match="still 'running'"):
        client.wait_for_job("j1", seconds=0)
    client.cancel_job("j1")
    with pytest.raises(PlatformRefused, match="cancelled"):
        client.wait_for_job("j1")
    assert client.wait_for_job("j2")["state"] == "finished"
    with pytest.raises(PlatformRefused) as caught:
        client.cancel_job("j1")
    assert caught.value.status == 412


@contextmanager
def geti_returning(*answers: bytes) -> Iterator[tuple[GetiClient, Scripted]]:
    """A client of a Geti that returns these bodies."""
    with scripted(*(answer(200, body) for body in answers)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("token")))
        client.__dict__["_detected_version"] = (GetiV2("o", "w", (2, 11)), "2.11.0")
        yield client, server


def test_datasets_are_read_when_the_project_lacks_them():
    project, datasets = b'{"id": "p", "name": "dogs"}', b'{"datasets": [{"id": "d1", "name": "one"}, {"id": "d2"}]}'
    with geti_returning(project, datasets) as (client, server):
        assert client.project("p").datasets == (("d1", "one"), ("d2", ""))
        assert "GET /api/v1/organizations/o/workspaces/w/projects/p/datasets " in server.requests[1]
    with geti_returning(project, b"{}") as (client, _), pytest.raises(PlatformRefused, match="lists no dataset"):
        next(client.media(client.project("p")))


def test_job_state_is_read_from_its_status():
    running, done = b'{"id": "j", "status": {"state": "RUNNING"}}', b'{"id": "j", "status": {"state": "FINISHED"}}'
    with geti_returning(running, done) as (client, _):
        assert client.wait_for_job("j", seconds=5, look_every=0.01)["id"] == "j"
    with geti_returning(b'{"id": "j", "status": {"state": "FAILED"}}') as (client, _), pytest.raises(PlatformRefused):
        client.wait_for_job("j", seconds=5, look_every=0.01)


def test_shapes_convert_between_fractions_and_pixels():
    for shape in (
        GetiShape("RECTANGLE", {"x": 0.25, "y": 0.5, "width": 0.125, "height": 0.25}),
        GetiShape("ROTATED_RECTANGLE", {"x": 0.5, "y": 0.5, "width": 0.25, "height": 0.25, "angle": 30.0}),
        GetiShape("POLYGON", points=((0.25, 0.5), (0.75, 0.5), (0.5, 1.0))),
    ):
        pixels = shape.to(CoordinateUnit.PIXELS, CoordinateUnit.FRACTIONS, 640, 480)
        assert pixels != shape
        assert pixels.to(CoordinateUnit.FRACTIONS, CoordinateUnit.PIXELS, 640, 480) == shape
        assert shape.to(CoordinateUnit.FRACTIONS, CoordinateUnit.FRACTIONS, 640, 480) is shape
