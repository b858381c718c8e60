"""Images that are gone from a platform after the launch, whatever the platform: reported, then sent again."""

from __future__ import annotations

import pytest

from labelwright.campaigns.outlook import outlook_of
from labelwright.campaigns.refusals import NotLabeledYet
from labelwright.campaigns.spec import validate_spec
from labelwright.domain import Image, Size, State
from labelwright.ledger import EffectItem, Ledger, ManifestEntry, campaign_lease
from labelwright.platforms.errors import PlatformRefused
from labelwright.platforms.protocol import CampaignOrder, RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import forget_settings
from labelwright.tasks.campaign.batch_upload import list_missing_images
from labelwright.tasks.campaign.lifecycle import refuse_unlabeled
from labelwright.tasks.campaign.lost_images import begin_repair, repair_notes
from labelwright.tasks.campaign.progress import read_progress
from labelwright.tasks.campaign.summary import summary
from labelwright.tasks.campaign.waiting import wait_for_labels
from labelwright.tasks.context import the_ledger
from labelwright.tasks.export.checks import check_labels
from labelwright.tasks.sweep.refresh import refresh_batch
from tests.platforms.contract import to_send
from tests.platforms.shelf import ENTRY, STORES, Kept, Store

NAMES = ["a.jpg", "b.jpg", "c.jpg"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    store = STORES.setdefault(f"memory:{tmp_path}", Store())
    store.lost_with_tasks = True
    yield store
    forget_settings()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    """A launched campaign of three images, none of them labeled."""
    ledger = the_ledger()
    document = {"title": "river", "platform": "shelf", "images": {"folder": "/x"}, "labels": ["a"], "labeler": "a@b.c"}
    spec = validate_spec(document, "test")
    ledger.campaigns.add("river", spec.model_dump(mode="json"))
    mark = ledger.manifests.begin("river")
    entries = [ManifestEntry(Image(name, Size(40, 30), 5, "a" * 64, "a" * 32, "JPEG"), f"/x/{name}") for name in NAMES]
    ledger.manifests.add("river", mark, entries)
    ledger.manifests.complete("river", mark)
    for state in (State.UPLOADING, State.CREATED, State.ACTIVE):
        ledger.campaigns.move("river", state)
    kept = Kept(CampaignOrder("river", spec.schema_of_labels(), "a@b.c"), RemoteState.ACTIVE)
    kept.images = {f"i{number}": (name, to_send(name)) for number, name in enumerate(NAMES)}
    store.campaigns["c1"] = kept
    ledger.campaigns.record_remote_campaign("river", "c1")
    ledger.manifests.record_remote_ids("river", [(name, f"i{number}") for number, name in enumerate(NAMES)])
    ledger.effects.intend("river", "activate")
    ledger.effects.settle("river", "activate", "active")
    return ledger


def sweep() -> str:
    return refresh_batch(["river"]).states["river"]


def activated(ledger: Ledger) -> bool:
    return ledger.effects.find("river", "activate") is not None


def test_lost_images_need_attention_and_a_new_launch(ledger: Ledger, store: Store) -> None:
    assert sweep() == "active"
    del store.campaigns["c1"].images["i1"]
    assert sweep() == "needs attention"
    record = ledger.campaigns.get("river")
    assert record.state_before is State.UPLOADING
    assert "1 of 3 images are gone from the campaign on shelf" in (record.reason or "")
    assert not activated(ledger), "the launch activates it again"
    (note,) = repair_notes("river")
    page = summary(record, outlook_of(record, []), [], {}, [], [], notes=repair_notes("river"))
    assert "1 of 3 images were gone; labels on them there are lost" in note
    assert "1 of 3 images were gone" in page


def test_images_count_as_lost_at_the_second_refresh(ledger: Ledger, store: Store) -> None:
    del store.campaigns["c1"].images["i1"]
    assert [sweep(), sweep()] == ["active", "needs attention"]


def test_a_platform_that_still_counts_what_was_sent_is_believed(ledger: Ledger, store: Store) -> None:
    every = store.campaigns["c1"].images
    for count in (1, 2, 3, 3):
        store.campaigns["c1"].images = dict(list(every.items())[:count])
        assert sweep() == "active"
    assert repair_notes("river") == []


def test_a_labeled_campaign_misses_images_too_and_is_not_finished(ledger: Ledger, store: Store) -> None:
    kept = store.campaigns["c1"]
    kept.labels = dict.fromkeys(kept.images, ())
    assert sweep() == "completed"
    del kept.images["i1"], kept.labels["i1"]
    state = read_progress.fn("river")
    with pytest.raises(NotLabeledYet, match=r"needs attention: .*1 of 3 images are gone"):
        refuse_unlabeled("river", state)


def test_an_export_is_refused_when_images_were_lost_with_a_task(ledger: Ledger, store: Store) -> None:
    kept = store.campaigns["c1"]
    kept.labels = dict.fromkeys(kept.images, ())
    assert sweep() == "completed"
    ledger.campaigns.move("river", State.FINISHED)
    del kept.images["i1"], kept.labels["i1"]
    with pytest.raises(NotLabeledYet, match=r"1 of 3 images are gone"):
        check_labels.fn("river")
    assert ledger.campaigns.get("river").state_before is State.UPLOADING
    assert not activated(ledger)
    assert ledger.image_states.counts() == {}


def test_a_run_that_waits_for_labels_ends_when_images_are_gone(ledger: Ledger, store: Store) -> None:
    sweep()
    del store.campaigns["c1"].images["i1"]
    with pytest.raises(PlatformRefused, match="needs attention: 1 of 3 images are gone"):
        wait_for_labels.fn("river", 1, 0.01)


def test_a_sweep_leaves_a_campaign_alone_that_a_launch_repairs(ledger: Ledger, store: Store) -> None:
    sweep()
    del store.campaigns["c1"].images["i1"]
    with ledger.leases.held(campaign_lease("river"), "a launch"):
        assert sweep() == "active"
    assert activated(ledger)


def test_a_launch_lists_what_is_gone_and_activates_again(
    ledger: Ledger, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    del store.campaigns["c1"].images["i1"]
    assert list_missing_images.fn("river") == [1]
    assert "1 images were on the platform and are gone: b.jpg" in caplog.text
    assert not activated(ledger)
    assert list_missing_images.fn("river") == [1]
    assert len(repair_notes("river")) == 1, "one repair is told once"


def test_a_repair_adds_images_of_a_set_again(ledger: Ledger) -> None:
    for first, last in ((1, 2), (3, 3)):
        item = EffectItem(first_image=first, last_image=last)
        ledger.effects.intend("river", "add images", item)
        ledger.effects.settle("river", "add images", "added", item)
    begin_repair("river", 1, 3)
    assert {effect.step for effect in ledger.effects.all("river")} == {"images gone from the platform"}


def test_fewer_labels_than_before_are_logged_once(
    ledger: Ledger, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    kept = store.campaigns["c1"]
    kept.labels = {"i0": (), "i1": ()}
    sweep()
    del kept.labels["i1"]
    sweep()
    sweep()
    assert caplog.text.count("1 images are labeled, 2 were before") == 1
