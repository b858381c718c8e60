"""Behaviour of the Geti adapter beyond the contract."""

from __future__ import annotations

import io

import pytest

from labelwright.domain import Geometry, Image, Label, LabelSchema, Size
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.geti.adapter import Geti, Options
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.protocol import CampaignOrder, ImageToSend, RemoteState, SetState
from tests.platforms.contract import to_send, unique

from .harness import credential
from .server import SC, Refused, geti_server
from .test_backup import box, photo

TWO = LabelSchema((Label("boat", Geometry.BOX), Label("hull", Geometry.POLYGON)))


@pytest.fixture(scope="module", params=["2.12.1", SC])
def server(request):
    with geti_server(request.param, smallest=32) as server:
        yield server


def adapter(server, **options) -> Geti:
    return Geti(GetiSession(server.url, *credential(server), patience=2), Options(**options))


def order(labels=TWO, **more) -> CampaignOrder:
    return CampaignOrder(unique("campaign"), labels, "partner@example.com", **more)


def filled(geti: Geti, count: int = 2):
    campaign = geti.create_campaign(order())
    project = geti.client.project(campaign.id)
    for number in range(count):
        geti.client.upload(project, f"{number}.png", lambda n=number: io.BytesIO(photo(n)))
    return campaign.id, project, list(geti.client.media(project))


def test_campaign_is_done_when_every_task_is_annotated(server):
    geti = adapter(server)
    campaign, project, media = filled(geti)
    geti.activate_campaign(campaign)
    boat, hull = (task.labels[0] for task in project.trained)
    for medium in media:
        geti.client.annotate(project, medium, [box(geti.client, boat)])
    assert (geti.read_campaign(campaign).state, geti.read_campaign(campaign).done) == (RemoteState.ACTIVE, 0)
    assert geti.read_labels(campaign).images == ()
    for medium in media:
        geti.client.annotate(project, medium, [box(geti.client, boat), box(geti.client, hull)])
    assert geti.read_campaign(campaign).state is RemoteState.COMPLETED


def test_finishing_leaves_auto_train_off_by_default(server):
    for auto_train in (False, True):
        geti = adapter(server, auto_train_at_finish=auto_train)
        campaign, project, media = filled(geti)
        geti.activate_campaign(campaign)
        assert geti.client.auto_train(project) is False
        both = [box(geti.client, task.labels[0]) for task in project.trained]
        for medium in media:
            geti.client.annotate(project, medium, both)
        geti.finish_campaign(campaign)
        assert geti.client.auto_train(project) is auto_train


def test_servers_count_of_done_images_is_verified(server, monkeypatch):
    geti = adapter(server)
    campaign, _, media = filled(geti)
    geti.activate_campaign(campaign)
    monkeypatch.setattr(geti.client, "count_images", lambda *_: len(media))
    now = geti.read_campaign(campaign)
    assert (now.state, now.done, now.total) == (RemoteState.ACTIVE, 0, 2)


def test_images_are_counted_when_the_server_cannot(monkeypatch):
    with geti_server("2.3.0") as server:
        geti = adapter(server)
        campaign, _, _ = filled(geti)

        def refuse(*_):
            raise Refused(400, "bad_request", "there is no such field")

        monkeypatch.setattr("tests.platforms.geti.server._Handler._scene_state", refuse)
        assert (geti.read_campaign(campaign).done, geti.read_campaign(campaign).total) == (0, 2)


def test_rejected_images_are_named_and_the_others_sent(server):
    geti = adapter(server)
    created = geti.create_campaign(order())
    too_small = to_send("small.png")  # 40 x 30
    image = Image("fine.png", Size(60, 40), len(photo(2)), "0" * 64, "0" * 32, "PNG")
    fine = ImageToSend(image, lambda: io.BytesIO(photo(2)))
    with pytest.raises(PlatformRefused, match=r"1 images are not accepted: small.png: 40 x 30"):
        geti.send_images(created.id, 1, [too_small, fine])
    assert [image.name for image in geti.list_campaign_images(created.id)] == ["fine.png"]
    assert geti.read_batch(created.id, 1).state is SetState.FINISHED


def test_unsupported_labels_are_refused_before_creating(server):
    before = len(server.projects)
    single_label = LabelSchema((Label("only", Geometry.IMAGE),))
    with pytest.raises(PlatformRefused, match="two labels without a parent"):
        adapter(server).create_campaign(order(single_label))
    with pytest.raises(PlatformRefused, match="name one in `kind`"):
        adapter(server).create_campaign(order(LabelSchema((Label("a", Geometry.IMAGE), Label("b", Geometry.BOX)))))
    assert len(server.projects) == before


def test_missing_annotations_do_not_pass_for_an_empty_image(server):
    geti = adapter(server)
    campaign, project, media = filled(geti)
    both = [box(geti.client, task.labels[0]) for task in project.trained]
    geti.client.annotate(project, media[0], both)
    server.break_next("GET", "annotations/latest", "404")
    with pytest.raises(PlatformRefused, match="is annotated, but the server returns no annotations"):
        geti.read_labels(campaign)


def test_deleted_image_is_verified_by_its_id(server, monkeypatch):
    geti = adapter(server)
    campaign, project, media = filled(geti, 3)
    ids = [medium.id for medium in media]
    monkeypatch.setattr(geti.client, "media", lambda project: iter(()))  # a listing that was cut off
    assert geti.deleted_images(campaign, ids) == {}
    monkeypatch.undo()
    geti.client.delete_medium(project, media[1])
    deleted = geti.deleted_images(campaign, ids)
    assert list(deleted) == [ids[1]]
    assert "deleted from project" in deleted[ids[1]]
    assert geti.read_campaign(campaign).total == 2


def test_labels_of_all_tasks_are_listed_without_empty_ones(server):
    geti = adapter(server)
    campaign, *_ = filled(geti, 1)
    for labels in (geti.list_labels(campaign), geti.read_campaign(campaign).labels):
        assert (set(labels.names), labels.shared) == ({"boat", "hull"}, True)
