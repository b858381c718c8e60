"""Paths that only one machine of a team has are refused where another machine would have to find them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from labelwright.campaigns.shared_paths import NotShared, note_on_images, refuse_unshared
from labelwright.campaigns.spec import CampaignSpec, validate_spec
from labelwright.prefect_integration.client import may_be_submitted_elsewhere
from labelwright.settings import SettingsError, forget_settings, settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABELWRIGHT_LEDGER_URL", "postgresql://u@db.example/ledger")
    monkeypatch.setenv("LABELWRIGHT_SHARED_FOLDERS", json.dumps([str(tmp_path / "share"), "~/team"]))
    monkeypatch.setenv("HOME", str(tmp_path))
    forget_settings()
    yield tmp_path
    forget_settings()


def spec(folder: str, images: dict[str, object] | None = None, **export: str) -> CampaignSpec:
    document = {"title": "river", "labels": ["a"], "labeler": "a@b.c", "images": images or {"folder": "/photos"}}
    return validate_spec({**document, "export": {"folder": folder, **export}}, "test")


@pytest.mark.parametrize("folder", ["/datasets", "datasets", "~/datasets", "{home}/share/../datasets", "{home}/shared"])
def test_a_folder_of_one_machine_is_refused_and_the_ways_on_are_named(home, folder):
    with pytest.raises(NotShared, match=r"export\.folder: .*LABELWRIGHT_SHARED_FOLDERS=.*azure_ml"):
        refuse_unshared(spec(folder.format(home=home)), settings())


@pytest.mark.parametrize("folder", ["{home}/share", "{home}/share/datasets", "~/team/datasets", "../share/x"])
def test_a_folder_within_a_shared_one_is_taken(home, folder):
    refuse_unshared(spec(folder.format(home=home)), settings())


def test_a_shared_folder_may_be_a_link(home):
    (home / "mount").mkdir()
    (home / "share").symlink_to(home / "mount")
    refuse_unshared(spec(str(home / "share/d")), settings())
    refuse_unshared(spec(str(home / "mount/d")), settings())


def test_a_store_elsewhere_needs_no_folder():
    refuse_unshared(spec("datasets", store="azure_ml"), settings())


def test_a_ledger_in_a_file_is_one_machines(monkeypatch, home):
    monkeypatch.delenv("LABELWRIGHT_LEDGER_URL")
    forget_settings()
    refuse_unshared(spec("datasets"), settings())
    assert note_on_images(spec("datasets"), settings()) == ""
    with pytest.raises(NotShared, match=r"export\.folder"):
        refuse_unshared(spec("datasets"), settings(), on_worker=True)


@pytest.mark.parametrize("images", [{"folder": "photos"}, {"files": ["/a.jpg", "b.jpg"]}, {"manifest": "list.csv"}])
def test_relative_paths_of_images_are_refused_where_a_worker_launches(home, images):
    relative = spec(str(home / "share"), images)
    refuse_unshared(relative, settings())
    with pytest.raises(NotShared, match=r"images\.\w+: .* is a relative path, and the launch runs on the machine"):
        refuse_unshared(relative, settings(), on_worker=True)
    refuse_unshared(spec(str(home / "share")), settings(), on_worker=True)


def test_relative_paths_are_good_where_the_home_folder_is_shared(monkeypatch, home):
    monkeypatch.setenv("LABELWRIGHT_SHARED_FOLDERS", json.dumps([str(home / "home")]))
    forget_settings()
    refuse_unshared(spec("datasets", {"folder": "photos"}), settings(), on_worker=True)
    assert note_on_images(spec("datasets", {"folder": str(home / "home/photos")}), settings()) == ""


def test_images_of_one_machine_are_noted_with_what_the_others_cannot_do(home):
    assert "an interrupted launch only goes on here" in note_on_images(spec("d"), settings())
    assert "so does an export" in note_on_images(spec("d", store="azure_ml"), settings())
    assert note_on_images(spec("d", {"urls": ["https://x.example/a.jpg"]}), settings()) == ""


@pytest.mark.parametrize(
    ("deployment", "ledger", "api", "elsewhere"),
    [
        (None, "postgresql://u@db.example/ledger", "http://prefect.example/api", False),
        ("id", "postgresql://u@db.example/ledger", "http://127.0.0.1:4200/api", True),
        ("id", None, "http://prefect.example/api", True),
        ("id", None, "http://127.0.0.1:4200/api", False),
    ],
)
def test_a_run_of_a_deployment_may_be_submitted_elsewhere(monkeypatch, deployment, ledger, api, elsewhere):
    import prefect.runtime
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setattr(prefect.runtime, "deployment", SimpleNamespace(id=deployment))
    if ledger is None:
        monkeypatch.delenv("LABELWRIGHT_LEDGER_URL")
    forget_settings()
    with temporary_settings({PREFECT_API_URL: api}):
        assert may_be_submitted_elsewhere() is elsewhere


def test_shared_folders_are_written_as_a_list(monkeypatch):
    monkeypatch.setenv("LABELWRIGHT_SHARED_FOLDERS", "/mnt/labels")
    forget_settings()
    with pytest.raises(SettingsError, match="shared_folders"):
        settings()
