"""What is odd about Remo, and what the adapter makes of it: one test or more for each oddity, on both generations."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image as Pillow
from PIL import ImageOps

from labelwright.domain import (
    Annotation,
    Box,
    ExcludedImage,
    Geometry,
    Image,
    ImageState,
    Label,
    LabeledImage,
    LabelSchema,
    Mask,
    Size,
    WholeImage,
)
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused, PlatformUnavailable
from labelwright.platforms.protocol import CampaignOrder, ImageToSend, RemoteCampaign, RemoteState, Secret, SetState
from labelwright.platforms.registry import PLATFORMS, Connection
from labelwright.platforms.remo.adapter import Remo
from labelwright.platforms.remo.models import ImageStatus, RemoFolder, Task
from labelwright.platforms.remo.names import our_name
from labelwright.platforms.remo.session import RemoSession
from tests.platforms.contract import all_labels, picture, to_send, unique, wait_for_batch
from tests.platforms.proxy import Fault, FaultProxy, Rule

from .harness import Labeler
from .server import EMAIL, PASSWORD, RemoServer

BOATS = LabelSchema((Label("sailing Boat"), Label("buoy")))


def connected(server: RemoServer, **more: Any) -> Remo:
    return Remo(RemoSession(server.url, EMAIL, Secret(PASSWORD), timeout=(5, 10), patience=1), **more)


@pytest.fixture(params=[False, True], ids=["0.3.29", "0.6.1"])
def server(request: pytest.FixtureRequest) -> Iterator[RemoServer]:
    with RemoServer(modern=request.param) as server:
        server.world.looks_until_done = 1
        yield server


@pytest.fixture
def old() -> Iterator[RemoServer]:
    with RemoServer(modern=False) as server:
        yield server


@pytest.fixture
def new() -> Iterator[RemoServer]:
    with RemoServer(modern=True) as server:
        server.world.looks_until_done = 1
        yield server


def campaign(
    remo: Remo, labels: LabelSchema = BOATS, names: tuple[str, ...] = ("a.png", "b.png", "c.png")
) -> RemoteCampaign:
    created = remo.create_campaign(CampaignOrder(unique("campaign"), labels, "partner@example.com"))
    remo.send_images(created.id, 1, [to_send(name) for name in names])
    wait_for_batch(remo, created.id, 1)
    remo.activate_campaign(created.id)
    return created


def ids(remo: Remo, created: RemoteCampaign) -> dict[str, str]:
    return {image.name: image.id for image in remo.list_campaign_images(created.id)}


def write(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(picture(name))
    return [folder / name for name in names]


# folder_id


def test_linked_files_go_into_the_folder_on_both_generations(server: RemoServer) -> None:
    remo = connected(server)
    server.world.local = {"/data/a.png": picture("a.png")}
    dataset = remo.create_dataset("river").id
    folder = remo.create_folder(dataset, "batch-1").id
    done = remo.link_files(dataset, ["/data"], folder=folder)
    if done.session:
        remo.wait_for_upload(done.session)
    assert [(type(item), item.name) for item in remo.list_contents(dataset)] == [(RemoFolder, "batch-1")]
    assert [item.name for item in remo.list_contents(dataset, folder)] == ["a.png"]
    (request,) = server.calls("POST", r"/api/dataset/\d+/upload/")
    assert json.loads(request.body)["folder_id"] == int(folder)
    assert "folder_id" not in request.query


def test_sent_files_go_into_the_folder_by_the_query_on_0_3(old: RemoServer, tmp_path: Path) -> None:
    remo = connected(old)
    dataset = remo.create_dataset("river").id
    folder = remo.create_folder(dataset, "batch-1").id
    assert remo.upload_files(dataset, write(tmp_path, "a.png"), folder=folder).added == 1
    assert [item.name for item in remo.list_contents(dataset, folder)] == ["a.png"]
    (request,) = old.calls("POST", r"/api/dataset/\d+/upload/")
    assert (request.query["folder_id"], request.form) == (folder, {})


def test_sent_files_are_refused_a_folder_on_0_6_which_would_lose_it(new: RemoServer, tmp_path: Path) -> None:
    remo = connected(new)
    dataset = remo.create_dataset("river").id
    folder = remo.create_folder(dataset, "batch-1").id
    with pytest.raises(PlatformRefused, match="link files that lie on the server"):
        remo.upload_files(dataset, write(tmp_path, "a.png"), folder=folder)
    assert not new.calls("POST", r"/api/dataset/\d+/upload/")


# Completion


def test_a_set_that_is_completed_by_its_own_word_with_nothing_done_is_not(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    dataset, annotation_set = created.id.split("-")
    for image in ids(remo, created).values():
        remo.set_image_status(dataset, annotation_set, image, ImageStatus.NOT_ANNOTATED)
    (listed,) = remo.list_annotation_sets(dataset)
    assert listed.says_it_is_completed
    assert not listed.complete
    now = remo.read_campaign(created.id)
    assert (now.state, now.done, now.total) == (RemoteState.ACTIVE, 0, 3)
    assert all_labels(remo, created.id) == []


def test_zeros_before_the_first_annotation_are_no_completion(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    with server.lock:
        server.world.sets[int(created.id.split("-")[1])].counted = None
    message = requests.get(
        f"{server.url}/api/v1/ui/datasets/{created.id.split('-')[0]}/annotation-sets/",
        headers={"Authorization": f"Token {server.token}"},
        timeout=60,
    ).json()["results"][0]
    assert message["total_images"] == 3
    assert message["statistics"].get("todo_count", 0) == 0
    assert remo.read_campaign(created.id).state is RemoteState.ACTIVE


def test_statistics_from_before_the_images_came_are_no_completion(new: RemoServer) -> None:
    remo = connected(new)
    created = campaign(remo)
    assert new.world.sets[int(created.id.split("-")[1])].counted["todo_count"] == 0  # counted when it was empty
    assert remo.read_campaign(created.id).state is RemoteState.ACTIVE


def test_skipped_and_empty_images_complete_a_campaign(server: RemoServer) -> None:
    remo, labeler = connected(server), Labeler(server.url)
    created = campaign(remo)
    images = ids(remo, created)
    labeler.say(created.id, images["a.png"], {"objects": []})
    labeler.say(created.id, images["b.png"], {"objects": []}, "skipped")
    assert remo.read_campaign(created.id).state is RemoteState.ACTIVE
    labeler.say(created.id, images["c.png"], {"objects": []})
    now = remo.read_campaign(created.id)
    assert (now.state, now.done, now.total, now.skipped) == (RemoteState.COMPLETED, 3, 3, 1)
    page = remo.read_labels(created.id)
    assert {item.name: item.annotations for item in page.images} == {"a.png": (), "c.png": ()}
    assert page.excluded == (ExcludedImage("b.png", ImageState.SKIPPED, "skipped in Remo", images["b.png"]),)


def test_skipped_images_with_objects_are_excluded_on_every_page(server: RemoServer) -> None:
    remo, labeler = connected(server, page_size=1), Labeler(server.url)
    created = campaign(remo)
    images = ids(remo, created)
    boat = [{"name": "O", "classes": [{"name": "Buoy"}], "coordinates": [{"x": 1, "y": 2}, {"x": 9, "y": 9}]}]
    labeler.say(created.id, images["a.png"], {"objects": boat}, "skipped")
    labeler.say(created.id, images["b.png"], {"objects": []}, "skipped")
    labeler.say(created.id, images["c.png"], {"objects": boat})
    labeled, excluded, cursor = [], {}, ""
    while cursor is not None:
        page = remo.read_labels(created.id, cursor or None)
        labeled += [item.name for item in page.images]
        excluded |= {item.name: item.detail for item in page.excluded}
        cursor = page.next
    assert labeled == ["c.png"]
    assert excluded == {"a.png": "skipped in Remo, with 1 label on it", "b.png": "skipped in Remo"}


def test_an_image_that_was_deleted_is_found_unless_the_listing_is_cut_off(server: RemoServer, monkeypatch) -> None:
    remo = connected(server)
    created = campaign(remo)
    images = ids(remo, created)
    assert remo.deleted_images(created.id, list(images.values())) == {}
    real = Remo.list_images
    monkeypatch.setattr(Remo, "list_images", lambda self, dataset: islice(real(self, dataset), 2))
    assert remo.deleted_images(created.id, list(images.values())) == {}
    monkeypatch.undo()
    with server.lock:
        del server.world.datasets[int(created.id.split("-")[0])].pictures[int(images["b.png"])]
    assert list(remo.deleted_images(created.id, list(images.values()))) == [images["b.png"]]
    assert remo.read_campaign(created.id).total == 2


def test_the_classes_of_a_campaign_are_told_under_our_names(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    names = remo.list_labels(created.id).names
    classes = remo.read_annotation_set(created.id.split("-")[1]).classes
    remo.delete_class(created.id.split("-")[1], classes[0].id)
    left = remo.list_labels(created.id).names
    assert len(left) == len(names) - 1
    assert set(left) < set(names)


def test_statistics_of_the_users_document_alone_are_enough(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    for annotated, state in ((2, RemoteState.ACTIVE), (3, RemoteState.COMPLETED)):
        with server.lock:
            counted = {"annotated_images_count": annotated, "top3_classes": [], "total_classes": 2}
            server.world.sets[int(created.id.split("-")[1])].counted = counted
        assert remo.read_campaign(created.id).state is state


# Uploads


def test_failed_session_whose_files_exist_is_verified_by_listing(new: RemoServer) -> None:
    remo = connected(new)
    created = campaign(remo, names=("a.png", "b.png"))
    remo.send_images(created.id, 1, [to_send(name) for name in ("a.png", "b.png", "c.png")])
    result = wait_for_batch(remo, created.id, 1)
    assert [item.status for item in new.world.uploads.values()] == ["done", "failed"]
    assert (result.state, result.rejected) == (SetState.FINISHED, ())
    assert sorted(ids(remo, created)) == ["a.png", "b.png", "c.png"]


def test_a_file_that_is_there_already_is_no_error_on_0_3(old: RemoServer) -> None:
    remo = connected(old)
    created = campaign(remo)
    remo.send_images(created.id, 1, [to_send("a.png")])
    assert remo.read_batch(created.id, 1).rejected == ()
    assert sorted(ids(remo, created)) == ["a.png", "b.png", "c.png"]


def test_a_second_complete_that_is_answered_404_is_no_error(new: RemoServer) -> None:
    remo = connected(new)
    upload = remo.start_upload(remo.create_dataset("river").id).session or ""
    remo.complete_upload(upload)
    remo.complete_upload(upload)
    assert remo.wait_for_upload(upload).state == "done"
    with pytest.raises(NotFound):
        remo.complete_upload("00000000-0000-0000-0000-000000000000")


def test_images_that_remo_cannot_take_are_left_out_each_with_its_reason(server: RemoServer) -> None:
    remo = connected(server)
    created = remo.create_campaign(CampaignOrder("river", BOATS, "partner@example.com"))
    gif, long = to_send("moving.gif"), to_send("n" * 260 + ".png")
    gif = replace(gif, image=replace(gif.image, format="GIF"))
    remo.send_images(created.id, 1, [to_send("a.png"), gif, long])
    result = wait_for_batch(remo, created.id, 1)
    assert dict(result.rejected) == {
        "moving.gif": "Remo takes JPEG, PNG, TIFF, not GIF",
        long.image.name: "Remo takes names of at most 255 bytes",
    }
    assert list(ids(remo, created)) == ["a.png"]


def test_an_image_that_the_server_cannot_open_is_left_out_with_its_words(server: RemoServer) -> None:
    remo = connected(server)
    created = remo.create_campaign(CampaignOrder("river", BOATS, "partner@example.com"))
    broken = replace(to_send("sub/broken.png"), open=lambda: io.BytesIO(picture("broken.png")[:40]))
    remo.send_images(created.id, 1, [to_send("a.png"), broken])
    ((name, reason),) = wait_for_batch(remo, created.id, 1).rejected
    assert name == "sub/broken.png"
    assert "Failed to upload image" in reason
    assert list(ids(remo, created)) == ["a.png"]


def test_another_process_learns_what_was_left_out_from_the_uploads(new: RemoServer) -> None:
    remo = connected(new)
    created = campaign(remo)
    dataset = created.id.split("-")[0]
    broken = to_send("дно/broken.png")
    data = picture("broken.png")[:60]
    remo.send_images(created.id, 2, [replace(broken, open=lambda: io.BytesIO(picture("x")))])
    with new.lock:
        upload = list(new.world.uploads.values())[-1]
        upload.files = {name: (kind, data) for name, (kind, _) in upload.files.items()}
    other = connected(new)
    assert wait_for_batch(other, created.id, 2).rejected[0][0] == "дно/broken.png"
    assert len(list(remo.list_images(dataset))) == 3


def test_names_survive_folders_quotes_entities_dots_and_missing_endings(server: RemoServer) -> None:
    names = (
        "a.png",
        "sub/a.png",
        "sub\\b.png",
        'q"uote.png',
        "x&amp;y.png",
        " lead.png",
        ".hidden.png",
        "50%2F.png",
        "noending",
        "река/дно 1.png",
        "A.png",
        "c.jpeg.bin",
        "semi;colon.png",
    )
    remo = connected(server)
    created = campaign(remo, names=names)
    assert sorted(ids(remo, created)) == sorted(names)


def test_a_name_that_somebody_else_gave_is_shown_as_it_is() -> None:
    assert our_name("100%.png") == "100%.png"
    assert our_name("100%25.png") == "100%.png"
    assert our_name("a%2Fb.png") == "a/b.png"
    assert our_name("photo%_.jpg") == "photo"


def test_an_image_that_is_stored_turned_is_sent_upright(server: RemoServer) -> None:
    buffer = io.BytesIO()
    turned = Pillow.new("RGB", (60, 40), "red")
    turned.paste("blue", (0, 0, 30, 40))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(buffer, "JPEG", exif=exif, quality=95)
    data = buffer.getvalue()
    image = Image("turned.jpg", Size(40, 60), len(data), hashlib.sha256(data).hexdigest(), "", "JPEG")
    remo = connected(server)
    created = remo.create_campaign(CampaignOrder("river", BOATS, "partner@example.com"))
    remo.send_images(created.id, 1, [ImageToSend(image, lambda: io.BytesIO(data)), to_send("a.png")])
    wait_for_batch(remo, created.id, 1)
    sizes = {item.name: (item.width, item.height) for item in remo.list_campaign_images(created.id)}
    assert sizes == {"turned.jpg": (40, 60), "a.png": (40, 30)}
    (dataset,) = server.world.datasets.values()
    by_name = {item.name: item.data for item in dataset.pictures.values()}
    assert by_name["a.png"] == picture("a.png")
    with Pillow.open(io.BytesIO(by_name["turned.jpg"])) as existing, Pillow.open(io.BytesIO(data)) as ours:
        assert existing.getexif().get(0x0112, 1) == 1
        assert existing.getpixel((20, 10)) == pytest.approx(ImageOps.exif_transpose(ours).getpixel((20, 10)), abs=4)


def test_a_batch_is_not_worked_off_beside_another_one(new: RemoServer) -> None:
    remo = connected(new)
    created = remo.create_campaign(CampaignOrder("river", BOATS, "partner@example.com"))
    new.world.looks_until_done = 3
    for batch in (1, 2):
        remo.send_images(created.id, batch, [to_send("a.png"), to_send(f"{batch}.png")])
    first, _ = new.world.uploads.values()
    assert first.status == "done"
    wait_for_batch(remo, created.id, 2)
    assert sorted(ids(remo, created)) == ["1.png", "2.png", "a.png"]


def test_a_session_that_was_lost_with_its_server_blocks_nothing(new: RemoServer) -> None:
    remo = connected(new)
    created = campaign(remo)
    lost = remo.start_upload(created.id.split("-")[0]).session or ""
    with new.lock:
        new.world.uploads[lost].status = "in progress"
        new.world.uploads[lost].created_at = "2020-01-01T00:00:00.000Z"
        new.world.looks_until_done = 10**9
    assert not remo.is_busy(created.id.split("-")[0])


# Versions that know fewer calls than the two that were seen

LISTS = r"/sdk/|annotation-sets/\d+/images/$|annotation-set/\d+/image/$|/ui/uploads/$"


@pytest.mark.parametrize("unknown", [LISTS, rf"{LISTS}|/annotation/$"], ids=["no lists", "nor single images"])
def test_a_campaign_needs_none_of_the_lists_that_only_some_versions_have(server: RemoServer, unknown: str) -> None:
    server.unknown = unknown
    remo, labeler = connected(server), Labeler(server.url)
    created = campaign(remo)
    images = ids(remo, created)
    assert sorted(images) == ["a.png", "b.png", "c.png"]
    boat = [{"name": "O", "classes": [{"name": "Buoy"}], "coordinates": [{"x": 1, "y": 2}, {"x": 9, "y": 9}]}]
    labeler.say(created.id, images["b.png"], {"objects": boat})
    assert [item.name for item in all_labels(remo, created.id)] == ["b.png"]
    labeler.say(created.id, images["a.png"], {"objects": []})
    labeler.say(created.id, images["c.png"], {"objects": []}, "skipped")
    now = remo.read_campaign(created.id)
    assert (now.state, now.skipped) == (RemoteState.COMPLETED, 1)
    page = remo.read_labels(created.id)
    result = {item.name: len(item.annotations) for item in page.images}
    excluded = {item.name: item.detail.partition(":")[0] for item in page.excluded}
    if "annotation/$" in unknown:  # nobody can say which of the two images without objects was skipped
        assert result == {"b.png": 1}
        assert excluded == dict.fromkeys(("a.png", "c.png"), "skipped, or done without objects")
    else:
        assert result == {"a.png": 0, "b.png": 1}
        assert excluded == {"c.png": "skipped in Remo"}


def test_images_in_folders_are_listed_where_there_is_no_list_of_all(server: RemoServer) -> None:
    server.unknown = "/sdk/"
    remo = connected(server)
    server.world.local = {"/data/inner.png": picture("inner.png"), "/top/outer.png": picture("outer.png")}
    dataset = remo.create_dataset("river").id
    folder = remo.create_folder(dataset, "batch-1").id
    for path, where in (("/data", folder), ("/top", None)):
        done = remo.link_files(dataset, [path], folder=where)
        if done.session:
            remo.wait_for_upload(done.session)
    assert sorted(item.name for item in remo.list_images(dataset)) == ["inner.png", "outer.png"]
    with pytest.raises(NotFound):
        list(remo.list_images("999"))


# URLs


def test_links_to_images_are_refused_unless_they_can_be_fetched(server: RemoServer) -> None:
    remo = connected(server)
    dataset = remo.create_dataset("river").id
    with pytest.raises(PlatformRefused, match="lose their names"):
        remo.upload_urls(dataset, ["https://example.com/a.png"])
    assert not server.calls("POST", r"/api/dataset/\d+/upload/")


def test_images_behind_links_keep_their_names_since_we_fetch_them(server: RemoServer) -> None:
    import zipfile

    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("packed.png", picture("packed.png"))
    server.world.web = {"https://example.com/pack.zip": pack.getvalue()}
    remo, fetched = connected(server), []

    def fetch(url: str) -> io.BytesIO:
        fetched.append(url)
        return io.BytesIO(picture(url))

    dataset = remo.create_dataset("river").id
    links = ["https://example.com/one.png?x=1", "https://example.com/pack.zip", "https://example.com/tw%C3%B6.png"]
    done = remo.upload_urls(dataset, links, fetch=fetch)
    if done.session:
        remo.wait_for_upload(done.session)
    assert fetched == [links[0], links[2]]
    assert sorted(item.name for item in remo.list_images(dataset)) == ["one.png", "packed.png", "twö.png"]


# Sessions and pages


def test_workers_of_one_session_meet_no_400(new: RemoServer) -> None:
    remo = connected(new)
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            assert list(remo.list_datasets()) == []
        except BaseException as failure:  # noqa: BLE001 - told below
            failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert new.collisions == 0


def test_requests_without_the_session_cookie_do_meet_400(new: RemoServer) -> None:
    """Else the test above could not fail."""
    headers, result = {"Authorization": f"Token {new.token}"}, []

    def ask() -> None:
        result.append(requests.get(f"{new.url}/api/v1/ui/datasets/", headers=headers, timeout=60).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 400 in result
    assert new.collisions > 0


def test_a_400_of_sessions_that_met_may_be_tried_again(new: RemoServer) -> None:
    remo = connected(new)
    remo.check()
    remo.session._http._session.cookies.clear()
    with new.lock:
        new.without_cookie = 1  # somebody else's request is on its way
    with pytest.raises(PlatformUnavailable, match="in each other's way"):
        remo.check()


def test_adapters_of_one_connection_share_a_session(new: RemoServer) -> None:
    connection = Connection(new.url, EMAIL, Secret(PASSWORD))
    item, other = (PLATFORMS["remo"].connect(connection) for _ in range(2))
    assert isinstance(item, Remo)
    assert isinstance(other, Remo)
    assert item.session is other.session
    item.check(), other.check()
    assert len(new.calls("POST", "/api/rest-auth/login/")) == 1


def test_version_is_read_from_the_older_address_as_a_fallback(old: RemoServer) -> None:
    assert connected(old).session.server().version == "0.3.29"
    assert [item.path for item in old.asked] == ["/api/version", "/version", "/api/rest-auth/login/"]


def test_a_page_of_somebody_in_between_may_be_gone_the_next_time(server: RemoServer) -> None:
    remo = connected(server)
    remo.check()
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        url = proxy.url.replace("127.0.0.1", "localhost")
        other = Remo(RemoSession(url, EMAIL, Secret(PASSWORD)))
        other.check()
        proxy.add(Rule(Fault.WRONG_TYPE))
        with pytest.raises(PlatformUnavailable):
            other.check()
        with pytest.raises(PlatformUnavailable):
            other.session.download("try", "/api/v1/ui/annotation-sets/1/export/", {}, io.BytesIO())
        with pytest.raises(PlatformUnavailable):
            other.session.erase("try", "/api/v1/ui/annotation-sets/1/")


def test_a_page_for_an_address_that_is_not_known_is_no_answer(server: RemoServer) -> None:
    remo = connected(server)
    with pytest.raises(NotFound, match="does not know the call"):
        remo.session.call("try", "GET", "/api/v1/ui/nothing/here/")
    with pytest.raises(NotFound, match="does not know the call"):
        remo.session.download("try", "/api/v1/ui/nothing/", {}, io.BytesIO())


def test_a_change_at_an_address_that_is_not_known_is_refused(server: RemoServer) -> None:
    remo = connected(server)
    for method in ("POST", "PUT"):
        with pytest.raises(PlatformRefused):
            remo.session.call("try", method, "/api/v1/ui/nothing/", json={})
    with pytest.raises(PlatformRefused):
        remo.session.erase("try", "/api/v1/ui/nothing/1/")


def test_calls_of_the_newer_generation_are_refused_by_the_older_one(old: RemoServer) -> None:
    with pytest.raises(NotFound, match=r"does not know the call.*0\.3\.29"):
        connected(old).read_upload("x")


def test_a_host_name_that_0_3_does_not_take_is_told(old: RemoServer) -> None:
    remo = Remo(RemoSession(old.url.replace("localhost", "127.0.0.1"), EMAIL, Secret(PASSWORD)))
    with pytest.raises(PlatformRefused, match="localhost only"):
        remo.check()


def test_a_token_may_stand_for_address_and_password(server: RemoServer) -> None:
    assert Remo(RemoSession(server.url, "", Secret(server.token))).check().startswith("Remo 0.")
    with pytest.raises(AccessDenied):
        Remo(RemoSession(server.url, "", Secret("0" * 40))).check()
    assert not server.calls("POST", "/api/rest-auth/login/")


def test_a_wrong_password_is_denied_and_not_told(server: RemoServer) -> None:
    with pytest.raises(AccessDenied) as denied:
        Remo(RemoSession(server.url, EMAIL, Secret("hunter2-hunter2"))).check()
    assert "hunter2" not in f"{denied.value} {denied.value!r} {denied.value.args}"
    assert "hunter2" not in repr(RemoSession(server.url, EMAIL, Secret("hunter2-hunter2")))


def test_a_token_that_was_taken_away_is_asked_for_anew(server: RemoServer) -> None:
    remo = connected(server)
    remo.check()
    server.token = "f" * 40
    assert remo.check()
    assert len(server.calls("POST", "/api/rest-auth/login/")) == 2


# Names of datasets and classes


def test_a_dataset_whose_name_is_taken_is_not_made_under_another_one(server: RemoServer) -> None:
    remo = connected(server)
    remo.create_dataset("river")
    with pytest.raises(PlatformRefused) as refused:
        remo.create_dataset("river")
    assert refused.value.status == 409
    assert [item.name for item in remo.list_datasets()] == ["river"]


def test_silently_changed_name_is_noticed_and_cleaned_up(server: RemoServer) -> None:
    remo = connected(server)
    remo.check()
    look = remo.list_datasets

    def look_too_early(**how: Any) -> Any:
        """Somebody takes the name just after we looked."""
        result = list(look(**how))
        if not server.world.datasets:
            server.world.new_dataset("river")
        return iter(result)

    remo.list_datasets = look_too_early  # type: ignore[method-assign]
    with pytest.raises(PlatformRefused, match="of that name is there"):
        remo.create_dataset("river")
    assert [item.name for item in server.world.datasets.values()] == ["river"]


def test_two_datasets_of_one_title_are_refused(old: RemoServer) -> None:
    old.world.new_dataset("river")
    old.world.new_dataset("river")
    with pytest.raises(PlatformRefused, match="2 datasets of that title"):
        connected(old).find_campaign("river")


def test_an_archived_dataset_of_that_title_is_told(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    remo.archive_dataset(created.id.split("-")[0])
    with pytest.raises(PlatformRefused, match="archived"):
        remo.find_campaign(created.title)
    remo.archive_dataset(created.id.split("-")[0], archived=False)
    result = remo.find_campaign(created.title)
    assert result is not None
    assert result.id == created.id


def test_a_dataset_that_is_none_of_ours_is_not_made_a_campaign(server: RemoServer, tmp_path: Path) -> None:
    remo = connected(server)
    dataset = remo.create_dataset("river").id
    done = remo.upload_files(dataset, write(tmp_path, "a.png"))
    if done.session:
        remo.wait_for_upload(done.session)
    assert remo.find_campaign("river") is None
    with pytest.raises(PlatformRefused, match="no campaign of ours"):
        remo.create_campaign(CampaignOrder("river", BOATS, "partner@example.com"))


def test_class_names_are_mapped_back_to_the_schemas_own(server: RemoServer) -> None:
    remo, labeler = connected(server), Labeler(server.url)
    created = campaign(remo)
    assert set(server.world.classes.values()) == {"Sailing boat", "Buoy"}
    corners = [{"x": 1, "y": 2}, {"x": 11, "y": 12}]
    shown = ("Sailing boat", "SAILING BOAT", "Buoy", "Whale")
    payload = [
        {"name": f"OBJ {n}", "classes": [{"name": name}], "coordinates": corners} for n, name in enumerate(shown)
    ]
    labeler.say(created.id, ids(remo, created)["a.png"], {"objects": payload})
    expected = ["sailing Boat", "sailing Boat", "buoy", "Whale"]
    assert [item.label for item in all_labels(remo, created.id)[0].annotations] == expected
    # Another process is told the schema by its connection.
    connection = Connection(server.url, EMAIL, Secret(PASSWORD), options={"page_size": 7}, labels=BOATS.names)
    assert [
        item.label for item in all_labels(PLATFORMS["remo"].connect(connection), created.id)[0].annotations
    ] == expected


def test_labels_that_remo_merges_are_refused_before_creation(server: RemoServer) -> None:
    labels = LabelSchema((Label("boat"), Label("Boat")))
    with pytest.raises(PlatformRefused, match="one class to Remo"):
        connected(server).create_campaign(CampaignOrder("river", labels, "partner@example.com"))
    assert not server.world.datasets


def test_a_renamed_class_and_a_renamed_tag_have_new_ids(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    annotation_set, image = created.id.split("-")[1], ids(remo, created)["a.png"]
    goat = remo.add_class(annotation_set, "goat")
    assert goat.name == "Goat"
    pig = remo.rename_class(annotation_set, goat.id, "pig")
    assert (pig.name, pig.id == goat.id) == ("Pig", False)
    assert goat.id not in {item.id for item in remo.read_annotation_set(annotation_set).classes}
    with pytest.raises(NotFound):
        remo.rename_class(annotation_set, goat.id, "pig")
    tag = remo.tag_image(annotation_set, image, "Night")
    other = remo.rename_tag(annotation_set, tag.id, "Dusk")
    assert (other.name, other.id == tag.id) == ("Dusk", False)
    assert [item.name for item in remo.list_tags(annotation_set)] == ["Dusk"]


def test_deleting_a_class_that_is_not_in_the_set_does_nothing(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    annotation_set = created.id.split("-")[1]
    buoy = next(item for item in remo.read_annotation_set(annotation_set).classes if item.name == "Buoy")
    remo.delete_class(annotation_set, buoy.id)
    remo.delete_class(annotation_set, buoy.id)
    assert [item.name for item in remo.read_annotation_set(annotation_set).classes] == ["Sailing boat"]


def test_a_class_of_the_common_list_is_answered_however_it_is_spelled(server: RemoServer) -> None:
    remo = connected(server)
    first = remo.create_class("New class NAME")
    assert first.name == "New class name"
    assert remo.create_class("new class name") == first
    assert remo.create_class("New class name") == first  # answered 400: told by looking


# Exports


def labeled(server: RemoServer, task: Geometry = Geometry.BOX) -> tuple[Remo, str]:
    """An annotation set with one labeled image of three, and the adapter."""
    remo = connected(server)
    created = campaign(remo, LabelSchema((Label("dog", task),)))
    corners = {
        Geometry.BOX: [{"x": 10, "y": 3}, {"x": 30, "y": 18}],
        Geometry.POLYGON: [{"x": 10, "y": 3}, {"x": 30, "y": 3}, {"x": 30, "y": 18}],
    }
    image = ids(remo, created)["b.png"]
    payload = {"classes": [{"name": "Dog"}], "objects": []}
    if task in corners:
        objects = [{"name": "OBJ 1", "classes": [{"name": "Dog"}], "coordinates": corners[task]}]
        payload = {"objects": objects, "classes": []}
    Labeler(server.url).say(created.id, image, payload)
    return remo, created.id.split("-")[1]


def exported(remo: Remo, annotation_set: str, *how: Any, **more: Any) -> Any:
    file = io.BytesIO()
    kind = remo.export_annotations(annotation_set, file, *how, **more)
    return json.loads(file.getvalue()) if "json" in kind else file.getvalue().decode()


def test_percent_are_fractions_in_all_formats(server: RemoServer) -> None:
    remo, annotation_set = labeled(server)
    (image,) = exported(remo, annotation_set, "json", coordinates="percent")
    assert image["annotations"][0]["bbox"] == {"xmin": 0.25, "ymin": 0.1, "xmax": 0.75, "ymax": 0.6}
    coco = exported(remo, annotation_set, "coco", coordinates="percent")
    assert coco["annotations"][0]["bbox"] == [0.25, 0.1, 0.5, 0.5]
    assert coco["annotations"][0]["area"] == 0.25
    table = exported(remo, annotation_set, "csv", coordinates="percent")
    assert table == "file_name,classes,xmin,ymin,xmax,ymax\r\nb.png,Dog,0.25,0.1,0.75,0.6\r\n"


def test_remos_coco_has_lower_case_names_and_zero_areas(server: RemoServer) -> None:
    remo, annotation_set = labeled(server, Geometry.POLYGON)
    coco = exported(remo, annotation_set, "coco", without_annotations=server.modern)
    assert [item["name"] for item in coco["categories"]] == ["dog"]
    assert coco["annotations"][0]["area"] == 0
    placeholders = [item for item in coco["annotations"] if item["bbox"] == []]
    assert len(placeholders) == (2 if server.modern else 0)


@pytest.mark.parametrize("geometry", [Geometry.BOX, Geometry.POLYGON, Geometry.IMAGE])
def test_labels_come_from_the_json_in_pixels_whatever_the_task(server: RemoServer, geometry: Geometry) -> None:
    remo, annotation_set = labeled(server, geometry)
    (image,) = all_labels(remo, f"{next(iter(server.world.datasets))}-{annotation_set}")
    (annotation,) = image.annotations
    assert (image.name, annotation.label) == ("b.png", "dog")
    box = annotation.shape.box
    assert (box.corners if box else None) == (None if geometry is Geometry.IMAGE else (10, 3, 30, 18))
    (request,) = server.calls("GET", ".*/export/")
    assert (request.query["annotation_format"], request.query["export_coordinates"]) == ("json", "pixel")


def test_the_export_is_asked_for_without_the_quotes_of_the_users_document(server: RemoServer) -> None:
    remo, annotation_set = labeled(server)
    for kind in ("json", "coco", "csv"):
        exported(remo, annotation_set, kind, full_path=True, coordinates="percent")
    assert {item.query["full_path"] for item in server.calls("GET", ".*/export/")} == {"true"}
    with pytest.raises(PlatformRefused) as refused:
        exported(remo, annotation_set, "'json'")
    assert refused.value.status == 400


def test_full_paths_are_told_of_linked_images_only(server: RemoServer) -> None:
    remo, annotation_set = labeled(server)
    assert exported(remo, annotation_set, "json", full_path=True)[0]["file_name"] == "b.png"


def test_an_export_that_the_task_does_not_have_is_not_found(server: RemoServer) -> None:
    remo, annotation_set = labeled(server, Geometry.IMAGE)
    with pytest.raises(NotFound, match="not implemented"):
        exported(remo, annotation_set, "coco")


def test_labels_that_want_two_tasks_at_once_are_refused(server: RemoServer) -> None:
    labels = LabelSchema((Label("boat"), Label("sail", Geometry.POLYGON)))
    with pytest.raises(PlatformRefused, match="box, polygon at once"):
        connected(server).create_campaign(CampaignOrder("river", labels, "partner@example.com"))
    created = connected(server, task=Task.SEGMENTATION).create_campaign(CampaignOrder("river", labels, "p@example.com"))
    (listed,) = connected(server).list_annotation_sets(created.id.split("-")[0])
    assert listed.task == "Instance segmentation"


def test_an_object_without_a_class_is_told_and_where(server: RemoServer) -> None:
    remo, labeler = connected(server), Labeler(server.url)
    created = campaign(remo)
    nameless = {"name": "OBJ 1", "classes": [], "coordinates": [{"x": 1, "y": 2}, {"x": 11, "y": 12}]}
    labeler.say(created.id, ids(remo, created)["a.png"], {"objects": [nameless]})
    (notice,) = remo.read_labels(created.id).left_out
    assert (notice.reason, notice.image) == ("no class", "a.png")
    assert "a.png" in notice.detail


def test_a_box_without_an_area_is_told_with_its_image(server: RemoServer) -> None:
    remo, labeler = connected(server), Labeler(server.url)
    created = campaign(remo)
    flat = {"name": "OBJ 1", "classes": [{"name": "Buoy"}], "coordinates": [{"x": 5, "y": 2}, {"x": 5, "y": 12}]}
    labeler.say(created.id, ids(remo, created)["a.png"], {"objects": [flat]})
    (notice,) = remo.read_labels(created.id).left_out
    assert (notice.reason, notice.image) == ("no area", "a.png")
    assert "box is empty" in notice.detail


def test_predictions_lie_on_the_set_s_own_classes_in_whole_pixels(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    images = ids(remo, created)
    predicted = LabeledImage("a.png", Size(40, 30), (Annotation("sailing Boat", Box(1.6, 2.4, 9, 9)),), images["a.png"])
    remo.put_predictions(created.id, [predicted])
    remo.put_predictions(created.id, [predicted])
    assert set(server.world.classes.values()) == {"Sailing boat", "Buoy"}
    (note,) = server.world.sets[int(created.id.split("-")[1])].notes.values()
    assert [item["coordinates"] for item in note.objects] == [[{"x": 2, "y": 2}, {"x": 9, "y": 9}]]
    mixed = replace(predicted, annotations=(*predicted.annotations, Annotation("buoy", WholeImage())))
    with pytest.raises(PlatformRefused, match="one of them"):
        remo.put_predictions(created.id, [mixed])
    apart = replace(predicted, annotations=(Annotation("buoy", Mask(((0, 0, 2), (0, 4, 6)))),))
    with pytest.raises(PlatformRefused, match="several parts or with holes is no shape of Remo's"):
        remo.put_predictions(created.id, [apart])


def test_labels_that_the_adapter_saves_are_done(server: RemoServer) -> None:
    remo = connected(server)
    created = campaign(remo)
    images = ids(remo, created)
    for name, image in images.items():
        remo.save_labels(created.id, LabeledImage(name, Size(40, 30), (Annotation("buoy", Box(1, 2, 9, 9)),), image))
    assert remo.read_campaign(created.id).state is RemoteState.COMPLETED
    assert {item.name: item.annotations[0].shape for item in all_labels(remo, created.id)} == dict.fromkeys(
        images, Box(1, 2, 9, 9)
    )


def test_a_status_on_0_3_leaves_the_annotations_as_they_are(old: RemoServer) -> None:
    remo, annotation_set = labeled(old)
    dataset = str(next(iter(old.world.datasets)))
    image = str(next(iter(old.world.sets[int(annotation_set)].notes)))
    before = exported(remo, annotation_set)
    remo.set_image_status(dataset, annotation_set, image, ImageStatus.SKIPPED)
    assert exported(remo, annotation_set) == before
    assert old.world.sets[int(annotation_set)].notes[int(image)].status == 0


def test_missing_dataset_is_not_found_despite_remos_admin_error(server: RemoServer, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        connected(server).upload_files("999", write(tmp_path, "a.png"))
    with pytest.raises(NotFound):
        connected(server).link_files("999", ["/data"])


def test_only_large_images_can_be_cached_and_cut(server: RemoServer, tmp_path: Path) -> None:
    Pillow.new("RGB", (4000, 3000), "red").save(tmp_path / "big.png")
    remo = connected(server)
    dataset = remo.create_dataset("river").id
    done = remo.upload_files(dataset, [tmp_path / "big.png", *write(tmp_path, "small.png")])
    if done.session:
        remo.wait_for_upload(done.session)
    images = {item.name: item.id for item in remo.list_images(dataset)}
    remo.cache_image(images["big.png"])
    with Pillow.open(io.BytesIO(remo.downsample_image(images["big.png"], 100, 50, 200, 100, 0.5))) as part:
        assert part.size == (100, 50)
    for ask in (remo.cache_image, lambda image: remo.downsample_image(image, 0, 0, 10, 10)):
        with pytest.raises(NotFound, match="high resolution"):
            ask(images["small.png"])
