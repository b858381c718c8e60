"""The README is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.campaigns.spec import parse_spec
from labelwright.platforms.registry import capabilities
from labelwright.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}


PLAIN_WORDS = {
    "Platform": "campaigns, progress, labels",
    "KeepsImageSets": "image sets shared by campaigns",
    "TakesImages": "images sent into the campaign",
    "DeletesCampaigns": "campaigns can be deleted",
    "TakesPredictions": "predictions for labelers to correct",
    "BillsTasks": "billed per image, with a limit",
    "ResendsImages": "failed images can be sent again",
    "FindsDeletedImages": "deleted images are noticed",
    "ListsLabels": "deleted and renamed labels are noticed",
    "WithdrawsImages": "images can be taken out before labelers begin",
    "RecallsImages": "single images come back after the end",
    "TellsReviews": "results of the customer's review",
    "OpensWebhooks": "signed webhooks",
    "ShowsCampaigns": "a web page per campaign",
    "FinishesCampaigns": "campaigns can be closed",
    "ReopensCampaigns": "completed campaigns can be reopened",
    "RotatesLabelerKeys": "labeler keys can be replaced",
    "RecoversAccess": "a lost labeler key can be recovered",
    "ServesImages": "image URLs for datasets",
}
TITLES = {"campaign_api": "embedded", "remo": "Remo", "cvat": "CVAT", "scale": "Scale AI", "geti": "Geti"}


def table() -> str:
    """The README's platform table, computed from the adapters' classes."""
    able = capabilities()
    names = list(able)
    lines = ["| | " + " | ".join(TITLES[name] for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for protocol in next(iter(able.values())):
        marks = ["yes" if able[name][protocol] else "" for name in names]
        lines.append(f"| {PLAIN_WORDS[protocol]} | " + " | ".join(marks) + " |")
    return "\n".join(lines)


def test_the_capability_table_says_what_the_adapters_can():
    shown = re.search(r"<!-- capabilities[^>]*-->\n(.*?)\n<!-- end -->", README, re.DOTALL)
    assert shown is not None
    assert shown[1] == table()


def test_the_campaign_file_in_the_readme_is_one():
    example = re.search(r"```yaml\n(title:.*?)```", README, re.DOTALL)
    assert example is not None
    assert parse_spec(example[1]).title == "river-2026"


def test_the_readme_fits_on_a_few_screens():
    assert len(README.splitlines()) <= 150


def test_every_link_in_the_readme_leads_to_a_file():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 10
    assert not [link for link in links if not (ROOT / link).exists()]


def test_every_document_is_reached_from_the_readme():
    assert not [name for name in DOCS if f"(docs/{name})" not in README]


def test_every_setting_in_the_configuration_table_exists():
    names = set(re.findall(r"LABELWRIGHT_([A-Z_]+)", README + DOCS["configuration.md"])) - {"HOME"}
    setting_names = {name.upper() for name in Settings.model_fields}
    assert names
    assert not [name for name in names if name.split("__")[0] not in setting_names]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"labelwright ([a-z][a-z-]+)", README))))
def test_every_command_in_the_readme_exists(command):
    completed = subprocess.run([sys.executable, "-m", "labelwright", command, "--help"], capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr


def test_every_make_target_in_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_program_of_the_tests_that_the_documents_name_exists():
    """Among them the benchmarks that gave the README's figures."""
    programs = {name for text in (README, *DOCS.values()) for name in re.findall(r"\btests/[\w/]+\.py", text)}
    assert programs >= {"tests/benchmarks/bench_scale_ai.py", "tests/benchmarks/bench_scale.py"}
    assert not [name for name in sorted(programs) if not (ROOT / name).exists()]
