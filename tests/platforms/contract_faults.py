"""The contract of an adapter on a network that breaks: every verb meets every fault.

A verb either succeeds or raises PlatformUnavailable; and when it is said again, the platform stands as if it had been
said once: nothing doubled, nothing lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest

from labelwright.platforms.errors import PlatformUnavailable
from labelwright.platforms.protocol import RemoteCampaign, RemoteState, SetState

from .contract import (
    NAMES,
    ContractSuite,
    Harness,
    Job,
    all_labels,
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
    """A verb: what it needs, how it is said, and what must be true when it was said once (or twice)."""

    name: str
    prepare: Callable[[Harness], Any]
    say: Callable[[Any, Any], Any]
    """Given the platform and what `prepare` gave."""
    prove: Callable[[Harness, Any, Any], None]
    """Given what `prepare` and `say` gave. Asserts."""
    changes: bool = False
    protocol: str = "Platform"


def _state(harness: Harness, job: Job) -> tuple[RemoteState, int, int]:
    now = harness.platform().read_campaign(job.campaign.id)
    return now.state, now.done, now.total


def _is(state: RemoteState, done: int) -> Callable[[Harness, Any, Any], None]:
    def prove(harness: Harness, job: Job, _: Any) -> None:
        assert _state(harness, job) == (state, done, 3)

    return prove


def _reopened(harness: Harness, job: Job, _: Any) -> None:
    assert _state(harness, job) == (RemoteState.ACTIVE, 3 if harness.keeps_done_when_reopened else 0, 3)


def _created_once(harness: Harness, wanted: Any, made: Any) -> None:
    platform = harness.platform()
    found = platform.find_campaign(wanted.title)  # refuses two of one title
    assert found is not None
    assert found.id == made.id
    (image,) = fill(harness, platform, made.id, 1)
    platform.activate_campaign(made.id)
    if "RecoversAccess" in harness.expected:
        assert made.access.secret is not None, "the labeler's secret is lost"
    harness.label(made, made.access, {image.id: [harness.seen[0]]})
    assert platform.read_campaign(made.id).state is RemoteState.COMPLETED


def _set_created_once(harness: Harness, title: str, made: Any) -> None:
    platform: Any = harness.platform()
    assert platform.find_image_set(title).id == made.id
    assert platform.read_image_set(made.id).state is SetState.CREATED


def _filled_set(harness: Harness) -> str:
    platform: Any = harness.platform()
    made = platform.create_image_set(unique("set"), {})
    harness.upload(platform.dropbox(made.id), ["a.png", "b.png", "c.png"])
    return str(made.id)


def _all_labeled(harness: Harness, job: Job, labels: Any) -> None:
    expected = dict.fromkeys(job.images, (harness.seen[0],))
    assert len(labels) == len(expected)
    assert {one.remote_id: one.annotations for one in labels} == expected


def _empty_campaign(harness: Harness) -> RemoteCampaign:
    return harness.platform().create_campaign(order(harness=harness))


def _send(platform: Any, campaign: RemoteCampaign) -> None:
    count = min(3, platform.batch_size() or 3)
    platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:count]])


def _sent_once(harness: Harness, campaign: RemoteCampaign, _: Any) -> None:
    platform: Any = harness.platform()
    assert wait_for_batch(platform, campaign.id, 1).state is SetState.FINISHED
    there = [image.name for image in platform.list_campaign_images(campaign.id)]
    assert sorted(there) == sorted(NAMES[: min(3, platform.batch_size() or 3)])


def _gone(harness: Harness, job: Job, _: Any) -> None:
    assert harness.platform().find_campaign(job.campaign.title) is None


def _sealed_once(harness: Harness, image_set: str, _: Any) -> None:
    platform: Any = harness.platform()
    harness.wait_for_set(platform, image_set)
    assert sorted(image.name for image in platform.list_images(image_set)) == ["a.png", "b.png", "c.png"]
    assert platform.read_image_set(image_set).rejected == ()


def _rotated(harness: Harness, job: Job, access: Any) -> None:
    harness.label(job.campaign, access, {job.images[0]: [harness.seen[0]]})
    assert _state(harness, job) == (RemoteState.ACTIVE, 1, 3)


def _title_of_stock(harness: Harness) -> str:
    platform: Any = harness.platform()
    title = unique("set")
    platform.create_image_set(title, {})
    return title


def _same(expected: Callable[[Any], Any], got: Callable[[Any], Any]) -> Callable[[Harness, Any, Any], None]:
    def prove(_: Harness, prepared: Any, answer: Any) -> None:
        assert got(answer) == expected(prepared)

    return prove


def _campaign(**more: Any) -> Callable[[Harness], Job]:
    return lambda harness: make_job(harness, **more)


SETS = "KeepsImageSets"
CASES = [
    Case("check", lambda _: None, lambda platform, _: platform.check(), lambda *a: None),
    Case(
        "find_campaign",
        _campaign(),
        lambda platform, job: platform.find_campaign(job.campaign.title),
        _same(lambda job: job.campaign.id, lambda found: found.id),
    ),
    Case(
        "create_campaign",
        lambda harness: order(harness=harness),
        lambda platform, wanted: platform.create_campaign(wanted),
        _created_once,
        changes=True,
    ),
    Case(
        "add_images",
        _campaign(),
        lambda platform, job: platform.add_images(job.campaign.id, job.images),
        _is(RemoteState.CREATED, 0),
        changes=True,
        protocol=SETS,
    ),
    Case(
        "activate_campaign",
        _campaign(),
        lambda platform, job: platform.activate_campaign(job.campaign.id),
        _is(RemoteState.ACTIVE, 0),
        changes=True,
    ),
    Case(
        "read_campaign",
        _campaign(done=1),
        lambda platform, job: platform.read_campaign(job.campaign.id),
        _same(lambda _: (RemoteState.ACTIVE, 1, 3), lambda now: (now.state, now.done, now.total)),
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
        _is(RemoteState.FINISHED, 3),
        changes=True,
        protocol="FinishesCampaigns",
    ),
    Case(
        "reopen_campaign",
        _campaign(done=3),
        lambda platform, job: platform.reopen_campaign(job.campaign.id),
        _reopened,
        changes=True,
        protocol="ReopensCampaigns",
    ),
    Case(
        "rotate_labeler_key",
        _campaign(active=True, new_labeler=True),
        lambda platform, job: platform.rotate_labeler_key(job.access.email),
        _rotated,
        changes=True,
        protocol="RotatesLabelerKeys",
    ),
    Case(
        "send_images",
        _empty_campaign,
        _send,
        _sent_once,
        changes=True,
        protocol="TakesImages",
    ),
    Case(
        "list_campaign_images",
        _campaign(),
        lambda platform, job: sorted(image.id for image in platform.list_campaign_images(job.campaign.id)),
        _same(lambda job: sorted(job.images), lambda found: found),
        protocol="TakesImages",
    ),
    Case(
        "delete_campaign",
        _campaign(active=True),
        lambda platform, job: platform.delete_campaign(job.campaign.id),
        _gone,
        changes=True,
        protocol="DeletesCampaigns",
    ),
    Case(
        "find_image_set",
        _title_of_stock,
        lambda platform, title: platform.find_image_set(title),
        _same(lambda title: title, lambda found: found.title),
        protocol=SETS,
    ),
    Case(
        "create_image_set",
        lambda _: unique("set"),
        lambda platform, title: platform.create_image_set(title, {"country": "Nederland"}),
        _set_created_once,
        changes=True,
        protocol=SETS,
    ),
    Case(
        "dropbox",
        _filled_set,
        lambda platform, image_set: platform.dropbox(image_set),
        lambda harness, _, dropbox: harness.upload(dropbox, ["d.png"]),
        protocol=SETS,
    ),
    Case(
        "seal_image_set",
        _filled_set,
        lambda platform, image_set: platform.seal_image_set(image_set),
        _sealed_once,
        changes=True,
        protocol=SETS,
    ),
    Case(
        "read_image_set",
        _filled_set,
        lambda platform, image_set: platform.read_image_set(image_set),
        _same(lambda image_set: image_set, lambda found: found.id),
        protocol=SETS,
    ),
]


def again(say: Callable[[], Any], seconds: float = 60) -> Any:
    """Say it until it is done, as the retry policy of tasks does."""
    ends = time.monotonic() + seconds
    while True:
        try:
            return say()
        except PlatformUnavailable:
            assert time.monotonic() < ends, "never done"
            time.sleep(0.02)


@pytest.mark.usefixtures("no_batch_retries")
class FaultContract(ContractSuite):
    """Every verb on a network that breaks. What batches retry by themselves is in test_batch_faults."""

    @pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_a_verb_that_met_a_fault_is_done_once_when_it_is_said_again(
        self, harness: Harness, case: Case, fault: Fault
    ) -> None:
        _skip_what_it_lacks(harness, case)
        if fault is Fault.TRUNCATED and case.name in harness.answered_by_nothing:
            pytest.skip("an answer without a body cannot be cut short")
        prepared = case.prepare(harness)
        platform = harness.platform(hasty=fault is Fault.HANG)
        method = "POST|PUT|PATCH|DELETE" if case.changes else "GET"
        harness.proxy.add(Rule(fault, method=method, nth=(1,), seconds=0.1))
        with pytest.raises(PlatformUnavailable):
            case.say(platform, prepared)
        broken = [one for one in harness.proxy.requests if one.fault]
        assert [(one.fault, one.forwarded) for one in broken] == [(fault, fault not in BEFORE)]
        answer = again(lambda: case.say(harness.platform(), prepared))
        harness.proxy.clear()
        case.prove(harness, prepared, answer)

    @pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.BUSY])
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_a_verb_that_is_told_to_come_back_at_once_comes_back_by_itself(
        self, harness: Harness, case: Case, fault: Fault
    ) -> None:
        _skip_what_it_lacks(harness, case)
        prepared = case.prepare(harness)
        harness.proxy.add(Rule(fault, nth=(1,), retry_after="0"))
        answer = case.say(harness.platform(), prepared)
        assert [one.fault for one in harness.proxy.requests if one.fault] == [fault]
        harness.proxy.clear()
        case.prove(harness, prepared, answer)

    def test_a_verb_that_is_told_to_come_back_much_later_says_when(self, harness: Harness) -> None:
        harness.proxy.add(Rule(Fault.TOO_MANY, retry_after="3600"))
        with pytest.raises(PlatformUnavailable) as caught:
            harness.platform().check()
        assert caught.value.retry_after == 3600
        assert len(harness.proxy.seen()) == 1

    def test_a_server_that_is_away_is_unavailable_and_is_found_again(self, harness: Harness) -> None:
        platform = harness.platform()
        platform.check()
        with harness.proxy.refusing(), pytest.raises(PlatformUnavailable):
            platform.check()
        assert platform.check()

    def test_a_whole_campaign_on_a_network_that_breaks_at_every_second_change_ends_as_on_a_good_one(
        self, harness: Harness
    ) -> None:
        wanted = order(harness=harness)
        faults = cycle([fault for fault in Fault if fault is not Fault.HANG])
        met = 0

        def say(operation: Callable[[], Any]) -> Any:
            nonlocal met
            harness.proxy.clear()
            harness.proxy.add(Rule(next(faults), nth=(1,), seconds=0.05), Rule(next(faults), nth=(2,), seconds=0.05))
            answer = again(operation)
            met += len([one for one in harness.proxy.requests if one.fault])
            harness.proxy.clear()
            return answer

        platform: Any = harness.platform()
        made = say(lambda: platform.create_campaign(wanted))
        if "TakesImages" in harness.expected:
            size = platform.batch_size() or 5
            for number, first in enumerate(range(0, 5, size), 1):
                some = [to_send(name) for name in NAMES[first : first + size]]
                say(lambda number=number, some=some: platform.send_images(made.id, number, some))
                wait_for_batch(platform, made.id, number)
            there = {image.name: image.id for image in platform.list_campaign_images(made.id)}
            images = [there[name] for name in NAMES]
        else:
            images = [image.id for image in harness.stock()]
            say(lambda: platform.add_images(made.id, images))
        say(lambda: platform.activate_campaign(made.id))
        harness.label(made, made.access, {image: [harness.seen[0]] for image in images})
        if "FinishesCampaigns" in harness.expected:
            say(lambda: platform.finish_campaign(made.id))
        labels = say(lambda: all_labels(platform, made.id))
        assert met >= 8
        assert len(labels) == len(images)
        assert {one.remote_id: one.annotations for one in labels} == dict.fromkeys(images, (harness.seen[0],))
        found = platform.find_campaign(wanted.title)
        assert (found.id, found.done, found.total) == (made.id, 5, 5)


def _skip_what_it_lacks(harness: Harness, case: Case) -> None:
    if case.protocol not in harness.expected:
        pytest.skip(f"this platform has no {case.protocol}")
