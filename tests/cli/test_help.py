"""Help, completion and the options that all commands share."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
import typer.main

from labelwright.cli.main import COMMANDS, app

ROOT_COMMAND = typer.main.get_command(app)
DATASETS = [("datasets", name) for name in ROOT_COMMAND.commands["datasets"].commands]
ALL = [*((name,) for name in ROOT_COMMAND.commands), *DATASETS]


def labelwright(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labelwright", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", **variables},
        timeout=300,
    )


PROGRAM = "import sys; sys.argv[0] = 'labelwright'; from labelwright.__main__ import main; main()"
"""The command, by the name under which it is installed."""


def run_program(program: str, *arguments: str, **variables: str) -> str:
    """Returns what a Python program prints."""
    unset = ("NO_COLOR", "FORCE_COLOR", "PREFECT_API_URL")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in unset and not name.startswith("PREFECT_LOGGING")
    }
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={**environment, **variables},
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def help_of(*command: str, capsys) -> str:
    assert app([*command, "-h"], standalone_mode=False) == 0
    return capsys.readouterr().out


def test_the_help_lists_every_command_under_the_heading_of_its_group(capsys):
    text = help_of(capsys=capsys)
    positions = [text.index(f"\n{group}:\n") for group in COMMANDS]
    assert positions == sorted(positions)
    for group, commands in COMMANDS.items():
        section = text.partition(f"\n{group}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  ([a-z-]+)", section, re.MULTILINE) == [name for name, _, _ in commands]
    assert "\nDatasets:\n  datasets" in text


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_has_help_by_both_options(command, capsys):
    short = help_of(*command, capsys=capsys)
    app([*command, "--help"], standalone_mode=False)
    assert capsys.readouterr().out == short
    assert short.startswith("Usage: ")
    assert "-h, --help" in short


@pytest.mark.parametrize("command", [command for command in ALL if command != ("datasets",)], ids=" ".join)
def test_the_help_of_a_command_has_an_example_that_it_understands(command, capsys, tmp_path, monkeypatch):
    words = " ".join(help_of(*command, capsys=capsys).split())
    example = words.partition("Example: ")[2]
    program, *arguments = shlex.split(example)
    assert program == "labelwright"
    assert tuple(arguments[: len(command)]) == command
    found = ROOT_COMMAND
    for name in command:
        found = found.commands[name]
    (tmp_path / "backups").mkdir()  # the one example with a folder that has to exist
    monkeypatch.chdir(tmp_path)
    with found.make_context(command[-1], arguments[len(command) :]):
        pass


def test_a_wrong_command_is_refused_with_a_code_and_the_way_to_the_help():
    ended = labelwright("lanch")
    assert ended.returncode == 2
    assert "Did you mean 'launch'" in ended.stderr
    assert ended.stderr.endswith("--help [LW1001]\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_a_script_that_completes_commands(shell):
    script = run_program(PROGRAM, "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_LABELWRIGHT_COMPLETE" in script


def test_completion_is_installed_for_a_shell(tmp_path):
    run_program(
        PROGRAM, "--install-completion", "bash", HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    (script,) = tmp_path.glob(".bash_completions/*.sh")
    assert "_LABELWRIGHT_COMPLETE" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


def test_commands_and_options_are_completed():
    variables = {"_LABELWRIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "labelwright dat", "COMP_CWORD": "1"}
    assert run_program(PROGRAM, **variables).split() == ["datasets"]
    variables = {**variables, "COMP_WORDS": "labelwright status --j", "COMP_CWORD": "2"}
    assert run_program(PROGRAM, **variables).split() == ["--json"]


LOG = """
import sys
from labelwright.cli.main import app
app({arguments!r}, standalone_mode=False)
from labelwright.prefect_integration.runtime import prepare_prefect
prepare_prefect()
sys.stderr = sys.stdout
from prefect.logging import get_logger
from prefect.logging.configuration import setup_logging
setup_logging()
get_logger("prefect.task_runs").info("six images are labeled")
"""


@pytest.mark.parametrize(("option", "shown"), [([], False), (["--verbose"], True), (["-v"], True)])
def test_logs_are_printed_with_verbose_only(option, shown, tmp_path):
    output = run_program(LOG.format(arguments=[*option, "--home", str(tmp_path), "status", "--json"]))
    assert output.startswith("[]")
    assert ("six images are labeled" in output) is shown


COLOR = """
import os
from labelwright.cli.main import app
app({arguments!r}, standalone_mode=False)
from labelwright.cli.output import console
console.out.print("[red]red[/red]")
print(os.environ.get("PREFECT_LOGGING_COLORS"))
"""


@pytest.mark.parametrize(
    ("option", "variables", "colored"),
    [([], {}, True), (["--no-color"], {}, False), ([], {"NO_COLOR": "1"}, False)],
)
def test_colors_can_be_switched_off(option, variables, colored):
    program = COLOR.format(arguments=[*option, "explain", "LW2002", "--json"])
    output = run_program(program, TERM="xterm-256color", FORCE_COLOR="1", **variables)
    assert ("\x1b[31m" in output) is colored
    assert output.endswith("None\n" if colored else "false\n")
