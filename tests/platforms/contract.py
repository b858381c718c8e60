"""The contract of a platform adapter: whoever passes it is one. Nothing here knows which platform it is.

An adapter's test module gives a fixture `harness` and inherits the classes:

    class TestContract(PlatformContract): ...
    class TestFaults(FaultContract): ...        # in contract_faults.py

Tests of verbs that the platform does not have are skipped by what `Harness.expected` says, and one test fails when the
adapter has other verbs than expected: none is skipped by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest

from labelwright.domain import Annotation, Box, Label, LabeledImage, LabelSchema, Polygon
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused
from labelwright.platforms.protocol import (
    CampaignOrder,
    FinishesCampaigns,
    KeepsImageSets,
    LabelerAccess,
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
)
from labelwright.platforms.registry import abilities

from .proxy import FaultProxy

_Test = TypeVar("_Test", bound=Callable[..., None])

LABELS = LabelSchema((Label("plastic", translations={"nl": "plastic"}), Label("wood")))
BOX = Annotation("plastic", Box(1, 2.5, 11, 12), 0.5)
POLYGON = Annotation("wood", Polygon(((1, 1), (9, 1), (5, 8))), 1.0)


class Harness(Protocol):
    """What the suite needs to know of a platform under test. One for a module; tests share its server."""

    expected: frozenset[str]
    """Names of the protocols in protocol.py that the adapter has."""
    proxy: FaultProxy
    """In front of the server; platforms talk through it."""
    labeler: LabelerAccess | None
    """None at first. The suite keeps a labeler here whom the platform knows: making new ones costs time."""

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> Platform:
        """A new adapter. A hasty one gives up after a third of a second. With small pages two things go into one
        request or answer, so that paging is seen."""

    def stranger(self) -> Platform:
        """An adapter with a credential that is wrong."""

    def stock(self) -> Sequence[RemoteImage]:
        """Five images that are on the platform, ready for campaigns. May be the same ones each time."""

    def upload(self, dropbox: Secret, names: Sequence[str]) -> None:
        """Put images of 40 x 30 pixels with these names into a dropbox."""

    def wait_for_set(self, platform: Any, image_set: str) -> None:
        """Until a sealed image set is finished."""

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        """Say as the labeler what is seen in images (by id). Raises AccessDenied when the access is not valid."""


@dataclass
class Job:
    """A campaign of three images and who labels them."""

    platform: Any
    campaign: RemoteCampaign
    access: LabelerAccess
    images: list[str]


def unique(what: str) -> str:
    return f"{what}-{uuid4().hex[:12]}"


def order(title: str | None = None, labeler: str | None = None) -> CampaignOrder:
    """By a labeler who is new, unless one is named."""
    return CampaignOrder(
        title or unique("campaign"),
        LABELS,
        labeler or f"{unique('labeler')}@example.com",
        instructions="Label what floats.",
        metadata={"river": "Maas"},
    )


def make_job(harness: Harness, *, active: bool = False, done: int = 0, new_labeler: bool = False) -> Job:
    platform = harness.platform()
    known = None if new_labeler else harness.labeler
    campaign = platform.create_campaign(order(labeler=known.email if known else None))
    access = known or campaign.access
    assert access is not None
    if not new_labeler:
        harness.labeler = access
    images = [image.id for image in harness.stock()[:3]]
    platform.add_images(campaign.id, images)
    if active or done:
        platform.activate_campaign(campaign.id)
    if done:
        harness.label(campaign, access, {image: [BOX] for image in images[:done]})
    return Job(platform, campaign, access, images)


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
        for ask in (stranger.check, lambda: stranger.find_campaign("x"), lambda: stranger.create_campaign(order())):
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
            made = platform.create_campaign(order(title))
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

    def test_images_that_are_added_twice_are_in_it_once(self, harness: Harness) -> None:
        job = make_job(harness)
        harness.platform(small_pages=True).add_images(job.campaign.id, job.images)
        job.platform.add_images(job.campaign.id, [])
        assert job.platform.read_campaign(job.campaign.id).total == 3

    def test_an_image_that_is_not_there_cannot_be_added(self, harness: Harness) -> None:
        job = make_job(harness)
        with pytest.raises(PlatformRefused):
            job.platform.add_images(job.campaign.id, ["999999999"])
        assert job.platform.read_campaign(job.campaign.id).total == 3

    def test_a_campaign_that_is_not_there_is_not_found(self, harness: Harness) -> None:
        platform = harness.platform()
        for ask in (platform.read_campaign, platform.activate_campaign, platform.read_labels):
            with pytest.raises(NotFound):
                ask("999999999")

    def test_an_activated_campaign_can_be_labeled(self, harness: Harness) -> None:
        job = make_job(harness)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.CREATED
        job.platform.activate_campaign(job.campaign.id)
        job.platform.activate_campaign(job.campaign.id)
        harness.label(job.campaign, job.access, {job.images[0]: [BOX]})
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
        put = {job.images[0]: [BOX, POLYGON], job.images[1]: [], job.images[2]: [POLYGON]}
        harness.label(job.campaign, job.access, put)
        known = {image.id: image for image in harness.stock()}
        platform = harness.platform(small_pages=True)
        assert platform.read_labels(job.campaign.id).next is not None
        got = all_labels(platform, job.campaign.id)
        assert [image.remote_id for image in got] == job.images
        for image in got:
            upload = known[image.remote_id]
            assert (image.name, image.size.width, image.size.height) == (upload.name, upload.width, upload.height)
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

    # What only some platforms can

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
            harness.label(job.campaign, job.access, {image: [POLYGON] for image in job.images})
            assert job.platform.read_campaign(job.campaign.id).state is RemoteState.COMPLETED
        got = all_labels(job.platform, job.campaign.id)
        assert [image.annotations for image in got] == [(POLYGON,)] * 3

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
            harness.label(job.campaign, fresh, {job.images[0]: [BOX]})
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
