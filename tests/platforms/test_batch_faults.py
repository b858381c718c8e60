"""A network that breaks now and then costs single requests, not batches: the platforms that take images by themselves
and predictions. Geti is in test_geti_batches, the campaign API's store in tests/ingest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from labelwright.domain import Annotation, Box, LabeledImage, Size
from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.protocol import SetState
from labelwright.settings import Settings

from .contract import order, to_send, wait_for_batch
from .cvat.fake_server.server import FakeCvat
from .cvat.harness import CvatHarness, proxied
from .proxy import Fault, FaultProxy, Rule
from .remo.harness import RemoHarness, at_stand_in
from .scale.harness import ScaleHarness
from .scale.server import ScaleServer

NAMES = [f"photo-{number:03}.png" for number in range(400)]
TRIES = 1 + len(Settings().retry_delays)
"""Of a task."""


def flaky(proxy: FaultProxy) -> None:
    """3 % of the requests are cut, half of them after the server acted, and 3 % answered 503."""
    proxy.add(Rule(Fault.RESET, share=0.015), Rule(Fault.LOSE_ANSWER, share=0.015), Rule(Fault.BUSY, share=0.03))


def repeated(call: Callable[[], None]) -> None:
    """Call it as the task's retries do."""
    for _ in range(TRIES - 1):
        try:
            call()
        except PlatformUnavailable:
            continue
        return
    call()


def test_400_tasks_of_scale_are_made_once_each():
    with ScaleServer() as server, FaultProxy(("127.0.0.1", server.port)) as proxy:
        harness = ScaleHarness(server, proxy)
        platform = harness.platform()
        campaign = platform.create_campaign(order(harness=harness))
        flaky(proxy)
        # As the task does: what an earlier try sent is not sent again.
        repeated(
            lambda: platform.send_images(campaign.id, 1, [to_send(name) for name in missing(harness, campaign.id)])
        )
        created = proxy.seen("POST", "/task/")
        proxy.clear()
        assert sum(request.fault is not None for request in created) >= 12
        assert len(created) < 400 + 2 * 40
        assert sorted(image.name for image in platform.list_campaign_images(campaign.id)) == NAMES
        assert len(server.live.tasks) == 400


class _Annotations(BaseHTTPRequestHandler):
    """A store that holds an empty list of annotations at every address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def annotation_store() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Annotations) as store:
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield store.server_address[1]
        store.shutdown()
        thread.join()


def test_a_cut_download_of_annotations_does_not_cost_the_page():
    with (
        ScaleServer() as server,
        FaultProxy(("127.0.0.1", server.port)) as proxy,
        annotation_store() as port,
        FaultProxy(("127.0.0.1", port)) as store,
    ):
        harness = ScaleHarness(server, proxy)
        platform = harness.platform()
        campaign = platform.create_campaign(order(harness=harness))
        platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:30]])
        platform.activate_campaign(campaign.id)
        for task in list(server.live.tasks):
            server.live.complete(task, {"annotations": f"{store.url}/annotations/{task}"})
        store.add(Rule(Fault.RESET, nth=(5, 12)))
        assert len(platform.read_labels(campaign.id).images) == 30
        assert len(store.seen("GET")) == 32


def missing(harness: ScaleHarness, campaign: str) -> list[str]:
    existing = {image.name for image in harness.platform().list_campaign_images(campaign)}
    return [name for name in NAMES if name not in existing]


@pytest.mark.parametrize("dialect", ["2.15", "requests"])
def test_a_busy_cvat_gets_only_the_refused_request_again(dialect):
    """A 503 says that the server did nothing; after a cut connection the task is made anew (see test_cvat_faults)."""
    with FakeCvat(dialect) as cvat, proxied(cvat) as proxy:
        harness = CvatHarness(cvat, proxy)
        platform = harness.platform()
        campaign = platform.create_campaign(order(harness=harness))
        size = platform.batch_size() or 250
        images = [to_send(name) for name in NAMES[: min(250, size)]]
        proxy.add(Rule(Fault.BUSY, method="POST", path="/data/$", nth=(1, 3, 4, 7)))
        platform.send_images(campaign.id, 1, images)
        sent = proxy.seen("POST", "/data/$")
        assert proxy.seen("DELETE") == []
        proxy.clear()
        assert len(sent) == 4 + 2 + -(-len(images) // 100)
        assert wait_for_batch(platform, campaign.id, 1).state is SetState.FINISHED
        assert len(list(platform.list_campaign_images(campaign.id))) == len(images)


@pytest.fixture(params=[False, True], ids=["0.3.29", "0.6.1"])
def remo(request) -> Iterator[RemoHarness]:
    with at_stand_in(modern=request.param) as harness:
        yield harness


def test_a_cut_upload_to_remo_does_not_cost_the_others(remo):
    """400 images go in eight requests, of which three break; each sends its own 50 again."""
    platform = remo.platform()
    campaign = platform.create_campaign(order(harness=remo))
    images = [to_send(name) for name in NAMES]
    uploads: dict[str, Any] = {"method": "POST", "path": "/dataset/[0-9]+/upload/"}
    remo.proxy.clear()
    remo.proxy.add(
        Rule(Fault.RESET, nth=(1,), **uploads),
        Rule(Fault.LOSE_ANSWER, nth=(4,), **uploads),
        Rule(Fault.BUSY, nth=(8,), **uploads),
    )
    platform.send_images(campaign.id, 1, images)
    sent = remo.proxy.seen(*uploads.values())
    remo.proxy.clear()
    batch = wait_for_batch(platform, campaign.id, 1)
    assert batch.rejected == ()
    assert [request.fault is not None for request in sent].count(True) == 3
    assert len(sent) == 8 + 3
    assert sorted(image.name for image in platform.list_campaign_images(campaign.id)) == NAMES


def test_a_cut_prediction_on_remo_does_not_cost_the_others(remo):
    platform = remo.platform()
    campaign = platform.create_campaign(order(harness=remo))
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:60]])
    wait_for_batch(platform, campaign.id, 1)
    images = list(platform.list_campaign_images(campaign.id))
    annotations = (Annotation("plastic", Box(1, 2, 11, 12)),)
    remo.proxy.clear()
    remo.proxy.add(Rule(Fault.RESET, path="save-annotation", nth=(7, 30)))
    platform.put_predictions(
        campaign.id, [LabeledImage(image.name, Size(40, 30), annotations, image.id) for image in images]
    )
    saved = remo.proxy.seen("POST", "save-annotation")
    remo.proxy.clear()
    assert (len(saved), sum(request.forwarded for request in saved)) == (62, 60)
