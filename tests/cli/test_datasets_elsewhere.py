"""Datasets that another machine of the team has: the commands say where they are."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelwright.campaigns.dataset_places import DatasetElsewhere, place_elsewhere, place_in_team
from labelwright.campaigns.spec import validate_spec
from labelwright.cli.datasets import datasets
from labelwright.cli.exit_codes import exit_code
from labelwright.domain import Image, Size
from labelwright.ledger import DatasetVersion, Ledger, ManifestEntry, open_ledger
from labelwright.settings import forget_settings, settings
from labelwright.stores import LocalStore, content_hash
from labelwright.tasks.export.registration import VersionsElsewhere, refuse_versions_elsewhere

SHA256 = "ab" * 32


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A campaign that the machine `alpha` exported into its own folder; this is `alpha`, too."""
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(socket, "gethostname", lambda: "alpha")
    forget_settings()
    opened = open_ledger(settings().ledger_address())
    images = {"urls": ["https://photos.example/a.jpg"]}
    document = {"title": "river", "labels": ["boat"], "labeler": "a@b.c", "images": images}
    spec = validate_spec({**document, "export": {"folder": str(tmp_path / "datasets")}}, "test")
    opened.campaigns.add("river", spec.model_dump(mode="json"))
    mark = opened.manifests.begin("river")
    entry = ManifestEntry(Image("a.jpg", Size(10, 20), 5, SHA256, "a" * 32, "JPEG"), "https://photos.example/a.jpg")
    opened.manifests.add("river", mark, [entry])
    opened.manifests.complete("river", mark)
    register(opened, tmp_path / "datasets")
    yield opened
    forget_settings()


def register(ledger: Ledger, folder: Path, label: str = "boat") -> None:
    files = folder.parent / "files"
    files.mkdir(exist_ok=True)
    (files / "river_labels.csv").write_text(f"file_name,label\na.jpg,{label}\n")
    store, digest = LocalStore(folder), content_hash(files)
    dataset = store.register("river_labels", files, content_hash=digest, receipt={"campaign": "river"})
    version = DatasetVersion(
        "river_labels",
        str(dataset.version),
        dataset.location,
        digest,
        store.identity,
        dataset.serial,
        dataset.receipt_sha256,
        host=socket.gethostname(),
    )
    ledger.campaigns.record_dataset("river", version)


def on_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "beta")
    (tmp_path / "datasets").rename(tmp_path / "alphas")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(datasets, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout


def test_the_machine_that_has_them_compares_and_shows_them(ledger):
    assert "version 1: as registered" in run("verify")
    assert "alpha" in run("show", "river_labels")
    assert json.loads(run("list", "--json"))[0]["host"] == "alpha"


def test_another_machine_says_where_they_are_and_that_nothing_was_compared(ledger, monkeypatch, tmp_path):
    on_another_machine(monkeypatch, tmp_path)
    place = f"on the machine alpha, in {tmp_path / 'datasets' / 'river_labels' / 'v1'}"
    assert f"not compared, it is {place}: run this there" in run("verify", "river_labels", code=2)
    (verified,) = json.loads(run("verify", "--json", code=2))
    assert (verified["elsewhere"], verified["wrong"], verified["host"]) == (place, [], "alpha")
    assert place in run("list")
    assert json.loads(run("list", "--json"))[0]["elsewhere"] == place
    assert place in run("lineage", SHA256[:8])
    (image,) = json.loads(run("lineage", SHA256[:8], "--json"))["found"]
    assert (image["labels"], image["datasets"][0]["elsewhere"]) == (None, place)
    refused = CliRunner().invoke(datasets, ["show", "river_labels"]).exception
    assert isinstance(refused, DatasetElsewhere)
    assert exit_code(refused) == 2
    assert f"river_labels, version 1, is {place}: run labelwright datasets show" in str(refused)


def test_a_difference_outweighs_a_version_that_is_elsewhere(ledger, monkeypatch, tmp_path):
    on_another_machine(monkeypatch, tmp_path)
    register(ledger, tmp_path / "betas", "buoy")
    ledger.campaigns.record_dataset("river", DatasetVersion("river_x", "9", str(tmp_path / "none"), "c" * 64, host="z"))
    assert json.loads(run("verify", "--json", code=2))
    (tmp_path / "betas/river_labels/v1/river_labels.csv").chmod(0o644)
    (tmp_path / "betas/river_labels/v1/river_labels.csv").write_text("")
    assert "river_labels.csv has 0 bytes" in run("verify", code=1)


def test_what_is_gone_from_its_own_machine_or_from_a_share_is_gone(ledger, monkeypatch, tmp_path):
    shutil.rmtree(tmp_path / "datasets")
    assert "v1 is gone" in run("verify", code=1)
    monkeypatch.setattr(socket, "gethostname", lambda: "beta")
    assert "not compared" in run("verify", code=2)
    monkeypatch.setenv("LABELWRIGHT_SHARED_FOLDERS", json.dumps([str(tmp_path / "datasets")]))
    forget_settings()
    assert "v1 is gone" in run("verify", code=1)


def test_a_folder_of_the_same_path_with_other_files_is_not_taken_for_it(ledger, monkeypatch, tmp_path):
    on_another_machine(monkeypatch, tmp_path)
    other = Ledger(f"sqlite:///{tmp_path / 'other.db'}")
    other.campaigns.add("river", {})
    register(other, tmp_path / "datasets", "buoy")
    other.close()
    assert "not compared, it is on the machine alpha" in run("verify", code=2)
    shutil.rmtree(tmp_path / "datasets")
    shutil.copytree(tmp_path / "alphas", tmp_path / "datasets")
    assert "version 1: as registered" in run("verify")


@pytest.mark.parametrize("ledger_url", [None, "postgresql://u@db.example/ledger"])
def test_a_version_of_an_earlier_labelwright_may_be_on_any_machine_of_a_team(tmp_path, monkeypatch, ledger_url):
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    if ledger_url:
        monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", ledger_url)
    forget_settings()
    dataset = {"location": str(tmp_path / "x" / "v1"), "host": "", "content_hash": "c" * 64}
    place = place_elsewhere(dataset, settings())
    forget_settings()
    assert ("did not record which" in place) is (ledger_url is not None)


def test_a_page_for_all_machines_names_the_one_that_has_a_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path))
    forget_settings()
    dataset = {"location": "/mnt/labels/v1", "host": "alpha"}
    alone = place_in_team(dataset, settings())
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", "postgresql://u@db.example/ledger")
    forget_settings()
    in_team = place_in_team(dataset, settings())
    monkeypatch.setenv("LABELWRIGHT_SHARED_FOLDERS", '["/mnt/labels"]')
    forget_settings()
    shared = place_in_team(dataset, settings())
    forget_settings()
    assert (alone, in_team, shared) == ("/mnt/labels/v1", "/mnt/labels/v1 on alpha", "/mnt/labels/v1")


def test_no_version_is_numbered_beside_those_of_another_machine(ledger, monkeypatch, tmp_path):
    refuse_versions_elsewhere("river")
    on_another_machine(monkeypatch, tmp_path)
    with pytest.raises(VersionsElsewhere, match=r"on the machine alpha.*labelwright resume 'river'"):
        refuse_versions_elsewhere("river")
    (tmp_path / "alphas").rename(tmp_path / "datasets")
    refuse_versions_elsewhere("river")
