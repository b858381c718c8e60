"""Many images over a flaky network: each is sent once, and nothing starts over."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator

import pytest

from labelwright.domain import Geometry, Image, Label, LabelSchema, Size
from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.geti.adapter import Geti, Options
from labelwright.platforms.geti.session import GetiSession
from labelwright.platforms.protocol import CampaignOrder, ImageToSend
from labelwright.settings import Settings
from tests.platforms.contract import unique
from tests.platforms.proxy import Fault, FaultProxy, Rule

from .harness import credential
from .server import SC, GetiServer, geti_server
from .test_backup import box, photo

BOATS = LabelSchema((Label("boat", Geometry.BOX),))
TRIES = 1 + len(Settings().retry_delays)
"""Of a task."""


@pytest.fixture(params=["2.12.1", SC])
def server(request) -> Iterator[GetiServer]:
    with geti_server(request.param, smallest=1) as server:
        yield server


def adapter(server: GetiServer, url: str = "", **options) -> Geti:
    return Geti(GetiSession(url or server.url, *credential(server), patience=2), Options(**options))


def images(names: list[str], content: Callable[[int], bytes] = lambda number: photo(number % 50)) -> list[ImageToSend]:
    images_to_send = []
    for number, name in enumerate(names):
        data = content(number)
        digests = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
        image = Image(name, Size(60, 40), len(data), *digests, "JPEG" if data[:2] == b"\xff\xd8" else "PNG")
        images_to_send.append(ImageToSend(image, lambda data=data: io.BytesIO(data)))
    return images_to_send


def campaign(geti: Geti) -> str:
    return geti.create_campaign(CampaignOrder(unique("campaign"), BOATS, "partner@example.com")).id


def repeated(call: Callable[[], None]) -> int:
    """Calls it with the task's number of retries. Returns the number of attempts."""
    for number in range(1, TRIES):
        try:
            call()
        except PlatformUnavailable:
            continue
        return number
    call()
    return TRIES


def flaky(proxy: FaultProxy) -> None:
    """3 % of the requests are cut, half of them after the server acted, and 3 % get 503."""
    proxy.add(Rule(Fault.RESET, share=0.015), Rule(Fault.LOSE_ANSWER, share=0.015), Rule(Fault.BUSY, share=0.03))


def test_400_images_are_sent_once_each_over_a_flaky_network(server):
    names = [f"photo-{number:03}.jpg" for number in range(400)]
    campaign_id = campaign(adapter(server))
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        geti = adapter(server, proxy.url)
        flaky(proxy)
        repeated(lambda: geti.send_images(campaign_id, 1, images(names)))
        sent = proxy.seen("POST", "media/images$")
        faults = {request.fault for request in sent}
        assert {Fault.RESET, Fault.LOSE_ANSWER, Fault.BUSY} <= faults
        assert sum(request.fault is not None for request in sent) >= 12
        assert sum(request.forwarded for request in sent) == 400
    assert sorted(image.name for image in adapter(server).list_campaign_images(campaign_id)) == names


def test_labels_of_many_images_are_read_over_a_flaky_network(server):
    geti = adapter(server)
    campaign_id = campaign(geti)
    geti.send_images(campaign_id, 1, images([f"{number}.jpg" for number in range(200)]))
    project = geti.client.project(campaign_id)
    for medium in geti.client.media(project):
        geti.client.annotate(project, medium, [box(geti.client, project.trained[0].labels[0])])
    with FaultProxy(("127.0.0.1", server.port)) as proxy:
        far, labeled = adapter(server, proxy.url, page_size=100), []
        flaky(proxy)
        cursor: str | None = None
        tries = 0
        while True:
            tries += 1
            assert tries <= 12
            try:
                page = far.read_labels(campaign_id, cursor)
            except PlatformUnavailable:
                continue
            labeled += page.images
            cursor = page.next
            if cursor is None:
                break
        requests = proxy.seen("GET", "annotations/latest")
        assert len(requests) < 250, "pages were read anew"
    assert len({image.remote_id for image in labeled}) == len(labeled) == 200


@pytest.mark.parametrize("effect", ["lost", "late"])
@pytest.mark.parametrize("pauses", [(0.01, 0.02), ()], ids=["in one try", "in several tries"])
def test_identical_images_are_sent_once_despite_lost_responses(server, effect, pauses, monkeypatch):
    """Files of one name in several folders differ by the folder's name or by their suffix."""
    names = ["a/x.jpg", "b/x.jpg", "c/x.jpg", "x.jpg", "x.png", "x.jpg.jpg", "d/x", "x"]
    monkeypatch.setattr("labelwright.platforms.batches.PAUSES", pauses)
    geti = adapter(server)
    campaign_id = campaign(geti)
    server.break_next("POST", "media/images$", effect, times=2)
    tries = repeated(lambda: geti.send_images(campaign_id, 1, images(names, lambda _: photo(1))))
    assert tries == (1 if pauses else 2)
    if not pauses:
        geti.activate_campaign(campaign_id)  # what came late by an earlier try is removed before labelers see it
    (media,) = server.projects[campaign_id].media.values()
    assert sorted(image.name for image in geti.list_campaign_images(campaign_id)) == sorted(names)
    assert len(media) == len(names)


def test_duplicate_image_is_removed_unless_annotated(server):
    geti = adapter(server)
    campaign_id = campaign(geti)
    geti.send_images(campaign_id, 1, images(["a.png", "b.png"], lambda number: photo(2 * number)))
    project = geti.client.project(campaign_id)
    late = [geti.client.upload(project, f"{name}.png.png", lambda: io.BytesIO(photo(2))) for name in ("a", "b")]
    assert late[0].id not in [image.id for image in geti.list_campaign_images(campaign_id)]
    geti.client.annotate(project, late[1], [box(geti.client, project.trained[0].labels[0])])
    geti.activate_campaign(campaign_id)
    remaining = {medium.id: medium.name for medium in geti.client.media(project)}
    assert sorted(remaining.values()) == ["a.png", "b.png"]
    assert late[1].id in remaining


def test_unreachable_server_gets_few_requests(server):
    geti = adapter(server)
    campaign_id = campaign(geti)
    server.break_next("POST", "media/images$", "503", times=10_000)
    server.requests.clear()
    with pytest.raises(PlatformUnavailable):
        geti.send_images(campaign_id, 1, images([f"{number}.jpg" for number in range(300)]))
    assert sum(path.endswith("media/images") for _, path in server.requests) < 100
