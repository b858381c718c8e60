"""Projects of every kind, their configuration, media and annotations, on both dialects of the stand-in."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from labelwright.platforms.errors import NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.geti.api_versions import Geti
from labelwright.platforms.geti.client import GetiClient
from labelwright.platforms.geti.models import GetiAnnotation, GetiMedium, GetiProject, GetiShape, Unit, whole_image
from labelwright.platforms.geti.projects import KINDS, CannotBe, NewLabel, NewTask, normal_kind, project_body
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.protocol import Secret
from tests.platforms.contract import picture, unique
from tests.platforms.scripted import Scripted, answer, scripted

from .harness import credential
from .server import SC, geti_server

TWO = (NewLabel("dog"), NewLabel("cat"))
KINDS_HERE = [kind for kind in KINDS if not kind.startswith("anomaly_") and kind != "keypoint_detection"]


@pytest.fixture(scope="module", params=["2.12.1", "2.11.0", SC])
def server(request):
    with geti_server(request.param, smallest=1) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return GetiClient(GetiSession(server.url, *credential(server)))


@pytest.fixture
def project(client):
    made = client.create_project(unique("project"), [NewTask("detection", TWO)])
    client.wait_until_ready(made.id)
    return made


def tasks_of(kind: str) -> list[NewTask]:
    first, _, second = kind.partition(" -> ")
    tasks = [NewTask(first, () if first == "anomaly" else TWO)]
    return tasks if not second else [*tasks, NewTask(second, (NewLabel("long"), NewLabel("short")))]


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_a_project_of_every_kind_is_made_and_read_again(client, kind):
    name = unique(kind)
    made = client.create_project(name, tasks_of(kind))
    assert made.kind == kind
    assert client.project(made.id) == made
    found = client.find_project(name)
    assert found is not None
    assert found.id == made.id
    crops = sum(task.type == "crop" for task in made.tasks)
    assert crops == (1 if " -> " in kind else 0)
    assert len(made.connections) == len(made.tasks) - 1
    for task in made.trained:
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
def test_kinds_are_understood_as_people_write_them(written, kind):
    assert normal_kind(written) == kind


@pytest.mark.parametrize(
    ("tasks", "told"),
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
def test_a_project_that_cannot_be_is_refused_before_anything_is_sent(server, client, tasks, told):
    before = len(server.requests)
    with pytest.raises(PlatformRefused, match=told):
        client.create_project("never", tasks)
    assert len(server.requests) == before
    with pytest.raises(CannotBe):
        project_body("never", tasks)


def test_a_hierarchy_is_sent_parents_first_and_comes_back_by_ids(client):
    labels = (NewLabel("poodle", parent="dog"), NewLabel("dog", color="#112233"), NewLabel("cat", hotkey="c"))
    made = client.create_project(unique("hierarchy"), [NewTask("classification", labels)])
    found = {label.name: label for label in made.trained[0].labels}
    assert found["poodle"].parent_id == found["dog"].id
    assert found["dog"].color == "#112233ff"
    assert found["cat"].hotkey == "c"
    if client.unit is Unit.PIXELS:  # 2.x wants a group of every label, and takes none beside its parent in one
        groups = ["dog label group", "classification task label group", "classification task label group"]
        assert [found[name].group for name in ("poodle", "dog", "cat")] == groups


def test_two_projects_of_one_name_are_told_and_none_is_chosen(client):
    for _ in range(2):
        client.create_project("twins", [NewTask("detection", TWO)])
    with pytest.raises(PlatformRefused, match="there are 2 of that name"):
        client.find_project("twins")


def test_many_projects_are_listed_page_after_page(client):
    for number in range(55):
        client.create_project(f"many-{number}", [NewTask("detection", TWO)])
    names = [project.name for project in client.projects()]
    assert {f"many-{number}" for number in range(55)} <= set(names)


def test_a_project_is_waited_for_until_its_configuration_is_there(server, client):
    server.pages_left_unready = 2
    made = client.create_project(unique("slow"), [NewTask("detection", TWO)])
    server.pages_left_unready = 0
    with pytest.raises(NotFound):
        client.wait_until_ready(made.id, seconds=0)
    client.wait_until_ready(made.id)
    assert client.auto_train(made) is True


def test_auto_train_goes_off_and_on_for_every_task_and_is_read_back(server, client):
    made = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    client.wait_until_ready(made.id)
    for on in (False, True):
        client.set_auto_train(made, on)
        assert set(server.projects[made.id].auto.values()) == {on}
        assert client.auto_train(made) is on


def test_auto_train_is_looked_at_first_and_not_written_where_it_is_so_already(server, client):
    made = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    client.wait_until_ready(made.id)
    with server.lock:
        server.projects[made.id].auto[made.trained[1].id] = False
    asked = len(server.requests)
    client.set_auto_train(made, False)
    methods = [method for method, _ in server.requests[asked:]]
    assert methods == (["GET", "PATCH", "GET"] if server.patches else ["GET", "GET", "POST", "GET", "GET"])
    client.set_auto_train(made, False)
    assert {method for method, _ in server.requests[asked + len(methods) :]} == {"GET"}


def test_a_server_that_says_yes_and_does_nothing_is_found_out(server, client, project, monkeypatch):
    monkeypatch.setattr(type(server), "configure", lambda *_: None)
    server.projects[project.id].auto = _Frozen(server.projects[project.id].auto)
    with pytest.raises(PlatformRefused, match="auto-train is not off"):
        client.set_auto_train(project, False)


class _Frozen(dict):
    def __setitem__(self, *_: object) -> None:
        return


def test_iterations_are_set_for_all_tasks_within_the_bounds_of_the_server(client):
    made = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    client.wait_until_ready(made.id)
    assert client.set_iterations(made, 750) == {"Detection task": 750, "Segmentation task": 750}
    assert client.iterations(made) == {"Detection task": 750, "Segmentation task": 750}
    for number in (0, 100_001):
        with pytest.raises(PlatformRefused, match="is from 1 to"):
            client.set_iterations(made, number)
    assert client.iterations(made) == {"Detection task": 750, "Segmentation task": 750}


def send(client, project, name):
    return client.upload(project, name, lambda: io.BytesIO(picture(name)))


def test_two_files_that_differ_in_their_endings_collide_and_are_both_there(client, project):
    sent = [send(client, project, name) for name in ("a.jpg", "a.png", "a.png")]
    assert [one.name for one in sent] == ["a", "a", "a"]
    assert [one.id for one in client.media(project)] == [one.id for one in sent]


def test_media_are_listed_page_after_page_and_the_list_ends(server, project):
    paging = GetiClient(GetiSession(server.url, *credential(server)), page_size=2)
    sent = [send(paging, project, f"{number}.png").id for number in range(4)]
    assert [one.id for one in paging.media(project)] == sent


@pytest.mark.parametrize("name", ["дно 1.png", 'a "quoted" name.png', "semi;colon.png", "dots.in.it.png"])
def test_names_go_up_and_come_back_whole(client, project, name):
    assert send(client, project, name).name == name.removesuffix(".png")


def test_what_the_server_does_not_take_is_refused_with_its_words(client, project):
    with pytest.raises(PlatformRefused, match="no supported format") as caught:
        client.upload(project, "notes.txt", lambda: io.BytesIO(b"text"))
    assert caught.value.status == 415


def test_a_medium_is_deleted_once_or_twice_and_a_locked_project_is_told_as_such(server, client, project):
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
    return GetiAnnotation(shape.to(client.unit, Unit.PIXELS, medium.width, medium.height), ((label.id, probability),))


def test_a_scene_is_replaced_and_comes_back_as_it_was_put(client, project):
    medium = send(client, project, "a.png")
    assert client.scene(project, medium) is None
    dog, cat = (label for label in project.trained[0].labels if not label.is_empty)
    polygon = GetiShape("POLYGON", points=((1, 1), (9, 1), (5, 8)))
    outline = GetiAnnotation(polygon.to(client.unit, Unit.PIXELS, 40, 30), ((cat.id, 0.25), (dog.id, 1.0)))
    for said in ([box(client, medium, dog)], [box(client, medium, dog), outline]):
        client.annotate(project, medium, said)
        scene = client.scene(project, medium)
        assert scene is not None
        assert list(scene.annotations) == said
    (listed,) = client.media(project)
    assert listed.done(project.trained)


def test_the_empty_label_says_that_nothing_is_there_and_an_empty_scene_does_not(client, project):
    looked, not_looked = send(client, project, "a.png"), send(client, project, "b.png")
    empty = project.trained[0].empty_label
    client.annotate(project, looked, [GetiAnnotation(whole_image(client.unit, 40, 30), ((empty.id, 1.0),))])
    client.annotate(project, not_looked, [])
    states = {medium.id: medium.done(project.trained) for medium in client.media(project)}
    assert states == {looked.id: True, not_looked.id: False}


def test_a_chain_is_done_when_both_tasks_are_and_its_labels_are_in_one_scene(client):
    chain = client.create_project(unique("chain"), tasks_of("detection -> segmentation"))
    medium = send(client, chain, "a.png")
    first, second = (task.labels[0] for task in chain.trained)
    client.annotate(chain, medium, [box(client, medium, first)])
    assert [one.done(chain.trained) for one in client.media(chain)] == [False]
    client.annotate(chain, medium, [box(client, medium, first), box(client, medium, second)])
    assert [one.done(chain.trained) for one in client.media(chain)] == [True]


def test_a_video_and_its_frames_go_up_and_down(client, project):
    data = bytes(range(256)) * 4
    video = client.upload(project, "swim.mp4", lambda: io.BytesIO(data), kind="video")
    assert (video.type, video.name, video.frames) == ("video", "swim", 10)
    assert [one.id for one in client.media(project, "video")] == [video.id]
    assert list(client.media(project)) == []
    assert client.video_scenes(project, video) == []
    said = [box(client, video, project.trained[0].labels[0])]
    client.annotate(project, video, said, frame=3)
    (scene,) = client.video_scenes(project, video)
    assert (scene.frame, list(scene.annotations)) == (3, said)
    found = client.scene(project, video, frame=3)
    assert found is not None
    assert list(found.annotations) == said
    assert client.scene(project, video, frame=4) is None
    for into, download in (
        (io.BytesIO(), lambda into: client.download(project, video, into)),
        (io.BytesIO(), lambda into: client.download_frame(project, video, 3, into)),
    ):
        download(into)
        assert into.getvalue() == data or into.getvalue().startswith(b"\x89PNG")


def test_frames_that_do_not_fit_into_one_answer_are_asked_for(server, client, project, monkeypatch):
    monkeypatch.setattr(server, "most_frames", 2)
    video = client.upload(project, "long.mp4", lambda: io.BytesIO(bytes(1000)), kind="video")
    whole = whole_image(client.unit, 32, 32)
    said = [GetiAnnotation(whole, ((project.trained[0].labels[0].id, 1.0),))]
    for frame in (0, 2, 3, 5, 9):
        client.annotate(project, video, said, frame=frame)
    client.annotate(project, video, [], frame=7)
    assert [scene.frame for scene in client.video_scenes(project, video)] == [0, 2, 3, 5, 9]


def test_frames_that_a_server_keeps_to_itself_are_told():
    scenes = b'"video_annotations": [{"media_identifier": {"frame_index": 0}, "annotations": []}]'
    body = b'{%s, "video_annotation_properties": {"total_requested_count": 2}}' % scenes
    project = GetiProject("p", "p", (), (), (("d", "d"),))
    video = GetiMedium("v", "v", "video", 32, 32, "", {})
    with told(body) as (client, _), pytest.raises(PlatformRefused, match="fewer frames than there are"):
        client.video_scenes(project, video)


def test_jobs_are_read_cancelled_and_waited_for(server, client):
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
def told(*answers: bytes) -> Iterator[tuple[GetiClient, Scripted]]:
    """A Geti that answers so."""
    with scripted(*(answer(200, one) for one in answers)) as server:
        client = GetiClient(GetiSession(server.url, "", Secret("token")))
        client.__dict__["_met"] = (Geti("o", "w", (2, 11)), "2.11.0")
        yield client, server


def test_datasets_are_asked_for_where_the_project_does_not_tell_them():
    project, datasets = b'{"id": "p", "name": "dogs"}', b'{"datasets": [{"id": "d1", "name": "one"}, {"id": "d2"}]}'
    with told(project, datasets) as (client, server):
        assert client.project("p").datasets == (("d1", "one"), ("d2", ""))
        assert "GET /api/v1/organizations/o/workspaces/w/projects/p/datasets " in server.requests[1]
    with told(project, b"{}") as (client, _), pytest.raises(PlatformRefused, match="told of no dataset"):
        next(client.media(client.project("p")))


def test_a_job_that_tells_its_state_in_its_status_is_understood():
    running, done = b'{"id": "j", "status": {"state": "RUNNING"}}', b'{"id": "j", "status": {"state": "FINISHED"}}'
    with told(running, done) as (client, _):
        assert client.wait_for_job("j", seconds=5, look_every=0.01)["id"] == "j"
    with told(b'{"id": "j", "status": {"state": "FAILED"}}') as (client, _), pytest.raises(PlatformRefused):
        client.wait_for_job("j", seconds=5, look_every=0.01)


def test_shapes_go_from_fractions_to_pixels_and_back():
    for shape in (
        GetiShape("RECTANGLE", {"x": 0.25, "y": 0.5, "width": 0.125, "height": 0.25}),
        GetiShape("ROTATED_RECTANGLE", {"x": 0.5, "y": 0.5, "width": 0.25, "height": 0.25, "angle": 30.0}),
        GetiShape("POLYGON", points=((0.25, 0.5), (0.75, 0.5), (0.5, 1.0))),
    ):
        pixels = shape.to(Unit.PIXELS, Unit.FRACTIONS, 640, 480)
        assert pixels != shape
        assert pixels.to(Unit.FRACTIONS, Unit.PIXELS, 640, 480) == shape
        assert shape.to(Unit.FRACTIONS, Unit.FRACTIONS, 640, 480) is shape
