"""`labelwright adopt`: the ledger of a campaign is written from its file, its images and its platform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelwright.campaigns import interventions
from labelwright.campaigns.adoption import Adopted, adopt
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.domain import Annotation, Box, State
from labelwright.domain.errors import CannotRun
from labelwright.flows.launch_campaign import launch_campaign
from labelwright.flows.sweep_campaigns import sweep_campaigns
from labelwright.ledger import AlreadyThere
from labelwright.ledger.campaigns import Campaigns
from labelwright.platforms import AccessDenied
from labelwright.platforms.protocol import RemoteState
from labelwright.platforms.registry import PLATFORMS
from labelwright.prefect_integration.connections import CONNECTIONS
from labelwright.settings import forget_settings
from labelwright.tasks.context import the_ledger
from tests.platforms.shelf import ENTRY, STORES, Kept, Store
from tests.tasks.without_prefect import run_as_functions

NAMES = ["a.png", "b.png", "c.png"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A campaign of three images that a ledger launched which is lost since."""
    monkeypatch.setitem(PLATFORMS, "shelf", ENTRY)
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__URL", f"memory:{tmp_path}")
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "good")
    forget_settings()
    run_as_functions(monkeypatch)
    for number, name in enumerate(NAMES):
        make_photo(tmp_path, name, number)
    store = STORES.setdefault(f"memory:{tmp_path}", Store())
    launch_campaign(spec(tmp_path))
    interventions.forget("river", force=True)
    yield store
    forget_settings()


def make_photo(tmp_path: Path, name: str, shade: int, size: tuple[int, int] = (40, 30)) -> None:
    (tmp_path / "photos").mkdir(exist_ok=True)
    Image.new("RGB", size, (shade, 0, 0)).save(tmp_path / "photos" / name)


def spec(tmp_path: Path, **fields: Any) -> CampaignSpec:
    document = {
        "title": "river",
        "platform": "shelf",
        "images": {"folder": str(tmp_path / "photos")},
        "labels": ["boat"],
        "labeler": "a@b.c",
        "export": {"folder": str(tmp_path / "datasets")},
        **fields,
    }
    return validate_spec(document, "test")


def take_over(tmp_path: Path, **fields: Any) -> Adopted:
    return adopt("river", spec(tmp_path, **fields), CONNECTIONS, lambda _: None)


def kept(store: Store) -> Kept:
    return store.campaigns["c1"]


def test_a_refused_key_names_its_connection(store, tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_CONNECTIONS__SHELF__KEY", "wrong")
    forget_settings()
    with pytest.raises(AccessDenied, match="Check the key and secret of connection shelf"):
        take_over(tmp_path)


def test_an_adopted_campaign_is_swept_to_its_datasets(store, tmp_path):
    sent = list(store.sent)
    adopted = take_over(tmp_path)
    assert (adopted.images, adopted.done, adopted.left_out, adopted.state) == (3, 0, (), State.ACTIVE)
    assert sweep_campaigns() == {"river": "active"}
    launch_campaign(spec(tmp_path))
    boat = Annotation("boat", Box(1, 2, 11, 12))
    kept(store).labels.update(dict.fromkeys(kept(store).images, (boat,)))
    assert sweep_campaigns() == {"river": "exported"}
    assert store.sent == sent, "nothing was uploaded twice"
    assert [row["version"] for row in the_ledger().campaigns.datasets("river")] == ["1", "1"]


def test_files_that_are_not_in_the_campaign_are_left_out_and_listed(store, tmp_path):
    make_photo(tmp_path, "d.png", 9)
    assert take_over(tmp_path).left_out == ("d.png",)
    assert [reject.name for reject in the_ledger().manifests.rejects("river")] == ["d.png"]
    assert the_ledger().campaigns.get("river").images == 3


def test_an_image_without_its_file_is_named_and_nothing_is_written(store, tmp_path):
    (tmp_path / "photos" / "b.png").unlink()
    with pytest.raises(CannotRun, match=r"1 images of 'river' on shelf are not among .*: b\.png"):
        take_over(tmp_path)
    assert the_ledger().campaigns.all() == []
    make_photo(tmp_path, "b.png", 1)
    assert take_over(tmp_path).images == 3


def test_a_file_of_another_size_is_not_the_image_that_was_uploaded(store, tmp_path):
    make_photo(tmp_path, "b.png", 1, (41, 30))
    with pytest.raises(CannotRun, match=r"1 files are not the images .*: b\.png"):
        take_over(tmp_path)


def test_labels_have_to_agree(store, tmp_path):
    with pytest.raises(CannotRun, match="does not have label 'buoy' in 'river'"):
        take_over(tmp_path, labels=["boat", "buoy"])
    kept(store).offered = ["boat", "buoy"]
    assert take_over(tmp_path).added_labels == ("buoy",)


def test_a_title_that_the_platform_or_the_ledger_decides_is_refused(store, tmp_path):
    with pytest.raises(CannotRun, match="there is no campaign of exactly the title 'lake' on shelf"):
        adopt("lake", spec(tmp_path, title="lake"), CONNECTIONS, lambda _: None)
    with pytest.raises(CannotRun, match="the file describes 'river', not 'lake'"):
        adopt("lake", spec(tmp_path), CONNECTIONS, lambda _: None)
    take_over(tmp_path)
    with pytest.raises(CannotRun, match="is in this ledger already"):
        take_over(tmp_path)


def test_a_launch_that_found_the_campaign_there_is_taken_over(store, tmp_path):
    with pytest.raises(AlreadyThere, match="labelwright adopt 'river' --file"):
        launch_campaign(spec(tmp_path))
    assert the_ledger().campaigns.get("river").state is State.NEEDS_ATTENTION
    assert take_over(tmp_path).state is State.ACTIVE
    assert the_ledger().campaigns.get("river").reason is None


def test_an_interrupted_adoption_is_repeated(store, tmp_path, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Campaigns, "record_remote_campaign", killed)
        with pytest.raises(KeyboardInterrupt):
            take_over(tmp_path)
    assert take_over(tmp_path).images == 3
    assert [entry.remote_id for entry in the_ledger().manifests.entries("river")] == ["i1", "i2", "i3"]


def test_a_campaign_that_was_not_opened_to_its_labelers_is_launched_on(store, tmp_path):
    kept(store).state = RemoteState.CREATED
    del kept(store).images["i3"]
    assert take_over(tmp_path).state is State.UPLOADING
    launch_campaign(spec(tmp_path))
    assert the_ledger().campaigns.get("river").state is State.ACTIVE
    assert len(kept(store).images) == 3
