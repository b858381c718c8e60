"""Which Prefect server a command uses, and what its own temporary one leaves behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from labelwright.prefect_integration import runtime


@pytest.fixture
def nothing_configured(tmp_path, monkeypatch) -> Path:
    """A working folder and a Prefect home without files, and no variable that names an API."""
    for name in [name for name in os.environ if name.upper().startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    (tmp_path / "prefect").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_prefect_is_not_asked_for_its_api_when_nothing_can_name_one(nothing_configured, monkeypatch):
    def ask() -> None:
        raise AssertionError("Prefect was asked")

    monkeypatch.setattr(runtime, "configured_api_url", ask)
    (nothing_configured / "pyproject.toml").write_text("[project]\nname = 'river'\n")
    assert not runtime._is_api_configured()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("prefect/profiles.toml", 'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://prefect:4200/api"\n'),
        ("prefect.toml", '[api]\nurl = "http://prefect:4200/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://prefect:4200/api"\n'),
        (".env", "PREFECT_API_URL=http://prefect:4200/api\n"),
        (".env", "PREFECT_PROFILES_PATH=elsewhere.toml\n"),
    ],
)
def test_prefect_is_asked_for_its_api_when_a_file_may_name_one(nothing_configured, file, text):
    (nothing_configured / file).write_text(text)
    assert runtime._may_name_an_api()


@pytest.mark.parametrize("name", ["PREFECT_API_URL", "prefect_api_url", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"])
def test_prefect_is_asked_for_its_api_when_a_variable_may_name_one(nothing_configured, monkeypatch, name):
    monkeypatch.setenv(name, "team")
    assert runtime._may_name_an_api()


def test_an_api_that_only_a_profile_names_is_found(nothing_configured):
    (nothing_configured / "prefect" / "profiles.toml").write_text(
        'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    code = "from labelwright.prefect_integration.runtime import _is_api_configured; print(_is_api_configured())"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "True"


RUN = """
from labelwright.prefect_integration.runtime import prefect_runtime

with prefect_runtime():
    from prefect import flow, get_run_logger, task
    from prefect.blocks.system import Secret

    @task
    def step():
        get_run_logger().info("a step")

    @flow
    def river():
        step()
        Secret(value="kept").save("kept", overwrite=True)
        return Secret.load("kept").get()

    assert river() == "kept"
"""


def run(code: str, folder: Path, seconds: float) -> Path:
    """Runs it in a process with an empty home in the folder, and answers the database of its temporary server."""
    home = folder / "home"
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_HOME"}
    environment |= {"LABELWRIGHT_HOME": str(home), "HOME": str(folder)}
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=seconds
    )
    assert completed.returncode == 0, completed.stderr
    return home / "prefect" / "prefect.db"


@pytest.mark.slow  # creates Prefect's database: four seconds of CPU
def test_a_temporary_server_records_runs_and_keeps_blocks(nothing_configured):
    """It runs without UI, without schedules and without the types of all blocks."""
    with sqlite3.connect(run(RUN, nothing_configured, 180)) as database:
        assert database.execute("select state_name from flow_run").fetchall() == [("Completed",)]
        assert database.execute("select state_name from task_run").fetchall() == [("Completed",)]
        assert "a step" in [row[0] for row in database.execute("select message from log")]
        assert database.execute("select name from block_document").fetchall() == [("kept",)]
        assert database.execute("select count(*) from block_type").fetchone()[0] < 5


ELSEWHERE_BEFORE = """
import os, time
from pathlib import Path
from labelwright.local.servers import begin_prefect, free_port

server = begin_prefect(Path("elsewhere"), free_port(0), ui=False, block_types=False).wait()
os.environ["PREFECT_API_URL"] = f"{server.url}/api"
from prefect import flow

@flow
def other():
    pass

other()
time.sleep(2)  # until its events are sent
server.stop()
del os.environ["PREFECT_API_URL"]
from prefect.context import refresh_global_settings_context
refresh_global_settings_context()
"""


@pytest.mark.slow  # creates two databases of Prefect's
def test_runs_are_recorded_after_flows_of_ones_own_on_another_server(nothing_configured):
    """As in a notebook. Prefect's thread for events, which records task runs, stays with its first server."""
    with sqlite3.connect(run(ELSEWHERE_BEFORE + RUN, nothing_configured, 240)) as database:
        assert database.execute("select state_name from task_run").fetchall() == [("Completed",)]
