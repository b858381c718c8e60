"""The contract of a platform adapter: whoever passes it is one. Nothing here knows which platform it is.

An adapter's test module gives a fixture `harness` and inherits the classes:

    class TestContract(PlatformContract): ...
    class TestFaults(FaultContract): ...        # in contract_faults.py

Tests of verbs that the platform does not have are skipped by what `Harness.expected` says, and one test fails when the
adapter has other verbs than expected: none is skipped by mistake.
"""

from __future__ import annotations

import functools
import hashlib
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest
from PIL import Image as Pillow

from labelwright.domain import Annotation, Box, Image, Label, LabeledImage, LabelSchema, Polygon, Size
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused
from labelwright.platforms.protocol import (
    CampaignOrder,
    DeletesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    ImageToSend,
    KeepsImageSets,
    LabelerAccess,
    ListsLabels,
    Platform,
    RecoversAccess,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    ReopensCampaigns,
    RotatesLabelerKeys,
    Secret,
    ServesImages,
    SetState,
    ShowsCampaigns,
    TakesImages,
    TakesPredictions,
)
from labelwright.platforms.registry import abilities

from .proxy import FaultProxy

_Test = TypeVar("_Test", bound=Callable[..., None])

LABELS = LabelSchema((Label("plastic", translations={"nl": "plastic"}), Label("wood")))
BOX = Annotation("plastic", Box(1, 2.5, 11, 12), 0.5)
POLYGON = Annotation("wood", Polygon(((1, 1), (9, 1), (5, 8))), 1.0)


class Harness(Protocol):
    """What the suite needs to know of a platform under test. One for a module; tests share its server.

    A class that inherits from this one has the defaults.
    """

    expected: frozenset[str]
    """Names of the protocols in protocol.py that the adapter has."""
    proxy: FaultProxy
    """In front of the server; platforms talk through it."""
    labeler: LabelerAccess | None = None
    """The suite keeps a labeler here whom the platform knows: making new ones costs time."""
    email: str | None = None
    """The labeler of every campaign, where the platform does not take just anybody."""
    labels: LabelSchema = LABELS
    """The labels of every campaign: plastic, then wood, and whatever else the platform needs."""
    seen: tuple[Annotation, Annotation] = (BOX, POLYGON)
    """Two objects that this platform can hold, as they must come back. They may be of one shape."""
    nowhere: str = "999999999"
    """An id that no campaign and no image has."""
    tells_in_the_order_of_images: bool = True
    """Whether labels come back in the order in which images were sent."""
    answered_by_nothing: frozenset[str] = frozenset()
    """Verbs whose answer has no body, so that it cannot be cut short."""
    keeps_done_when_reopened: bool = True
    """Whether images of a campaign that was given back still count as done."""

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> Platform:
        """A new adapter. A hasty one gives up after a third of a second. With small pages two things go into one
        request or answer, so that paging is seen."""

    def stranger(self) -> Platform:
        """An adapter with a credential that is wrong."""

    # For platforms that keep image sets

    def stock(self) -> Sequence[RemoteImage]:
        """Five images that are on the platform, ready for campaigns. May be the same ones each time."""

    def upload(self, dropbox: Secret, names: Sequence[str]) -> None:
        """Put images of 40 x 30 pixels with these names into a dropbox."""

    def wait_for_set(self, platform: Any, image_set: str) -> None:
        """Until a sealed image set is finished."""

    # For all

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        """Say as the labeler what is seen in images (by id): they are done then. Raises AccessDenied when the access
        is not valid. The access is None on platforms that give none."""


@dataclass
class Job:
    """A campaign of three images and who labels them."""

    platform: Any
    campaign: RemoteCampaign
    access: LabelerAccess | None
    images: list[str]
    """Their ids."""
    known: dict[str, tuple[str, int, int]]
    """Of each id: name, width and height."""


def unique(what: str) -> str:
    return f"{what}-{uuid4().hex[:12]}"


NAMES = ("0.png", "дно/река 1.png", "x/0.png", "y.jpeg.png", "1.png")
"""What images are called that the suite sends into campaigns."""


def order(title: str | None = None, labeler: str | None = None, harness: Harness | None = None) -> CampaignOrder:
    """By a labeler who is new, unless one is named or the harness names one."""
    always = harness.email if harness else None
    return CampaignOrder(
        title or unique("campaign"),
        harness.labels if harness else LABELS,
        always or labeler or f"{unique('labeler')}@example.com",
        instructions="Label what floats.",
        metadata={"river": "Maas"},
    )


def make_job(
    harness: Harness, *, active: bool = False, done: int = 0, new_labeler: bool = False, count: int = 3
) -> Job:
    """A campaign of a few images, some of them labeled with the first object."""
    platform: Any = harness.platform()
    known = None if new_labeler else harness.labeler
    campaign = platform.create_campaign(order(labeler=known.email if known else None, harness=harness))
    access = known or campaign.access
    if "RotatesLabelerKeys" in harness.expected:
        assert access is not None
        if not new_labeler:
            harness.labeler = access
    images = fill(harness, platform, campaign.id, count)
    if active or done:
        platform.activate_campaign(campaign.id)
    if done:
        harness.label(campaign, access, {image.id: [harness.seen[0]] for image in images[:done]})
    known_as = {image.id: (image.name, image.width, image.height) for image in images}
    return Job(platform, campaign, access, list(known_as), known_as)


def fill(harness: Harness, platform: Any, campaign: str, count: int = 3) -> list[RemoteImage]:
    """Put images into a campaign in the platform's way, and answer them in that order."""
    if "KeepsImageSets" in harness.expected:
        images = list(harness.stock()[:count])
        platform.add_images(campaign, [image.id for image in images])
        return images
    size = platform.batch_size() or 1000
    for number, first in enumerate(range(0, count, size), 1):
        platform.send_images(campaign, number, [to_send(name) for name in NAMES[:count][first : first + size]])
        assert wait_for_batch(platform, campaign, number).state is SetState.FINISHED
    there = {image.name: image for image in platform.list_campaign_images(campaign)}
    assert set(there) == set(NAMES[:count])
    return [replace(there[name], width=40, height=30) for name in NAMES[:count]]


def wait_for_batch(platform: Any, campaign: str, number: int, seconds: float = 30) -> Any:
    ends = time.monotonic() + seconds
    while (found := platform.read_batch(campaign, number)).state is SetState.FINISHING:
        assert time.monotonic() < ends, "the batch is never taken in"
        time.sleep(0.02)
    return found


def to_send(name: str) -> ImageToSend:
    """A picture of 40 x 30 pixels, a different one for every name."""
    data = picture(name)
    image = Image(name, Size(40, 30), len(data), hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), "PNG")
    return ImageToSend(image, lambda: io.BytesIO(data))


@functools.cache
def picture(name: str) -> bytes:
    buffer = io.BytesIO()
    digest = hashlib.sha256(name.encode()).digest()
    Pillow.new("RGB", (40, 30), (digest[0], digest[1], digest[2])).save(buffer, "PNG")
    return buffer.getvalue()


def all_labels(platform: Platform, campaign: str) -> list[LabeledImage]:
    images: list[LabeledImage] = []
    cursor: str | None = None
    for _ in range(100):
        page = platform.read_labels(campaign, cursor)
        images += page.images
        cursor = page.next
        if cursor is None:
            return images
    raise AssertionError("the pages do not end")


def needing(*protocols: type) -> Callable[[_Test], _Test]:
    """Skip the test on platforms that lack one of these."""
    names = {protocol.__name__ for protocol in protocols}

    def decorate(test: _Test) -> _Test:
        test.needed_protocols = names  # type: ignore[attr-defined]
        return test

    return decorate


class ContractSuite:
    """What the suites share."""

    @pytest.fixture(autouse=True)
    def _only_what_the_platform_has(self, request: pytest.FixtureRequest, harness: Harness) -> Iterator[None]:
        missing: set[str] = getattr(request.function, "needed_protocols", set()) - harness.expected
        if missing:
            pytest.skip(f"this platform has no {', '.join(sorted(missing))}")
        harness.proxy.clear()
        yield
        harness.proxy.clear()


class PlatformContract(ContractSuite):
    """Every verb on a platform that behaves."""

    def test_it_has_the_verbs_that_it_is_expected_to_have(self, harness: Harness) -> None:
        platform = harness.platform()
        assert isinstance(platform, Platform)
        assert {name for name, able in abilities(platform).items() if able} == harness.expected

    def test_check_says_what_it_reached(self, harness: Harness) -> None:
        assert harness.platform().check()

    def test_a_wrong_credential_is_denied(self, harness: Harness) -> None:
        stranger = harness.stranger()
        for ask in (
            stranger.check,
            lambda: stranger.find_campaign("x"),
            lambda: stranger.create_campaign(order(harness=harness)),
        ):
            with pytest.raises(AccessDenied):
                ask()

    def test_its_repr_shows_no_secret(self, harness: Harness) -> None:
        assert "secret" not in repr(harness.platform()).lower()

    # Campaigns

    def test_a_title_that_nobody_used_is_not_found(self, harness: Harness) -> None:
        assert harness.platform().find_campaign(unique("never")) is None

    def test_a_created_campaign_is_found_by_its_exact_title(self, harness: Harness) -> None:
        platform = harness.platform()
        for title in (unique("campaign"), f"Донау & Söhne #1? {unique('')}"):
            made = platform.create_campaign(order(title, harness=harness))
            found = platform.find_campaign(title)
            assert found is not None
            assert (found.id, found.title, found.state, found.done, found.total) == (
                made.id,
                title,
                RemoteState.CREATED,
                0,
                0,
            )
            assert platform.find_campaign(title[:-1]) is None

    def test_an_order_said_again_makes_no_second_campaign(self, harness: Harness) -> None:
        wanted = order(harness=harness)
        made = harness.platform().create_campaign(wanted)
        assert harness.platform().create_campaign(wanted).id == made.id
        found = harness.platform().find_campaign(wanted.title)
        assert found is not None
        assert found.id == made.id

    @needing(RotatesLabelerKeys)
    def test_the_access_of_a_new_labeler_is_told_once(self, harness: Harness) -> None:
        platform = harness.platform()
        first = order()
        made = platform.create_campaign(first)
        assert made.access is not None
        assert made.access.secret is not None
        assert made.access.secret.value not in repr(made)
        assert platform.read_campaign(made.id).access is None
        again = platform.create_campaign(CampaignOrder(unique("campaign"), LABELS, first.labeler))
        assert again.access is not None
        assert (again.access.key, again.access.secret) == (made.access.key, None)

    @needing(KeepsImageSets)
    def test_images_that_are_added_twice_are_in_it_once(self, harness: Harness) -> None:
        job = make_job(harness)
        paging: Any = harness.platform(small_pages=True)
        paging.add_images(job.campaign.id, job.images)
        job.platform.add_images(job.campaign.id, [])
        assert job.platform.read_campaign(job.campaign.id).total == 3

    @needing(KeepsImageSets)
    def test_an_image_that_is_not_there_cannot_be_added(self, harness: Harness) -> None:
        job = make_job(harness)
        with pytest.raises(PlatformRefused):
            job.platform.add_images(job.campaign.id, [harness.nowhere])
        assert job.platform.read_campaign(job.campaign.id).total == 3

    def test_a_campaign_that_is_not_there_is_not_found(self, harness: Harness) -> None:
        platform = harness.platform()
        for ask in (platform.read_campaign, platform.activate_campaign, platform.read_labels):
            with pytest.raises(NotFound):
                ask(harness.nowhere)

    def test_an_activated_campaign_can_be_labeled(self, harness: Harness) -> None:
        job = make_job(harness)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.CREATED
        job.platform.activate_campaign(job.campaign.id)
        job.platform.activate_campaign(job.campaign.id)
        harness.label(job.campaign, job.access, {job.images[0]: [harness.seen[0]]})
        now = job.platform.read_campaign(job.campaign.id)
        assert (now.state, now.done, now.total) == (RemoteState.ACTIVE, 1, 3)

    def test_a_campaign_is_completed_by_the_last_image_even_when_nothing_is_on_it(self, harness: Harness) -> None:
        job = make_job(harness, done=2)
        harness.label(job.campaign, job.access, {job.images[2]: []})
        now = job.platform.read_campaign(job.campaign.id)
        assert (now.state, now.done, now.total) == (RemoteState.COMPLETED, 3, 3)

    def test_activating_a_completed_campaign_does_not_give_it_back(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        job.platform.activate_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.COMPLETED

    # Labels

    def test_labels_come_back_as_they_were_put_on_images_as_they_were_uploaded(self, harness: Harness) -> None:
        job = make_job(harness, active=True)
        put = {job.images[0]: list(harness.seen), job.images[1]: [], job.images[2]: [harness.seen[1]]}
        harness.label(job.campaign, job.access, put)
        platform = harness.platform(small_pages=True)
        assert platform.read_labels(job.campaign.id).next is not None
        got = all_labels(platform, job.campaign.id)
        assert sorted(image.remote_id for image in got) == sorted(job.images)
        if harness.tells_in_the_order_of_images:
            assert [image.remote_id for image in got] == job.images
        for image in got:
            name, width, height = job.known[image.remote_id]
            assert (image.size.width, image.size.height) == (width, height)
            if "KeepsImageSets" in harness.expected:  # elsewhere our name is found by the id
                assert image.name == name
            assert list(image.annotations) == put[image.remote_id]

    def test_an_image_that_nobody_looked_at_has_no_labels_and_is_not_an_image_without_objects(
        self, harness: Harness
    ) -> None:
        job = make_job(harness, active=True)
        assert all_labels(job.platform, job.campaign.id) == []
        harness.label(job.campaign, job.access, {job.images[1]: []})
        got = all_labels(job.platform, job.campaign.id)
        assert [(image.remote_id, image.annotations) for image in got] == [(job.images[1], ())]

    # Image sets

    @needing(KeepsImageSets)
    def test_an_image_set_takes_images_until_it_is_sealed(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        title, names = unique("set"), ["a.png", "ünter/река 1.png", "sub/a.png"]
        made = platform.create_image_set(title, {"country": "Nederland"})
        assert (made.title, made.state, made.rejected) == (title, SetState.CREATED, ())
        assert platform.find_image_set(title).id == made.id
        harness.upload(platform.dropbox(made.id), names)
        platform.seal_image_set(made.id)
        platform.seal_image_set(made.id)
        harness.wait_for_set(platform, made.id)
        platform.seal_image_set(made.id)
        assert platform.read_image_set(made.id).state is SetState.FINISHED
        paging: Any = harness.platform(small_pages=True)
        images = list(paging.list_images(made.id))
        assert sorted(image.name for image in images) == sorted(names)
        assert {(image.width, image.height) for image in images} == {(40, 30)}
        assert len({image.id for image in images}) == 3
        with pytest.raises(PlatformRefused):
            platform.dropbox(made.id)

    @needing(KeepsImageSets)
    def test_a_file_that_is_no_image_is_left_out_with_its_reason(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        made = platform.create_image_set(unique("set"), {})
        harness.upload(platform.dropbox(made.id), ["good.png", "broken!.png"])
        platform.seal_image_set(made.id)
        harness.wait_for_set(platform, made.id)
        ((name, reason),) = platform.read_image_set(made.id).rejected
        assert name == "broken!.png"
        assert reason
        assert [image.name for image in platform.list_images(made.id)] == ["good.png"]

    @needing(KeepsImageSets)
    def test_a_title_of_an_image_set_is_used_once(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        title = unique("set")
        platform.create_image_set(title, {})
        with pytest.raises(PlatformRefused) as caught:
            platform.create_image_set(title, {"other": 1})
        assert caught.value.status == 409
        assert platform.find_image_set(title) is not None
        assert platform.find_image_set(title[:-1]) is None

    # Images into a campaign

    @needing(TakesImages)
    def test_images_that_are_sent_are_in_the_campaign_under_their_names(self, harness: Harness) -> None:
        job = make_job(harness, count=5)
        paging: Any = harness.platform(small_pages=True)
        images = list(paging.list_campaign_images(job.campaign.id))
        assert {image.id: image.name for image in images} == dict(zip(job.images, NAMES, strict=True))
        assert {(image.width, image.height) for image in images} <= {(40, 30), (0, 0)}
        assert job.platform.read_campaign(job.campaign.id).total == 5

    @needing(TakesImages)
    def test_a_campaign_without_images_lists_none_and_has_no_batch(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        made = platform.create_campaign(order(harness=harness))
        assert list(platform.list_campaign_images(made.id)) == []
        assert platform.read_batch(made.id, 1).state in (SetState.CREATED, SetState.FINISHED)

    @needing(TakesImages)
    def test_a_batch_that_is_sent_again_is_there_once(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        made = platform.create_campaign(order(harness=harness))
        count = min(3, platform.batch_size() or 3)
        for _ in range(2):
            platform.send_images(made.id, 1, [to_send(name) for name in NAMES[:count]])
            wait_for_batch(platform, made.id, 1)
        there = [image.name for image in platform.list_campaign_images(made.id)]
        assert sorted(there) == sorted(NAMES[:count])

    # What only some platforms can

    @needing(DeletesCampaigns)
    def test_a_deleted_campaign_is_gone_and_may_be_deleted_again(self, harness: Harness) -> None:
        job = make_job(harness, active=True)
        for _ in range(2):
            job.platform.delete_campaign(job.campaign.id)
        assert job.platform.find_campaign(job.campaign.title) is None
        with pytest.raises(NotFound):
            job.platform.read_campaign(job.campaign.id)

    @needing(TakesPredictions)
    def test_predictions_are_no_labels_until_somebody_looked(self, harness: Harness) -> None:
        job = make_job(harness)
        name, width, height = job.known[job.images[0]]
        predicted = LabeledImage(name, Size(width, height), (harness.seen[0],), job.images[0])
        for _ in range(2):
            job.platform.put_predictions(job.campaign.id, [predicted])
        job.platform.activate_campaign(job.campaign.id)
        assert all_labels(job.platform, job.campaign.id) == []
        assert job.platform.read_campaign(job.campaign.id).done == 0

    @needing(ShowsCampaigns)
    def test_a_campaign_has_a_page_without_a_credential(self, harness: Harness) -> None:
        job = make_job(harness)
        assert job.platform.campaign_page(job.campaign.id).startswith("http")
        assert "@" not in job.platform.campaign_page(job.campaign.id)

    @needing(FindsDeletedImages)
    def test_images_that_are_there_are_not_deleted_however_often_they_are_asked_for(self, harness: Harness) -> None:
        job = make_job(harness)
        for platform in (harness.platform(), harness.platform(small_pages=True)):
            assert dict(platform.deleted_images(job.campaign.id, job.images)) == {}  # type: ignore[attr-defined]
            assert dict(platform.deleted_images(job.campaign.id, [])) == {}  # type: ignore[attr-defined]

    @needing(ListsLabels)
    def test_the_labels_of_a_campaign_are_told_as_they_were_ordered(self, harness: Harness) -> None:
        job = make_job(harness)
        told = job.platform.list_labels(job.campaign.id)
        assert set(told.names) == set(harness.labels.names)

    @needing(FinishesCampaigns)
    def test_a_completed_campaign_can_be_finished_once_or_twice(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        job.platform.finish_campaign(job.campaign.id)
        job.platform.finish_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.FINISHED
        assert len(all_labels(job.platform, job.campaign.id)) == 3

    @needing(FinishesCampaigns)
    def test_a_campaign_that_is_not_completed_cannot_be_finished(self, harness: Harness) -> None:
        job = make_job(harness, done=2)
        with pytest.raises(PlatformRefused):
            job.platform.finish_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.ACTIVE

    @needing(ReopensCampaigns)
    def test_a_completed_campaign_can_be_reopened_again_and_again(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        for _ in range(2):
            job.platform.reopen_campaign(job.campaign.id)
            job.platform.reopen_campaign(job.campaign.id)
            assert job.platform.read_campaign(job.campaign.id).state is RemoteState.ACTIVE
            harness.label(job.campaign, job.access, {image: [harness.seen[1]] for image in job.images})
            assert job.platform.read_campaign(job.campaign.id).state is RemoteState.COMPLETED
        got = all_labels(job.platform, job.campaign.id)
        assert [image.annotations for image in got] == [(harness.seen[1],)] * 3

    @needing(ReopensCampaigns)
    def test_a_campaign_that_was_never_completed_cannot_be_reopened(self, harness: Harness) -> None:
        job = make_job(harness)
        with pytest.raises(PlatformRefused):
            job.platform.reopen_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.CREATED

    @needing(RotatesLabelerKeys)
    def test_a_rotated_key_replaces_the_old_one_every_time(self, harness: Harness) -> None:
        job = make_job(harness, active=True, new_labeler=True)
        old = job.access
        for _ in range(2):
            fresh = job.platform.rotate_labeler_key(old.email)
            assert fresh.email == old.email
            assert fresh.secret is not None
            harness.label(job.campaign, fresh, {job.images[0]: [harness.seen[0]]})
            with pytest.raises(AccessDenied):
                harness.label(job.campaign, old, {job.images[0]: []})
            old = fresh

    @needing(RecoversAccess)
    def test_what_a_new_labeler_was_told_once_can_be_had_again(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        wanted = order()
        first = platform.create_campaign(wanted)
        again = harness.platform()
        assert isinstance(again, RecoversAccess)
        assert again.recover_access(wanted) == first.access
        assert platform.read_campaign(first.id).title == wanted.title

    @needing(RecoversAccess)
    def test_an_order_in_other_words_recovers_nothing(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        wanted = order()
        platform.create_campaign(wanted)
        assert platform.recover_access(replace(wanted, instructions="something else")) is None

    @needing(ServesImages)
    def test_an_image_has_an_address_without_a_credential(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        image = harness.stock()[0].id
        assert platform.image_url(image).startswith("http")
        assert "?" not in platform.image_url(image)
        assert "@" not in platform.image_url(image)
