"""What commands import: no platform but the campaign's, and nothing large that they do not use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.platforms.registry import PLATFORMS
from labelwright.security.private_files import private_folder
from labelwright.service import ServiceConfig
from labelwright.service.run import serving
from tests.flows.conftest import make_photos

SERVERS = {"prefect.server", "fastapi", "uvicorn", "labelwright.service", "labelwright.receiver"}
LARGE = {"pandas", "pycocotools", "azureml", "azure.ai", "kubernetes", "dask", *SERVERS}

STATUS = "from labelwright.cli.main import app; app(['status'], standalone_mode=False)"
LAUNCH = """
import contextlib
from labelwright.cli.main import app
from labelwright.prefect_integration import runtime

@contextlib.contextmanager
def imports_only(_server, *flows, waiting):
    runtime.import_flows(*flows)
    raise KeyboardInterrupt
    yield

runtime.prefect_runtime = imports_only
app(['launch', 'campaign.yaml'], standalone_mode=False)
"""
"""A launch with its checks, up to the moment at which its flow would start."""


def imported_by(code: str, folder: Path, **variables: str) -> set[str]:
    """Returns the modules that a new process has imported after that code."""
    program = f"import sys\n{code}\nprint('imported', *sys.modules)"
    environment = {**os.environ, "LABELWRIGHT_HOME": str(folder / "home"), **variables}
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=folder
    )
    assert completed.returncode == 0, completed.stderr
    return set(completed.stdout.rpartition("imported")[2].split())


def large_ones(modules: set[str], large: set[str]) -> set[str]:
    return {module for module in modules if any(f"{module}.".startswith(f"{name}.") for name in large)}


def platforms_in(modules: set[str]) -> set[str]:
    """Returns the platforms of which more than the entry in the registry was imported."""
    return {
        name for name in PLATFORMS if any(module.startswith(f"labelwright.platforms.{name}.") for module in modules)
    }


def test_status_imports_no_platform_no_prefect_and_no_pixels(tmp_path):
    modules = imported_by(STATUS, tmp_path)
    assert "labelwright.ledger" in modules
    assert platforms_in(modules) == set()
    assert large_ones(modules, {*LARGE, "prefect", "azure", "numpy", "PIL", "requests", "httpx"}) == set()


def test_flows_import_no_platform_and_no_server(tmp_path):
    modules = imported_by(
        "import importlib, pkgutil, labelwright.flows as flows\n"
        "for found in pkgutil.iter_modules(flows.__path__): importlib.import_module('labelwright.flows.' + found.name)",
        tmp_path,
    )
    assert {"labelwright.flows.launch_campaign", "labelwright.flows.sweep_campaigns", "prefect"} <= modules
    assert platforms_in(modules) == set()
    assert large_ones(modules, {*LARGE, "azure"}) == set()


def test_a_launch_imports_the_platform_of_its_campaign(tmp_path):
    make_photos(tmp_path / "photos", 1)
    (tmp_path / "campaign.yaml").write_text("title: river\nimages: {folder: photos}\nlabels: [boat]\nlabeler: a@b.c\n")
    with serving(ServiceConfig(data_dir=private_folder(tmp_path / "home") / "service")) as url:
        variables = {"LABELWRIGHT_CONNECTIONS__CAMPAIGN_API__URL": f"{url}/api/v1"}
        modules = imported_by(LAUNCH, tmp_path, **variables)
    assert "labelwright.flows.launch_campaign" in modules
    assert platforms_in(modules) == {"campaign_api"}
    assert large_ones(modules, {*LARGE, "azure"}) == set()


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_imports_no_other_one(tmp_path, name):
    modules = imported_by(f"from labelwright.platforms.registry import PLATFORMS; PLATFORMS[{name!r}].load()", tmp_path)
    assert platforms_in(modules) == {name}
    assert large_ones(modules, {*LARGE, "azure", "prefect", "sqlalchemy"}) == set()
