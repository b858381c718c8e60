"""What is installed is what stands on the disk."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

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


def test_package_and_project_have_the_same_version():
    import labelwright

    assert labelwright.__version__ == PROJECT["project"]["version"]


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
