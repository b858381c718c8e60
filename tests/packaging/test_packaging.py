"""What is installed is what stands on the disk."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import labelwright

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_package_list_names_every_package_on_the_disk():
    mapped = {name: f"labelwright.{name}" for name in ("deployments", "flows", "tasks")}
    on_disk = {
        ".".join(path.parent.relative_to(ROOT / "src").parts) for path in (ROOT / "src").rglob("__init__.py")
    } | {
        ".".join((mapped[top], *path.parent.relative_to(ROOT / top).parts))
        for top in mapped
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == on_disk


def test_the_version_has_one_source():
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "labelwright.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == labelwright.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changelog, re.MULTILINE)[1] == labelwright.__version__


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("github-workflows", ".github/workflows/ci.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/fault.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/wish.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("citation-file-format", "CITATION.cff"),
    ],
)
def test_files_for_github_follow_their_schemas(schema, path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(ROOT / path)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_workflow_runs_what_ci_runs():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert job["env"] == {"CI": "true"}


def test_commits_are_checked_by_the_same_ruff_and_mypy():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["entry"].split()[0] for hook in hooks} == {".venv/bin/ruff", "make"}
    assert {hook["language"] for hook in hooks} == {"system"}


def test_the_lock_holds_every_dependency_and_names_no_index():
    lock = (ROOT / "infra" / "requirements.lock").read_text(encoding="utf-8")
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))}
    required = {
        "".join(c for c in name.split(">")[0].split("<")[0].split("[")[0]).strip().lower()
        for name in PROJECT["project"]["dependencies"]
    }
    assert required <= locked
    assert "index-url" not in lock
    assert "://" not in lock


@pytest.mark.parametrize(
    "module", ["labelwright", "labelwright.cli.main", "labelwright.campaigns.spec", "labelwright.domain"]
)
def test_the_core_imports_nothing_heavy(module):
    heavy = ["prefect", "azure", "azureml", "pandas", "pycocotools", "fastapi", "sqlalchemy", "PIL", "numpy"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_help_reads_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['labelwright', '--help']\n"
        "from labelwright.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('prefect', 'azure', 'pandas', 'sqlalchemy', 'fastapi', 'PIL')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip().endswith("[]")
    for command in ("plan", "launch", "sweep", "finish", "export", "run", "demo", "status", "serve"):
        assert command in process.stdout


def test_every_file_of_the_labeling_page_is_installed():
    service = ROOT / "src" / "labelwright" / "service"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["labelwright.service"]
    installed = {path for pattern in patterns for path in service.glob(pattern) if path.is_file()}
    assert {path for path in (service / "page").rglob("*") if path.is_file()} <= installed
