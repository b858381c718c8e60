"""`labelwright init` and `labelwright validate`."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labelwright.campaigns.new_file import NewCampaign, campaign_text, write_campaign_file
from labelwright.campaigns.spec import load_spec, parse_spec
from labelwright.campaigns.yaml_loader import SpecError
from labelwright.cli.main import app
from labelwright.domain.errors import CannotRun, PathUnusable
from labelwright.platforms.registry import PLATFORMS

ANSWERS = ("--title", "river", "--images", "photos", "--labels", "boat, buoy", "--labeler", "me@example.com")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    code = app([*arguments], standalone_mode=False)
    captured = capsys.readouterr()
    return code or 0, captured.out, captured.err


def test_init_writes_a_file_that_validate_accepts(here, capsys):
    code, out, _ = run("init", *ANSWERS, "--deadline", "2030-01-31", capsys=capsys)
    assert code == 0
    assert "labelwright plan 'campaign.yaml'" in out
    spec = load_spec(here / "campaign.yaml")
    assert (spec.title, spec.labeler, [label.name for label in spec.labels]) == (
        "river",
        "me@example.com",
        ["boat", "buoy"],
    )
    assert spec.images.folder == str(here / "photos")
    assert run("validate", "campaign.yaml", capsys=capsys)[:2] == (0, "campaign.yaml: valid\n")


def test_init_overwrites_nothing(here, capsys):
    (here / "campaign.yaml").write_text("mine")
    with pytest.raises(PathUnusable, match="is not overwritten"):
        run("init", *ANSWERS, capsys=capsys)
    with pytest.raises(PathUnusable, match="is not overwritten"):
        write_campaign_file(here / "campaign.yaml", NewCampaign("river", "photos", ["boat"], "me@example.com"))
    assert (here / "campaign.yaml").read_text() == "mine"


def test_init_without_a_terminal_names_the_options_that_are_missing(here, capsys):
    with pytest.raises(CannotRun, match=r"^--images, --labeler: give these options"):
        run("init", "--title", "river", "--labels", "boat", capsys=capsys)
    assert not list(here.iterdir())


def on_a_terminal(directory: Path, *arguments: str, typed: str) -> str:
    """Runs the command on a pseudo-terminal, and types all answers at once. Returns what was shown."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "labelwright", *arguments]
    process = subprocess.Popen(command, cwd=directory, stdin=end, stdout=end, stderr=end, start_new_session=True)
    os.close(end)
    os.write(terminal, typed.encode())
    shown = b""
    with contextlib.suppress(OSError):  # Linux: the other end is closed
        while part := os.read(terminal, 4096):
            shown += part
    os.close(terminal)
    assert process.wait(240) == 0, shown
    return shown.decode().replace("\r\n", "\n")


def test_init_asks_on_a_terminal_for_what_no_option_gave(here):
    shown = on_a_terminal(here, "init", "lake.yaml", typed="photos/2030\n\nboat,sail\nme@example.com\ncvat\n")
    spec = load_spec(here / "lake.yaml")
    assert (spec.title, spec.platform, len(spec.labels)) == ("2030", "cvat", 2)
    questions = [
        "Folder of the images [photos]:",
        "Title of the campaign [2030]:",
        "Labels, separated by commas:",
        "E-mail address of the labeler:",
        "Platform (campaign_api, ",
    ]
    places = [shown.index(question) for question in questions]
    assert places == sorted(places)


def test_init_asks_again_after_an_answer_that_no_campaign_can_have(here):
    answers = ["photos", "river", ",", "boat, boat", "boat", "nobody", "me@example.com", "cvatt", "cvat"]
    shown = on_a_terminal(here, "init", typed="\n".join(answers) + "\n")
    spec = load_spec(here / "campaign.yaml")
    assert (spec.title, spec.platform, spec.labeler) == ("river", "cvat", "me@example.com")
    assert [label.name for label in spec.labels] == ["boat"]
    for fault in ("label 'boat' is listed twice", "is not an e-mail address", "did you mean 'cvat'"):
        assert fault in shown


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--labeler", "nobody", "is not an e-mail address"),
        ("--platform", "cvatt", "did you mean 'cvat'"),
        ("--formats", "csv,coca", "coca"),
        ("--geometry", "circle", "geometry"),
        ("--deadline", "soon", "deadline"),
    ],
)
def test_init_writes_nothing_that_is_not_valid(here, capsys, option, value, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        run("init", *ANSWERS, option, value, capsys=capsys)
    assert not list(here.iterdir())


@pytest.mark.parametrize("platform", PLATFORMS)
def test_init_writes_a_valid_file_for_every_platform(here, capsys, platform):
    run("init", *ANSWERS, "--platform", platform, capsys=capsys)
    assert run("validate", "campaign.yaml", capsys=capsys)[0] == 0


@pytest.mark.parametrize(
    "text", ["no", "1e3", "a: b", "#1", "'x", 'say "x"', "2030-01-01", "[x", "ä ö", "~", "- x", "@x"]
)
def test_texts_are_read_back_as_they_were_given(text):
    campaign = NewCampaign(text, text, [text, "other"], f"{text}@example.com", instructions=text)
    document = yaml.safe_load(campaign_text(campaign, "campaign.yaml"))
    assert document["title"] == document["images"]["folder"] == document["labels"][0]["name"] == text
    assert document["instructions"] == text
    assert document["labeler"] == f"{text}@example.com"


def test_every_option_that_the_file_shows_switched_off_is_valid():
    text = campaign_text(NewCampaign("river", "photos", ["boat"], "me@example.com"), "campaign.yaml")
    switched_on = re.sub(r"^( *)# ", r"\1", text, flags=re.MULTILINE)
    spec = parse_spec(switched_on)
    assert spec.images.strict
    assert spec.labels[0].color == "#e69f00"
    assert spec.deadline is not None
    assert spec.export.split is not None


BAD = "title: lake\nlabels: [a, a]\nfoo: 1\nlabeler: me@example.com\n"


def test_validate_lists_all_faults_of_all_files_with_their_lines(here, capsys):
    run("init", *ANSWERS, capsys=capsys)
    (here / "bad.yaml").write_text(BAD)
    code, out, err = run("validate", "bad.yaml", "campaign.yaml", "missing.yaml", capsys=capsys)
    assert code == 2
    lines = out.splitlines()
    assert lines[0] == "bad.yaml, line 2: labels.1.name: label 'a' is listed twice [LW1201]"
    assert lines[1].startswith("bad.yaml, line 3: unknown key 'foo'")
    assert lines[2:] == [
        "bad.yaml: 'images' is missing [LW1201]",
        "campaign.yaml: valid",
        "missing.yaml: file not found [LW1201]",
    ]
    assert "there is no folder" in err  # a warning: another machine may have the images


def test_validate_prints_json_with_line_numbers(here, capsys):
    (here / "bad.yaml").write_text(BAD)
    code, out, _ = run("validate", "bad.yaml", "--json", capsys=capsys)
    (result,) = json.loads(out)
    assert code == 2
    assert (result["file"], result["valid"], result["title"]) == ("bad.yaml", False, None)
    assert [fault["line"] for fault in result["faults"]] == [2, 3, None]
    assert {fault["code"] for fault in result["faults"]} == {"LW1201"}


@pytest.mark.parametrize("text", ["title: [", "a: b: c", "? [x]: y"])
def test_validate_has_the_line_of_yaml_that_cannot_be_read(here, capsys, text):
    (here / "bad.yaml").write_text(f"# first line\n{text}\n")
    (result,) = json.loads(run("validate", "bad.yaml", "--json", capsys=capsys)[1])
    (fault,) = result["faults"]
    assert fault["message"].startswith(f"bad.yaml, line {fault['line']}: ")


def test_validate_knows_what_a_platform_cannot_show_and_which_options_it_has(here, capsys):
    text = "title: lake\nplatform: remo\nimages: {folder: .}\nlabels: [{name: a, geometry: box, color: '#ffffff'}]\n"
    (here / "lake.yaml").write_text(f"{text}labeler: me@example.com\noptions: {{speed: 3}}\n")
    code, out, _ = run("validate", "lake.yaml", capsys=capsys)
    assert code == 2
    assert re.search(r"^lake\.yaml: label 'a'.*Remo.*\[LW1202\]$", out, re.MULTILINE)
    assert re.search(r"^lake\.yaml: options\.speed: .*\[LW1201\]$", out, re.MULTILINE)


def test_validate_refuses_two_files_of_one_title(here, capsys):
    run("init", *ANSWERS, capsys=capsys)
    run("init", "second.yaml", *ANSWERS, capsys=capsys)
    code, out, _ = run("validate", "campaign.yaml", "second.yaml", capsys=capsys)
    assert code == 2
    assert "second.yaml: title: 'river' is the title of campaign.yaml, too" in out
