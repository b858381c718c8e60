"""Conformance tests of adapters on a network with faults: every operation meets every fault.

An operation succeeds or raises PlatformUnavailable. After it was repeated, the platform is in the same state as after
one call without faults: nothing is there twice and nothing is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any, ClassVar

import pytest

from labelwright.domain import LabeledImage, Size
from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.protocol import (
    CampaignOrder,
    ChangesCampaigns,
    DeletesCampaigns,
    FinishesCampaigns,
    KeepsImageSets,
    Platform,
    RecoversAccess,
    RemoteCampaign,
    RemoteState,
    ReopensCampaigns,
    RotatesLabelerKeys,
    SetState,
    TakesImages,
    TakesPredictions,
    protocols_of,
)

from .contract import (
    NAMES,
    ContractSuite,
    Harness,
    Job,
    all_labels,
    changed_order,
    fill,
    make_job,
    order,
    to_send,
    unique,
    wait_for_batch,
)
from .proxy import BEFORE, Fault, Rule


@dataclass(frozen=True)
class Case:
    """An operation: its preparation, the call, and what must hold after one call or after a repeated one."""

    name: str
    prepare: Callable[[Harness], Any]
    call: Callable[[Any, Any], Any]
    """Takes the platform and the result of `prepare`."""
    check: Callable[[Harness, Any, Any], None]
    """Takes the harness and the results of `prepare` and `call`. Asserts."""
    changes: bool = False
    """Whether it changes something on the platform: then its first changing request meets the fault."""
    protocol: type = Platform


def _state(harness: Harness, job: Job) -> tuple[RemoteState, int, int]:
    campaign = harness.platform().read_campaign(job.campaign.id)
    return campaign.state, campaign.done, campaign.total


def _has_state(state: RemoteState, done: int) -> Callable[[Harness, Any, Any], None]:
    def check(harness: Harness, job: Job, _: Any) -> None:
        assert _state(harness, job) == (state, done, 3)

    return check


def _reopened(harness: Harness, job: Job, _: Any) -> None:
    assert _state(harness, job) == (RemoteState.ACTIVE, 3 if harness.keeps_done_when_reopened else 0, 3)


def _created_once(harness: Harness, repeated: Any, created: Any) -> None:
    platform = harness.platform()
    campaign = platform.find_campaign(repeated.title)  # raises when the title is used twice
    assert campaign is not None
    assert campaign.id == created.id
    (image,) = fill(harness, platform, created.id, 1)
    platform.activate_campaign(created.id)
    if isinstance(platform, RecoversAccess):
        assert created.access.secret is not None, "the labeler's secret is lost"
    harness.label(created, created.access, {image.id: [harness.annotations[0]]})
    assert platform.read_campaign(created.id).state is RemoteState.COMPLETED


def _set_created_once(harness: Harness, title: str, created: Any) -> None:
    platform: Any = harness.platform()
    assert platform.find_image_set(title).id == created.id
    assert platform.read_image_set(created.id).state is SetState.CREATED


def _filled_set(harness: Harness) -> str:
    platform: Any = harness.platform()
    image_set = platform.create_image_set(unique("set"), {})
    harness.upload(platform.dropbox(image_set.id), ["a.png", "b.png", "c.png"])
    return str(image_set.id)


def _all_labeled(harness: Harness, job: Job, labels: Any) -> None:
    expected = dict.fromkeys(job.images, (harness.annotations[0],))
    assert len(labels) == len(expected)
    assert {image.remote_id: image.annotations for image in labels} == expected


def _empty_campaign(harness: Harness) -> RemoteCampaign:
    return harness.platform().create_campaign(order(harness=harness))


def _send(platform: Any, campaign: RemoteCampaign) -> None:
    count = min(3, platform.batch_size() or 3)
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:count]])


def _sent_once(harness: Harness, campaign: RemoteCampaign, _: Any) -> None:
    platform: Any = harness.platform()
    assert wait_for_batch(platform, campaign.id, 1).state is SetState.FINISHED
    names = [image.name for image in platform.list_campaign_images(campaign.id)]
    assert sorted(names) == sorted(NAMES[: min(3, platform.batch_size() or 3)])


def _deleted(harness: Harness, job: Job, _: Any) -> None:
    assert harness.platform().find_campaign(job.campaign.title) is None


def _sealed_once(harness: Harness, image_set: str, _: Any) -> None:
    platform: Any = harness.platform()
    harness.wait_for_set(platform, image_set)
    assert sorted(image.name for image in platform.list_images(image_set)) == ["a.png", "b.png", "c.png"]
    assert platform.read_image_set(image_set).rejected == ()


def _rotated(harness: Harness, job: Job, access: Any) -> None:
    harness.label(job.campaign, access, {job.images[0]: [harness.annotations[0]]})
    assert _state(harness, job) == (RemoteState.ACTIVE, 1, 3)


def _predict(platform: Any, prepared: tuple[Harness, Job]) -> None:
    harness, job = prepared
    platform.put_predictions(
        job.campaign.id,
        [
            LabeledImage(job.properties[image][0], Size(*job.properties[image][1:]), (harness.annotations[0],), image)
            for image in job.images
        ],
    )


def _predicted_once(harness: Harness, prepared: tuple[Harness, Job], _: Any) -> None:
    _, job = prepared
    expected = dict.fromkeys(job.images, (harness.annotations[0],))
    assert harness.predicted(job.campaign) in (None, expected)
    assert _state(harness, job) == (RemoteState.CREATED, 0, 3)


def _title_of_a_set(harness: Harness) -> str:
    platform: Any = harness.platform()
    title = unique("set")
    platform.create_image_set(title, {})
    return title


def _same(expected: Callable[[Any], Any], actual: Callable[[Any], Any]) -> Callable[[Harness, Any, Any], None]:
    def check(_: Harness, prepared: Any, result: Any) -> None:
        assert actual(result) == expected(prepared)

    return check


def _campaign(**options: Any) -> Callable[[Harness], Job]:
    return lambda harness: make_job(harness, **options)


def _campaign_to_change(harness: Harness) -> tuple[Job, CampaignOrder]:
    job = make_job(harness, done=1)
    return job, changed_order(harness, job)


def _changed(harness: Harness, prepared: tuple[Job, CampaignOrder], _: Any) -> None:
    job, changed = prepared
    platform: Any = harness.platform()
    assert sorted(platform.list_labels(job.campaign.id).names) == sorted(changed.labels.names)
    assert _state(harness, job) == (RemoteState.ACTIVE, 1, 3)


CASES = [
    Case("check", lambda _: None, lambda platform, _: platform.check(), lambda *a: None),
    Case(
        "find_campaign",
        _campaign(),
        lambda platform, job: platform.find_campaign(job.campaign.title),
        _same(lambda job: job.campaign.id, lambda campaign: campaign.id),
    ),
    Case(
        "create_campaign",
        lambda harness: order(harness=harness),
        lambda platform, repeated: platform.create_campaign(repeated),
        _created_once,
        changes=True,
    ),
    Case(
        "add_images",
        _campaign(),
        lambda platform, job: platform.add_images(job.campaign.id, job.images),
        _has_state(RemoteState.CREATED, 0),
        changes=True,
        protocol=KeepsImageSets,
    ),
    Case(
        "activate_campaign",
        _campaign(),
        lambda platform, job: platform.activate_campaign(job.campaign.id),
        _has_state(RemoteState.ACTIVE, 0),
        changes=True,
    ),
    Case(
        "read_campaign",
        _campaign(done=1),
        lambda platform, job: platform.read_campaign(job.campaign.id),
        _same(lambda _: (RemoteState.ACTIVE, 1, 3), lambda campaign: (campaign.state, campaign.done, campaign.total)),
    ),
    Case(
        "read_labels",
        _campaign(done=3),
        lambda platform, job: all_labels(platform, job.campaign.id),
        _all_labeled,
    ),
    Case(
        "finish_campaign",
        _campaign(done=3),
        lambda platform, job: platform.finish_campaign(job.campaign.id),
        _has_state(RemoteState.FINISHED, 3),
        changes=True,
        protocol=FinishesCampaigns,
    ),
    Case(
        "change_campaign",
        _campaign_to_change,
        lambda platform, prepared: platform.change_campaign(prepared[0].campaign.id, prepared[1]),
        _changed,
        changes=True,
        protocol=ChangesCampaigns,
    ),
    Case(
        "reopen_campaign",
        _campaign(done=3),
        lambda platform, job: platform.reopen_campaign(job.campaign.id),
        _reopened,
        changes=True,
        protocol=ReopensCampaigns,
    ),
    Case(
        "put_predictions",
        lambda harness: (harness, make_job(harness)),
        _predict,
        _predicted_once,
        changes=True,
        protocol=TakesPredictions,
    ),
    Case(
        "rotate_labeler_key",
        _campaign(active=True, new_labeler=True),
        lambda platform, job: platform.rotate_labeler_key(job.access.email),
        _rotated,
        changes=True,
        protocol=RotatesLabelerKeys,
    ),
    Case(
        "send_images",
        _empty_campaign,
        _send,
        _sent_once,
        changes=True,
        protocol=TakesImages,
    ),
    Case(
        "list_campaign_images",
        _campaign(),
        lambda platform, job: sorted(image.id for image in platform.list_campaign_images(job.campaign.id)),
        _same(lambda job: sorted(job.images), lambda ids: ids),
        protocol=TakesImages,
    ),
    Case(
        "delete_campaign",
        _campaign(active=True),
        lambda platform, job: platform.delete_campaign(job.campaign.id),
        _deleted,
        changes=True,
        protocol=DeletesCampaigns,
    ),
    Case(
        "find_image_set",
        _title_of_a_set,
        lambda platform, title: platform.find_image_set(title),
        _same(lambda title: title, lambda image_set: image_set.title),
        protocol=KeepsImageSets,
    ),
    Case(
        "create_image_set",
        lambda _: unique("set"),
        lambda platform, title: platform.create_image_set(title, {"country": "Nederland"}),
        _set_created_once,
        changes=True,
        protocol=KeepsImageSets,
    ),
    Case(
        "dropbox",
        _filled_set,
        lambda platform, image_set: platform.dropbox(image_set),
        lambda harness, _, dropbox: harness.upload(dropbox, ["d.png"]),
        protocol=KeepsImageSets,
    ),
    Case(
        "seal_image_set",
        _filled_set,
        lambda platform, image_set: platform.seal_image_set(image_set),
        _sealed_once,
        changes=True,
        protocol=KeepsImageSets,
    ),
    Case(
        "read_image_set",
        _filled_set,
        lambda platform, image_set: platform.read_image_set(image_set),
        _same(lambda image_set: image_set, lambda read: read.id),
        protocol=KeepsImageSets,
    ),
]


def again(call: Callable[[], Any], seconds: float = 240) -> Any:
    """Repeats a call until it succeeds, as the retry policy of tasks does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except PlatformUnavailable:
            assert time.monotonic() < deadline, "never done"
            time.sleep(0.02)


@pytest.mark.usefixtures("no_batch_retries")
class FaultContract(ContractSuite):
    """Operations on a network with faults. Retries within a batch are tested in test_batch_faults.py."""

    adapter: ClassVar[type[Platform]]
    """Set by subclasses. Only operations of the protocols that it implements are tested."""
    empty_responses: ClassVar[frozenset[str]] = frozenset()
    """Operations whose responses have no body, which therefore cannot be cut short."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" not in metafunc.fixturenames:
            return
        honors_retry_after = metafunc.function.__name__ == "test_an_operation_honors_a_short_retry_after"
        faults = [Fault.TOO_MANY, Fault.BUSY] if honors_retry_after else list(Fault)
        protocols = protocols_of(self.adapter)
        pairs = [
            pytest.param(case, fault, id=f"{case.name}-{fault.name.lower()}")
            for case in CASES
            for fault in faults
            if case.protocol in protocols and not (fault is Fault.TRUNCATED and case.name in self.empty_responses)
        ]
        metafunc.parametrize(("case", "fault"), pairs)

    def test_an_operation_repeated_after_a_fault_is_done_once(self, harness: Harness, case: Case, fault: Fault) -> None:
        prepared = case.prepare(harness)
        platform = harness.platform(hasty=fault is Fault.HANG)
        method = "POST|PUT|PATCH|DELETE" if case.changes else "GET"
        harness.proxy.add(Rule(fault, method=method, nth=(1,), seconds=0.1))
        with pytest.raises(PlatformUnavailable):
            case.call(platform, prepared)
        broken = [request for request in harness.proxy.requests if request.fault]
        assert [(request.fault, request.forwarded) for request in broken] == [(fault, fault not in BEFORE)]
        result = again(lambda: case.call(harness.platform(), prepared))
        harness.proxy.clear()
        case.check(harness, prepared, result)

    def test_an_operation_honors_a_short_retry_after(self, harness: Harness, case: Case, fault: Fault) -> None:
        prepared = case.prepare(harness)
        harness.proxy.add(Rule(fault, nth=(1,), retry_after="0"))
        result = case.call(harness.platform(), prepared)
        assert [request.fault for request in harness.proxy.requests if request.fault] == [fault]
        harness.proxy.clear()
        case.check(harness, prepared, result)

    def test_a_long_retry_after_is_raised_at_once(self, harness: Harness) -> None:
        harness.proxy.add(Rule(Fault.TOO_MANY, retry_after="3600"))
        with pytest.raises(PlatformUnavailable) as caught:
            harness.platform().check()
        assert caught.value.retry_after == 3600
        assert len(harness.proxy.seen()) == 1

    def test_a_server_that_was_down_is_reached_again(self, harness: Harness) -> None:
        platform = harness.platform()
        platform.check()
        with harness.proxy.refusing(), pytest.raises(PlatformUnavailable):
            platform.check()
        assert platform.check()

    def test_a_whole_campaign_survives_a_fault_at_every_second_change(self, harness: Harness) -> None:
        campaign_order = order(harness=harness)
        faults = cycle([fault for fault in Fault if fault is not Fault.HANG])
        fault_count = 0

        def with_faults(call: Callable[[], Any]) -> Any:
            nonlocal fault_count
            harness.proxy.clear()
            harness.proxy.add(Rule(next(faults), nth=(1,), seconds=0.05), Rule(next(faults), nth=(2,), seconds=0.05))
            result = again(call)
            fault_count += len([request for request in harness.proxy.requests if request.fault])
            harness.proxy.clear()
            return result

        platform: Any = harness.platform()
        created = with_faults(lambda: platform.create_campaign(campaign_order))
        if isinstance(platform, TakesImages):
            size = platform.batch_size() or 5
            for number, first in enumerate(range(0, 5, size), 1):
                batch = [to_send(name) for name in NAMES[first : first + size]]
                with_faults(lambda number=number, batch=batch: platform.send_images(created.id, number, batch))
                wait_for_batch(platform, created.id, number)
            ids = {image.name: image.id for image in platform.list_campaign_images(created.id)}
            images = [ids[name] for name in NAMES]
        else:
            images = [image.id for image in harness.stock()]
            with_faults(lambda: platform.add_images(created.id, images))
        with_faults(lambda: platform.activate_campaign(created.id))
        harness.label(created, created.access, {image: [harness.annotations[0]] for image in images})
        if isinstance(platform, FinishesCampaigns):
            with_faults(lambda: platform.finish_campaign(created.id))
        labels = with_faults(lambda: all_labels(platform, created.id))
        assert fault_count >= 8
        assert len(labels) == len(images)
        expected = dict.fromkeys(images, (harness.annotations[0],))
        assert {image.remote_id: image.annotations for image in labels} == expected
        campaign = platform.find_campaign(campaign_order.title)
        assert (campaign.id, campaign.done, campaign.total) == (created.id, 5, 5)
