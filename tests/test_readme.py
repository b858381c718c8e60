"""The README is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.campaigns.spec import parse_spec
from labelwright.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}


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


def test_every_document_is_reached_from_the_readme_or_the_contents_of_the_site():
    contents = (ROOT / "infra" / "docs" / "pages.toml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w/-]+(?=>?\")", contents))
    assert not [name for name in DOCS if f"(docs/{name})" not in README and name.removesuffix(".md") not in listed]


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
