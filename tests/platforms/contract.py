"""Conformance tests of platform adapters: one class of tests per protocol, the same for every platform.

The test module of an adapter gives a fixture `harness` and inherits the tests that suit the adapter:

    class TestContract(contract_of(Cvat)): ...
    class TestFaults(FaultContract): adapter = Cvat        # in contract_faults.py

Which protocols an adapter implements is checked against the README's table in test_registry.py.
"""

from __future__ import annotations

import functools
import hashlib
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
from PIL import Image as Pillow

from labelwright.datasets import Reason, Spool, StockedImage, check_delivery
from labelwright.datasets.delivery import REASONS
from labelwright.datasets.validation import NotReady
from labelwright.domain import Annotation, Box, Image, ImageState, Label, LabeledImage, LabelSchema, Polygon, Size
from labelwright.platforms.errors import AccessDenied, NotFound, PlatformRefused
from labelwright.platforms.protocol import (
    CampaignOrder,
    ChangesCampaigns,
    DeletesCampaigns,
    FindsDeletedImages,
    FinishesCampaigns,
    ImageToSend,
    KeepsImageSets,
    LabelerAccess,
    ListsLabels,
    ListsUnlabeledImages,
    Platform,
    RecoversAccess,
    RemoteBatch,
    RemoteCampaign,
    RemoteImage,
    RemoteState,
    ReopensCampaigns,
    ReopensImages,
    RotatesLabelerKeys,
    Secret,
    ServesImages,
    SetState,
    ShowsCampaigns,
    TakesImages,
    TakesPredictions,
    WithdrawsImages,
    protocols_of,
)

from .proxy import FaultProxy

LABELS = LabelSchema((Label("plastic", translations={"nl": "plastic"}), Label("wood")))
BOX = Annotation("plastic", Box(1, 2.5, 11, 12), 0.5)
POLYGON = Annotation("wood", Polygon(((1, 1), (9, 1), (5, 8))), 1.0)


class Harness(Protocol):
    """What the tests need to know of a platform. One per test module; its tests share one server.

    Subclasses inherit the defaults.
    """

    proxy: FaultProxy
    """In front of the server; adapters connect through it."""
    labeler: LabelerAccess | None = None
    """A labeler whom the platform knows, set by the tests: creating labelers takes time."""
    email: str | None = None
    """The labeler of every campaign, where the platform does not accept just any address."""
    labels: LabelSchema = LABELS
    """The labels of every campaign: plastic, then wood, and what else the platform requires."""
    annotations: tuple[Annotation, Annotation] = (BOX, POLYGON)
    """Two annotations that this platform can hold, as they must come back. They may be of one shape."""
    missing_id: str = "999999999"
    """An id that no campaign and no image has."""
    labels_keep_order: bool = True
    """Whether labels come back in the order in which images were sent."""
    unfinished: Sequence[ImageState] = ()
    """States, apart from NOT_LABELED, that images which no delivery takes can be put into."""
    keeps_done_when_reopened: bool = True
    """Whether images of a reopened campaign still count as done."""

    def platform(self, *, hasty: bool = False, small_pages: bool = False) -> Platform:
        """Returns a new adapter.

        `hasty`: its timeout is a third of a second. `small_pages`: two items per request or response, to test paging.
        """

    def with_wrong_credential(self) -> Platform:
        """Returns an adapter with a credential that the server refuses."""

    # For platforms that keep image sets

    def stock(self) -> Sequence[RemoteImage]:
        """Returns five images that are on the platform, ready for campaigns. May be the same ones each time."""

    def upload(self, dropbox: Secret, names: Sequence[str]) -> None:
        """Puts images of 40 x 30 pixels with these names into a dropbox."""

    def wait_for_set(self, platform: Any, image_set: str) -> None:
        """Waits until a sealed image set is finished."""

    # For all

    def label(
        self, campaign: RemoteCampaign, access: LabelerAccess | None, objects: Mapping[str, Sequence[Annotation]]
    ) -> None:
        """Submits the annotations of images (by id) as the labeler; the images are done then.

        Raises AccessDenied when the access is not valid. The access is None on platforms that give none.
        """

    def predicted(self, campaign: RemoteCampaign) -> Mapping[str, Sequence[Annotation]] | None:
        """The predictions that the server has, by image id; None where the tests cannot see them."""
        return None

    def put_into(self, campaign: RemoteCampaign, image: str, state: ImageState) -> None:
        """Brings an image (by id) into one of the states in `unfinished`."""


@dataclass
class Job:
    """A campaign of a few images and its labeler."""

    platform: Any
    campaign: RemoteCampaign
    access: LabelerAccess | None
    images: list[str]
    """Their ids."""
    properties: dict[str, tuple[str, int, int]]
    """By image id: name, width and height."""


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:12]}"


NAMES = ("0.png", "дно/река 1.png", "x/0.png", "y.jpeg.png", "1.png")
"""Names of the images that are sent into campaigns."""


def order(title: str | None = None, labeler: str | None = None, harness: Harness | None = None) -> CampaignOrder:
    """The labeler is a new one, unless the caller or the harness names one."""
    email = harness.email if harness else None
    return CampaignOrder(
        title or unique("campaign"),
        harness.labels if harness else LABELS,
        email or labeler or f"{unique('labeler')}@example.com",
        instructions="Label what floats.",
        metadata={"river": "Maas"},
    )


def make_job(
    harness: Harness, *, active: bool = False, done: int = 0, new_labeler: bool = False, count: int = 3
) -> Job:
    """Creates a campaign of a few images; `done` of them get the first of the harness's annotations."""
    platform: Any = harness.platform()
    labeler = None if new_labeler else harness.labeler
    campaign = platform.create_campaign(order(labeler=labeler.email if labeler else None, harness=harness))
    access = labeler or campaign.access
    if isinstance(platform, RotatesLabelerKeys):
        assert access is not None
        if not new_labeler:
            harness.labeler = access
    images = fill(harness, platform, campaign.id, count)
    if active or done:
        platform.activate_campaign(campaign.id)
    if done:
        harness.label(campaign, access, {image.id: [harness.annotations[0]] for image in images[:done]})
    properties = {image.id: (image.name, image.width, image.height) for image in images}
    return Job(platform, campaign, access, list(properties), properties)


def fill(harness: Harness, platform: Any, campaign: str, count: int = 3) -> list[RemoteImage]:
    """Puts images into a campaign in the platform's way. Returns them in that order."""
    if isinstance(platform, KeepsImageSets):
        images = list(harness.stock()[:count])
        platform.add_images(campaign, [image.id for image in images])
        return images
    size = platform.batch_size() or 1000
    for number, first in enumerate(range(0, count, size), 1):
        platform.send_images(campaign, number, [to_send(name) for name in NAMES[:count][first : first + size]])
        assert wait_for_batch(platform, campaign, number).state is SetState.FINISHED
    by_name = {image.name: image for image in platform.list_campaign_images(campaign)}
    assert set(by_name) == set(NAMES[:count])
    return [replace(by_name[name], width=40, height=30) for name in NAMES[:count]]


def wait_for_batch(platform: Any, campaign: str, number: int, seconds: float = 240) -> RemoteBatch:
    deadline = time.monotonic() + seconds
    while (batch := platform.read_batch(campaign, number)).state is SetState.FINISHING:
        assert time.monotonic() < deadline, "the batch is never taken in"
        time.sleep(0.02)
    return batch


def to_send(name: str) -> ImageToSend:
    """An image of 40 x 30 pixels, a different one for every name."""
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


def spool_labels(spool: Spool, job: Job) -> None:
    """Reads all pages of labels into the spool, under the names of the manifest."""
    cursor, number = None, 0
    while number == 0 or cursor is not None:
        number += 1
        page = job.platform.read_labels(job.campaign.id, cursor)
        images = [replace(image, name=job.properties[image.remote_id][0]) for image in page.images]
        spool.put_page(number, images, left_out=page.left_out, excluded=page.excluded)
        cursor = page.next


class ContractSuite:
    """Base of all test classes."""

    @pytest.fixture(autouse=True)
    def _no_fault_before_and_after(self, harness: Harness) -> Iterator[None]:
        harness.proxy.clear()
        yield
        harness.proxy.clear()


class PlatformContract(ContractSuite):
    """What every platform does on a network without faults."""

    def test_check_describes_the_server(self, harness: Harness) -> None:
        assert harness.platform().check()

    def test_a_wrong_credential_is_denied(self, harness: Harness) -> None:
        platform = harness.with_wrong_credential()
        for call in (
            platform.check,
            lambda: platform.find_campaign("x"),
            lambda: platform.create_campaign(order(harness=harness)),
        ):
            with pytest.raises(AccessDenied):
                call()

    def test_repr_shows_no_secret(self, harness: Harness) -> None:
        assert "secret" not in repr(harness.platform()).lower()

    # Campaigns

    def test_an_unused_title_is_not_found(self, harness: Harness) -> None:
        assert harness.platform().find_campaign(unique("never")) is None

    def test_a_created_campaign_is_found_by_its_exact_title(self, harness: Harness) -> None:
        platform = harness.platform()
        for title in (unique("campaign"), f"Донау & Söhne #1? {unique('')}"):
            created = platform.create_campaign(order(title, harness=harness))
            campaign = platform.find_campaign(title)
            assert campaign is not None
            assert (campaign.id, campaign.title) == (created.id, title)
            assert (campaign.state, campaign.done, campaign.total) == (RemoteState.CREATED, 0, 0)
            assert platform.find_campaign(title[:-1]) is None

    def test_repeating_an_order_creates_no_second_campaign(self, harness: Harness) -> None:
        repeated = order(harness=harness)
        created = harness.platform().create_campaign(repeated)
        assert harness.platform().create_campaign(repeated).id == created.id
        campaign = harness.platform().find_campaign(repeated.title)
        assert campaign is not None
        assert campaign.id == created.id

    def test_a_campaign_that_does_not_exist_is_not_found(self, harness: Harness) -> None:
        platform = harness.platform()
        for call in (platform.read_campaign, platform.activate_campaign, platform.read_labels):
            with pytest.raises(NotFound):
                call(harness.missing_id)

    def test_an_activated_campaign_can_be_labeled(self, harness: Harness) -> None:
        job = make_job(harness)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.CREATED
        job.platform.activate_campaign(job.campaign.id)
        job.platform.activate_campaign(job.campaign.id)
        harness.label(job.campaign, job.access, {job.images[0]: [harness.annotations[0]]})
        campaign = job.platform.read_campaign(job.campaign.id)
        assert (campaign.state, campaign.done, campaign.total) == (RemoteState.ACTIVE, 1, 3)

    def test_the_last_image_completes_a_campaign_even_without_objects(self, harness: Harness) -> None:
        job = make_job(harness, done=2)
        harness.label(job.campaign, job.access, {job.images[2]: []})
        campaign = job.platform.read_campaign(job.campaign.id)
        assert (campaign.state, campaign.done, campaign.total) == (RemoteState.COMPLETED, 3, 3)

    def test_activating_a_completed_campaign_does_not_reopen_it(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        job.platform.activate_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.COMPLETED

    # Labels

    def test_labels_come_back_as_they_were_submitted(self, harness: Harness) -> None:
        job = make_job(harness, active=True)
        first, second = harness.annotations
        submitted = {job.images[0]: [first, second], job.images[1]: [], job.images[2]: [second]}
        harness.label(job.campaign, job.access, submitted)
        platform = harness.platform(small_pages=True)
        assert platform.read_labels(job.campaign.id).next is not None
        labeled = all_labels(platform, job.campaign.id)
        assert sorted(image.remote_id for image in labeled) == sorted(job.images)
        if harness.labels_keep_order:
            assert [image.remote_id for image in labeled] == job.images
        for image in labeled:
            name, width, height = job.properties[image.remote_id]
            assert (image.size.width, image.size.height) == (width, height)
            if isinstance(platform, KeepsImageSets):  # elsewhere our name is found by the id
                assert image.name == name
            assert list(image.annotations) == submitted[image.remote_id]

    def test_only_labeled_images_have_labels_even_without_objects(self, harness: Harness) -> None:
        job = make_job(harness, active=True)
        assert all_labels(job.platform, job.campaign.id) == []
        harness.label(job.campaign, job.access, {job.images[1]: []})
        labeled = all_labels(job.platform, job.campaign.id)
        assert [(image.remote_id, image.annotations) for image in labeled] == [(job.images[1], ())]

    def test_a_delivery_and_its_list_are_the_whole_campaign(self, harness: Harness, tmp_path: Path) -> None:
        job = make_job(harness, active=True)
        stock = [
            StockedImage(position, name, Size(width, height), "0" * 64, remote_id=id)
            for position, (id, (name, width, height)) in enumerate(job.properties.items(), 1)
        ]
        for labeled, objects in enumerate(([harness.annotations[0]], [], [harness.annotations[0]]), 1):
            before = job.platform.read_campaign(job.campaign.id)
            harness.label(job.campaign, job.access, {job.images[labeled - 1]: objects})
            spool = Spool(tmp_path / f"{labeled}")
            spool_labels(spool, job)
            remote = job.platform.read_campaign(job.campaign.id)
            delivery = check_delivery(
                spool.delivered(stock),
                harness.labels,
                accept_partial=True,
                expected_images=len(stock),
                expected_done=remote.done,
                earlier_done=before.done,
                labeling_open=remote.state is RemoteState.ACTIVE,
                unlabeled=unlabeled_of(job),
            )
            assert (delivery.delivered, len(delivery.listed)) == (labeled, len(stock) - labeled)
            assert {image.reason for image in delivery.listed} <= {Reason.NOT_LABELED}
            taken = spool.delivered(stock, without=delivery.names)
            names = [image.name for batch in taken.batches() for image in batch.images]
            assert sorted([*names, *delivery.names]) == sorted(image.name for image in stock)
            assert delivery.empty == (1 if labeled > 1 else 0), "looked, nothing here"

    def test_images_in_every_state_are_delivered_or_listed_with_it(self, harness: Harness, tmp_path: Path) -> None:
        for state in harness.unfinished:
            job = make_job(harness, done=1)
            stock = [
                StockedImage(position, name, Size(width, height), "0" * 64, remote_id=id)
                for position, (id, (name, width, height)) in enumerate(job.properties.items(), 1)
            ]
            harness.put_into(job.campaign, job.images[1], state)
            spool = Spool(tmp_path / state.name)
            spool_labels(spool, job)
            done, labels = job.platform.read_campaign(job.campaign.id).done, spool.delivered(stock)
            with pytest.raises(NotReady, match=f"1 of 3 images are ready; the other 2: .*1 {REASONS[state].value}"):
                check_delivery(labels, harness.labels, expected_done=done, unlabeled=unlabeled_of(job))
            delivery = check_delivery(
                labels, harness.labels, accept_partial=True, expected_done=done, unlabeled=unlabeled_of(job)
            )
            assert delivery.delivered + len(delivery.listed) == len(stock)
            assert [image.reason for image in delivery.listed] == [REASONS[state], Reason.NOT_LABELED]
            assert not delivery.complete


def unlabeled_of(job: Job) -> dict[str, tuple[ImageState, str]]:
    """What the platform says of images that are not labeled, under the names of the manifest."""
    if not isinstance(job.platform, ListsUnlabeledImages):
        return {}
    unlabeled = job.platform.list_unlabeled_images(job.campaign.id)
    return {job.properties[image.id][0]: (image.state, image.detail) for image in unlabeled}


class ImageSetContract(ContractSuite):
    """Image sets, and campaigns that refer to their images."""

    def test_images_that_are_added_twice_are_in_it_once(self, harness: Harness) -> None:
        job = make_job(harness)
        paging: Any = harness.platform(small_pages=True)
        paging.add_images(job.campaign.id, job.images)
        job.platform.add_images(job.campaign.id, [])
        assert job.platform.read_campaign(job.campaign.id).total == 3

    def test_an_image_that_does_not_exist_cannot_be_added(self, harness: Harness) -> None:
        job = make_job(harness)
        with pytest.raises(PlatformRefused):
            job.platform.add_images(job.campaign.id, [harness.missing_id])
        assert job.platform.read_campaign(job.campaign.id).total == 3

    def test_an_image_set_takes_images_until_it_is_sealed(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        title, names = unique("set"), ["a.png", "ünter/река 1.png", "sub/a.png"]
        image_set = platform.create_image_set(title, {"country": "Nederland"})
        assert (image_set.title, image_set.state, image_set.rejected) == (title, SetState.CREATED, ())
        assert platform.find_image_set(title).id == image_set.id
        harness.upload(platform.dropbox(image_set.id), names)
        platform.seal_image_set(image_set.id)
        platform.seal_image_set(image_set.id)
        harness.wait_for_set(platform, image_set.id)
        platform.seal_image_set(image_set.id)
        assert platform.read_image_set(image_set.id).state is SetState.FINISHED
        paging: Any = harness.platform(small_pages=True)
        images = list(paging.list_images(image_set.id))
        assert sorted(image.name for image in images) == sorted(names)
        assert {(image.width, image.height) for image in images} == {(40, 30)}
        assert len({image.id for image in images}) == 3
        with pytest.raises(PlatformRefused):
            platform.dropbox(image_set.id)

    def test_a_file_that_is_no_image_is_rejected_with_a_reason(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        image_set = platform.create_image_set(unique("set"), {})
        harness.upload(platform.dropbox(image_set.id), ["good.png", "broken!.png"])
        platform.seal_image_set(image_set.id)
        harness.wait_for_set(platform, image_set.id)
        ((name, reason),) = platform.read_image_set(image_set.id).rejected
        assert name == "broken!.png"
        assert reason
        assert [image.name for image in platform.list_images(image_set.id)] == ["good.png"]

    def test_a_title_of_an_image_set_is_used_once(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        title = unique("set")
        platform.create_image_set(title, {})
        with pytest.raises(PlatformRefused) as caught:
            platform.create_image_set(title, {"other": 1})
        assert caught.value.status == 409
        assert platform.find_image_set(title) is not None
        assert platform.find_image_set(title[:-1]) is None


class TakesImagesContract(ContractSuite):
    """Images are sent into campaigns."""

    def test_sent_images_are_in_the_campaign_under_their_names(self, harness: Harness) -> None:
        job = make_job(harness, count=5)
        paging: Any = harness.platform(small_pages=True)
        images = list(paging.list_campaign_images(job.campaign.id))
        assert {image.id: image.name for image in images} == dict(zip(job.images, NAMES, strict=True))
        assert {(image.width, image.height) for image in images} <= {(40, 30), (0, 0)}
        assert job.platform.read_campaign(job.campaign.id).total == 5

    def test_a_new_campaign_lists_no_images_and_has_no_batch(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        campaign = platform.create_campaign(order(harness=harness))
        assert list(platform.list_campaign_images(campaign.id)) == []
        assert platform.read_batch(campaign.id, 1).state in (SetState.CREATED, SetState.FINISHED)

    def test_a_batch_that_is_sent_again_is_there_once(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        campaign = platform.create_campaign(order(harness=harness))
        count = min(3, platform.batch_size() or 3)
        for _ in range(2):
            platform.send_images(campaign.id, 1, [to_send(name) for name in NAMES[:count]])
            wait_for_batch(platform, campaign.id, 1)
        assert sorted(image.name for image in platform.list_campaign_images(campaign.id)) == sorted(NAMES[:count])


class WithdrawsImagesContract(ContractSuite):
    """Images are taken out of campaigns before labelers begin."""

    def test_withdrawn_images_are_gone_and_others_can_be_sent_again(self, harness: Harness) -> None:
        job = make_job(harness)
        platform: Any = job.platform
        for _ in range(2):
            platform.withdraw_images(job.campaign.id, [job.images[1]])
        left = [image.name for image in platform.list_campaign_images(job.campaign.id)]
        assert NAMES[1] not in left
        kept = [NAMES[0], NAMES[2]]
        platform.send_images(job.campaign.id, 1, [to_send(name) for name in kept if name not in left])
        wait_for_batch(platform, job.campaign.id, 1)
        assert sorted(image.name for image in platform.list_campaign_images(job.campaign.id)) == sorted(kept)

    def test_labeled_images_cannot_be_withdrawn(self, harness: Harness) -> None:
        job = make_job(harness, done=2)
        platform: Any = job.platform
        with pytest.raises(PlatformRefused, match="begun"):
            platform.withdraw_images(job.campaign.id, [job.images[1]])
        assert platform.read_campaign(job.campaign.id).total == 3


class DeletesCampaignsContract(ContractSuite):
    """Campaigns are deleted."""

    def test_a_deleted_campaign_is_gone_and_may_be_deleted_again(self, harness: Harness) -> None:
        job = make_job(harness, active=True)
        for _ in range(2):
            job.platform.delete_campaign(job.campaign.id)
        assert job.platform.find_campaign(job.campaign.title) is None
        with pytest.raises(NotFound):
            job.platform.read_campaign(job.campaign.id)


class TakesPredictionsContract(ContractSuite):
    """Predictions are put into campaigns."""

    def test_predictions_do_not_count_as_labels(self, harness: Harness) -> None:
        job = make_job(harness)
        name, width, height = job.properties[job.images[0]]
        predicted = LabeledImage(name, Size(width, height), (harness.annotations[0],), job.images[0])
        for _ in range(2):
            job.platform.put_predictions(job.campaign.id, [predicted])
            assert harness.predicted(job.campaign) in (None, {job.images[0]: (harness.annotations[0],)})
        job.platform.activate_campaign(job.campaign.id)
        assert all_labels(job.platform, job.campaign.id) == []
        assert job.platform.read_campaign(job.campaign.id).done == 0

    def test_predictions_of_an_image_that_is_not_there_are_refused(self, harness: Harness) -> None:
        job = make_job(harness)
        lost = LabeledImage("lost.png", Size(40, 30), (harness.annotations[0],), harness.missing_id)
        with pytest.raises(PlatformRefused):
            job.platform.put_predictions(job.campaign.id, [lost])


class ShowsCampaignsContract(ContractSuite):
    """Campaigns have web pages."""

    def test_the_url_of_a_campaigns_page_holds_no_credential(self, harness: Harness) -> None:
        job = make_job(harness)
        assert job.platform.campaign_page(job.campaign.id).startswith("http")
        assert "@" not in job.platform.campaign_page(job.campaign.id)


class FindsDeletedImagesContract(ContractSuite):
    """Deleted images are found out."""

    def test_images_that_are_there_are_not_reported_as_deleted(self, harness: Harness) -> None:
        job = make_job(harness)
        for platform in (harness.platform(), harness.platform(small_pages=True)):
            assert isinstance(platform, FindsDeletedImages)
            assert dict(platform.deleted_images(job.campaign.id, job.images)) == {}
            assert dict(platform.deleted_images(job.campaign.id, [])) == {}


class ListsLabelsContract(ContractSuite):
    """The labels of a campaign are listed."""

    def test_the_labels_of_a_campaign_are_those_of_its_order(self, harness: Harness) -> None:
        job = make_job(harness)
        assert set(job.platform.list_labels(job.campaign.id).names) == set(harness.labels.names)


class ChangesCampaignsContract(ContractSuite):
    """Campaigns are changed while labelers work."""

    def test_a_label_is_added_while_labels_are_kept(self, harness: Harness) -> None:
        job = make_job(harness, done=1)
        order = changed_order(harness, job)
        job.platform.change_campaign(job.campaign.id, order)
        job.platform.change_campaign(job.campaign.id, order)
        names = job.platform.list_labels(job.campaign.id).names
        assert sorted(names) == sorted(order.labels.names)
        campaign = job.platform.read_campaign(job.campaign.id)
        assert (campaign.state, campaign.done, campaign.total) == (RemoteState.ACTIVE, 1, 3)
        assert len(all_labels(job.platform, job.campaign.id)) == 1

    def test_a_campaign_that_does_not_exist_is_not_changed(self, harness: Harness) -> None:
        job = make_job(harness)
        with pytest.raises(NotFound):
            job.platform.change_campaign(harness.missing_id, changed_order(harness, job))


def changed_order(harness: Harness, job: Job) -> CampaignOrder:
    """The order of a campaign of `make_job` with one label more, and instructions."""
    labels = LabelSchema((*harness.labels, Label("glass", harness.labels.labels[0].geometry)))
    labeler = harness.email or (job.access.email if job.access else "")
    return CampaignOrder(job.campaign.title, labels, labeler, "Glass too.")


class ListsUnlabeledImagesContract(ContractSuite):
    """Images that are not labeled yet are listed with their state."""

    def test_every_image_is_either_labeled_or_listed_as_unlabeled(self, harness: Harness) -> None:
        job = make_job(harness, done=2)
        for platform in (harness.platform(), harness.platform(small_pages=True)):
            assert isinstance(platform, ListsUnlabeledImages)
            labeled = {image.remote_id for image in all_labels(platform, job.campaign.id)}
            unlabeled = list(platform.list_unlabeled_images(job.campaign.id))
            assert [image.id for image in unlabeled] == [job.images[2]]
            assert labeled == set(job.images[:2])
            assert [image.state for image in unlabeled] == [ImageState.NOT_LABELED]
            assert {image.name for image in unlabeled} <= {*NAMES, ""}

    def test_a_completed_campaign_has_no_unlabeled_images(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        assert list(job.platform.list_unlabeled_images(job.campaign.id)) == []


class FinishesCampaignsContract(ContractSuite):
    """Campaigns are closed."""

    def test_a_completed_campaign_can_be_finished_twice(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        job.platform.finish_campaign(job.campaign.id)
        job.platform.finish_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.FINISHED
        assert len(all_labels(job.platform, job.campaign.id)) == 3

    def test_a_campaign_that_is_not_completed_cannot_be_finished(self, harness: Harness) -> None:
        job = make_job(harness, done=2)
        with pytest.raises(PlatformRefused):
            job.platform.finish_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.ACTIVE


class ReopensCampaignsContract(ContractSuite):
    """Completed campaigns are reopened."""

    def test_a_completed_campaign_can_be_reopened_repeatedly(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        for _ in range(2):
            job.platform.reopen_campaign(job.campaign.id)
            job.platform.reopen_campaign(job.campaign.id)
            assert job.platform.read_campaign(job.campaign.id).state is RemoteState.ACTIVE
            harness.label(job.campaign, job.access, {image: [harness.annotations[1]] for image in job.images})
            assert job.platform.read_campaign(job.campaign.id).state is RemoteState.COMPLETED
        labeled = all_labels(job.platform, job.campaign.id)
        assert [image.annotations for image in labeled] == [(harness.annotations[1],)] * 3

    def test_a_campaign_that_was_never_completed_cannot_be_reopened(self, harness: Harness) -> None:
        job = make_job(harness)
        with pytest.raises(PlatformRefused):
            job.platform.reopen_campaign(job.campaign.id)
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.CREATED


class ReopensImagesContract(ContractSuite):
    """Single images are given back to their labelers."""

    def test_single_images_are_reopened_and_others_stay_done(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        first, *others = job.images
        before = {image.remote_id: image for image in all_labels(job.platform, job.campaign.id)}
        for _ in range(2):
            job.platform.reopen_images(job.campaign.id, {first: "the mast is missing"}, "call 1")
            campaign = job.platform.read_campaign(job.campaign.id)
            assert (campaign.state, campaign.done, campaign.total) == (RemoteState.ACTIVE, 2, 3)
        labeled = {image.remote_id: image for image in all_labels(job.platform, job.campaign.id)}
        assert labeled == {image: before[image] for image in others}
        harness.label(job.campaign, job.access, {first: [harness.annotations[0]]})
        assert job.platform.read_campaign(job.campaign.id).state is RemoteState.COMPLETED

    def test_images_of_a_finished_campaign_are_reopened(self, harness: Harness) -> None:
        job = make_job(harness, done=3)
        if isinstance(job.platform, FinishesCampaigns):
            job.platform.finish_campaign(job.campaign.id)
        job.platform.reopen_images(job.campaign.id, dict.fromkeys(job.images[1:], ""), "call 2")
        campaign = job.platform.read_campaign(job.campaign.id)
        assert (campaign.state, campaign.done) == (RemoteState.ACTIVE, 1)


class RotatesLabelerKeysContract(ContractSuite):
    """Keys of labelers are shown once and replaced."""

    def test_the_secret_of_a_new_labeler_is_shown_once(self, harness: Harness) -> None:
        platform = harness.platform()
        first_order = order()
        first = platform.create_campaign(first_order)
        assert first.access is not None
        assert first.access.secret is not None
        assert first.access.secret.value not in repr(first)
        assert platform.read_campaign(first.id).access is None
        second = platform.create_campaign(CampaignOrder(unique("campaign"), LABELS, first_order.labeler))
        assert second.access is not None
        assert (second.access.key, second.access.secret) == (first.access.key, None)

    def test_every_rotated_key_replaces_the_one_before(self, harness: Harness) -> None:
        job = make_job(harness, active=True, new_labeler=True)
        old = job.access
        assert old is not None
        for _ in range(2):
            new = job.platform.rotate_labeler_key(old.email)
            assert new.email == old.email
            assert new.secret is not None
            harness.label(job.campaign, new, {job.images[0]: [harness.annotations[0]]})
            with pytest.raises(AccessDenied):
                harness.label(job.campaign, old, {job.images[0]: []})
            old = new


class RecoversAccessContract(ContractSuite):
    """The access of a new labeler is read again."""

    def test_the_access_of_a_new_labeler_can_be_recovered(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        first_order = order()
        campaign = platform.create_campaign(first_order)
        adapter = harness.platform()
        assert isinstance(adapter, RecoversAccess)
        assert adapter.recover_access(first_order) == campaign.access
        assert platform.read_campaign(campaign.id).title == first_order.title

    def test_a_different_order_recovers_nothing(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        first_order = order()
        platform.create_campaign(first_order)
        assert platform.recover_access(replace(first_order, instructions="something else")) is None


class ServesImagesContract(ContractSuite):
    """Images have URLs."""

    def test_the_url_of_an_image_holds_no_credential(self, harness: Harness) -> None:
        platform: Any = harness.platform()
        image = harness.stock()[0].id
        assert platform.image_url(image).startswith("http")
        assert "?" not in platform.image_url(image)
        assert "@" not in platform.image_url(image)


CONTRACTS: dict[type, type[ContractSuite]] = {
    Platform: PlatformContract,
    KeepsImageSets: ImageSetContract,
    TakesImages: TakesImagesContract,
    WithdrawsImages: WithdrawsImagesContract,
    DeletesCampaigns: DeletesCampaignsContract,
    TakesPredictions: TakesPredictionsContract,
    ShowsCampaigns: ShowsCampaignsContract,
    FindsDeletedImages: FindsDeletedImagesContract,
    ListsLabels: ListsLabelsContract,
    ChangesCampaigns: ChangesCampaignsContract,
    ListsUnlabeledImages: ListsUnlabeledImagesContract,
    FinishesCampaigns: FinishesCampaignsContract,
    ReopensCampaigns: ReopensCampaignsContract,
    ReopensImages: ReopensImagesContract,
    RotatesLabelerKeys: RotatesLabelerKeysContract,
    RecoversAccess: RecoversAccessContract,
    ServesImages: ServesImagesContract,
}
"""The tests of each protocol. A protocol that is missing here has its tests with the platforms that implement it."""


def contract_of(adapter: type[Platform]) -> type:
    """Returns a base class with the tests of every protocol that the adapter's class line names."""
    protocols = protocols_of(adapter)
    return type("Contract", tuple(suite for protocol, suite in CONTRACTS.items() if protocol in protocols), {})
