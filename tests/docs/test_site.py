"""The documentation site: its reference is complete, its pages are all in it, and what is broken is noticed."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from labelwright import api
from labelwright.campaigns.spec import CampaignSpec
from labelwright.cli.exit_codes import EARLY, UNAVAILABLE
from labelwright.domain import State
from labelwright.platforms.registry import PLATFORMS
from labelwright.settings import ServiceSettings, Settings

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "infra" / "docs"
EXPECTED = {"command-line", "errors"}
"""Pages that the table of contents has a place for, and that may come later."""


@pytest.fixture(scope="module")
def builder() -> Iterator[dict[str, ModuleType]]:
    """The modules of infra/docs, which are scripts and in no package."""
    names = ("reference", "source", "check")
    sys.path.insert(0, str(BUILDER))
    try:
        yield {name: __import__(name) for name in names}
    finally:
        sys.path.remove(str(BUILDER))
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def source(builder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "source"
    builder["source"].prepare(folder)
    return folder


def page(source: Path, name: str) -> str:
    return (source / "reference" / f"{name}.md").read_text(encoding="utf-8")


def test_lock_of_the_builder_holds_its_group_and_names_no_index():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    lock = (ROOT / "infra" / "docs.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    assert {requirement.partition(">=")[0] for requirement in groups["docs"]} <= locked
    assert "://" not in lock
    assert "index-url" not in lock


def test_every_page_of_the_contents_exists(builder, source):
    named = [builder["source"].name_of(one) for _, pages in builder["source"].sections() for one in pages]
    assert len(named) == len(set(named))
    assert {name for name in named if not (source / f"{name}.md").exists()} <= EXPECTED


def test_every_document_has_its_place_in_the_contents(builder):
    named = {builder["source"].name_of(one) for _, pages in builder["source"].sections() for one in pages}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert not {name for name in pages - named if f"docs/{name}.md" not in readme}


def test_pages_without_a_place_are_listed_at_the_end(builder, source, tmp_path, monkeypatch):
    monkeypatch.setattr(builder["source"], "sections", lambda: [("Tutorial", ["First <tutorial>", "not-yet"])])
    monkeypatch.setattr(builder["reference"], "PAGES", {})
    builder["source"].prepare(tmp_path / "source")
    contents = (tmp_path / "source" / "index.md").read_text(encoding="utf-8")
    tutorial, more = re.findall(r"```\{toctree\}\n(.*?)```", contents, re.DOTALL)
    assert "First <tutorial>" in tutorial
    assert "not-yet" not in contents
    assert {"datasets", "limits", "changelog"} <= set(more.split())


def test_reference_of_commands_is_complete(source):
    text = page(source, "commands")
    for command in ("plan", "launch", "datasets diff", "prepare-ledger"):
        assert f"`labelwright {command}`\n" in text
    assert "`--accept-partial`" in text
    assert "`--tolerance" in text


def test_reference_of_settings_and_fields_is_complete(source):
    settings, fields = page(source, "settings"), page(source, "campaign-file")
    groups = ("connections", "workspaces", "service", "operations", "results", "receiver")
    for name in Settings.model_fields:
        assert f"LABELWRIGHT_{name.upper()}{'__' if name in groups else '`'}" in settings
    for name in ServiceSettings.model_fields:
        assert f"`LABELWRIGHT_SERVICE__{name.upper()}`" in settings
    for name in CampaignSpec.model_fields:
        assert f"| `{name}` |" in fields
    for platform in PLATFORMS:
        assert f"`platform: {platform}`" in fields
    assert "`huggingface`" in fields
    assert "`box` or `polygon` or `image` or `any`" in fields


def test_reference_of_python_events_and_codes_is_complete(source):
    python, events, codes = (page(source, name) for name in ("python", "events", "exit-codes"))
    for name in api.__all__:
        assert f"## `{name}`" in python
    assert "Campaign.launch(" in python
    assert "self" not in re.findall(r"Campaign\.launch\((.*)\)", python)[0]
    assert len(re.findall(r"`labelwright\.campaign\.", events)) >= len(State) - 1
    for code in (0, EARLY, UNAVAILABLE, 130, 141):
        assert f"| `{code}` |" in codes


def test_reference_of_the_service_has_its_routes(source):
    text = page(source, "rest")
    assert "### `PUT /api/v1/campaigns/{campaign}/objects`" in text
    assert "### `GET /health`" in text


def test_platforms_are_those_of_the_readme(source):
    assert "| campaigns, progress, labels |" in page(source, "platforms")


GOOD = '<html><a href="other.html#here">x</a><img src="a.png"><a href="https://example.com">y</a></html>'


def test_a_whole_site_has_no_faults(builder, tmp_path):
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "other.html").write_text('<p id="here">')
    (tmp_path / "a.png").touch()
    assert builder["check"].faults(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('<a href="gone.html">', "index.html: gone.html leads nowhere"),
        ('<a href="other.html#there">', "index.html: other.html#there: the page has no such place"),
        ('<script src="https://cdn.example/x.js"></script>', "index.html loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/css">', "index.html loads //fonts.example/css"),
        ('<img src="gone.png">', "index.html: gone.png leads nowhere"),
    ],
)
def test_what_is_broken_is_named(builder, tmp_path, text, fault):
    (tmp_path / "index.html").write_text(text)
    (tmp_path / "other.html").write_text('<p id="here">')
    assert builder["check"].faults(tmp_path) == [fault]


def test_styles_that_load_from_elsewhere_are_named(builder, tmp_path):
    (tmp_path / "index.html").write_text(GOOD.replace("other.html#here", "index.html"))
    (tmp_path / "a.png").touch()
    (tmp_path / "site.css").write_text("@font-face { src: url(https://fonts.example/x.woff2) }")
    assert builder["check"].faults(tmp_path) == ["site.css loads from elsewhere"]


def test_a_site_without_pages_is_a_fault(builder, tmp_path):
    assert builder["check"].faults(tmp_path) == [f"{tmp_path} has no pages"]
