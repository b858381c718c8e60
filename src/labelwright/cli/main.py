"""The command line: its commands and its entry. What a command does is imported when it runs, so that help is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from labelwright import __version__
from labelwright.local.interruptions import INTERRUPTED
from labelwright.network.proxies import keep_loopback_direct

from . import campaigns, changes, demo, files, machine, notes, projects, receive, reference, run, serve
from .datasets import datasets
from .grouped_help import HELP_OPTIONS, GroupedCommands
from .prefect_pages import update_prefect_pages

app = typer.Typer(
    name="labelwright",
    help="From a folder of images to a versioned, labeled dataset, through whichever labeling platform you use.",
    epilog="The help of a command: labelwright plan -h",
    cls=GroupedCommands,
    context_settings=HELP_OPTIONS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

COMMANDS: dict[str, list[tuple[str, Callable[..., None], str]]] = {
    "Begin": [
        ("init", files.init, "labelwright init river.yaml --images photos --labels boat --labeler me@example.com"),
        ("validate", files.validate, "labelwright validate river.yaml"),
        ("run", run.run, "labelwright run photos --labels boat,buoy --labeler me@example.com"),
        ("demo", demo.demo, "labelwright demo --keep"),
    ],
    "Campaigns": [
        ("plan", campaigns.plan, "labelwright plan river.yaml"),
        ("launch", campaigns.launch, "labelwright launch river.yaml"),
        ("status", campaigns.status, "labelwright status river --json"),
        ("sweep", campaigns.sweep, "labelwright sweep"),
        ("finish", campaigns.finish, "labelwright finish river"),
        ("export", campaigns.export, "labelwright export river"),
        ("deliver", campaigns.deliver, "labelwright deliver river --accept-partial"),
    ],
    "Decisions": [
        ("change", changes.change, "labelwright change river river.yaml"),
        ("reopen", campaigns.reopen, "labelwright reopen river --wrong --reason 'Draw the masts, too'"),
        ("failed", campaigns.failed, "labelwright failed river --resend"),
        ("notes", notes.notes, "labelwright notes river --answer 3 --text 'Yes, that is a buoy'"),
        ("pause", campaigns.pause, "labelwright pause river"),
        ("resume", campaigns.resume, "labelwright resume river"),
        ("cancel", campaigns.cancel, "labelwright cancel river --delete"),
        ("forget", campaigns.forget, "labelwright forget river"),
        ("adopt", changes.adopt, "labelwright adopt river --file river.yaml"),
        ("labeler-key", campaigns.labeler_key, "labelwright labeler-key river"),
    ],
    "This machine and its servers": [
        ("up", machine.up, "labelwright up"),
        ("serve", serve.serve, "labelwright serve --port 8080"),
        ("receive", receive.receive, "labelwright receive --port 8090"),
        ("doctor", machine.doctor, "labelwright doctor --json"),
        ("prepare-ledger", machine.prepare_ledger, "labelwright prepare-ledger --worker labelwright_worker"),
    ],
    "Prefect": [
        ("deploy", machine.deploy, "labelwright deploy"),
        ("blocks", machine.blocks, "labelwright blocks"),
        ("notify", machine.notify, "labelwright notify slack-webhook/my-team"),
    ],
    "Projects of Geti": [
        ("backup", projects.backup, "labelwright backup my-project backups"),
        ("restore", projects.restore, "labelwright restore backups --name copy"),
    ],
    "Reference": [
        ("explain", reference.explain, "labelwright explain LW2002"),
        ("schema", reference.schema, "labelwright schema status"),
    ],
}
"""All commands by the group under which the help lists them: name, function, and an example for its help."""

for _group, _commands in COMMANDS.items():
    if _group == "This machine and its servers":
        app.add_typer(datasets, name="datasets", rich_help_panel="Datasets")
    for _name, _function, _example in _commands:
        app.command(_name, rich_help_panel=_group, epilog=f"Example: {_example}")(_function)

LAST_WITHOUT_SIGNAL = 4
"""Exit codes above this one belong to signals and closed output: nothing more is done then."""


def main() -> None:
    """Runs the command line and exits. A failure is printed as one sentence and becomes an exit code."""
    keep_loopback_direct()
    try:
        code = app(standalone_mode=False)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - every failure gets a sentence and an exit code
        from .exit_codes import print_error

        code = print_error(error)
        if code <= LAST_WITHOUT_SIGNAL:
            update_prefect_pages()
        sys.exit(code)
    if code == INTERRUPTED:  # Typer turns Ctrl+C and SIGTERM into this code and prints nothing
        from .exit_codes import print_error

        sys.exit(print_error(KeyboardInterrupt()))
    update_prefect_pages()
    sys.exit(code if isinstance(code, int) else 0)


@app.callback(invoke_without_command=True)
def _global_options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    home: Annotated[
        Path | None, typer.Option("--home", help="Ledger, keys and files under way. [default: ~/.labelwright]")
    ] = None,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Print no colors, as with the environment variable NO_COLOR.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the logs of flows and tasks on standard error.")
    ] = False,
) -> None:
    if no_color:
        os.environ["NO_COLOR"] = "1"
    if os.environ.get("NO_COLOR"):
        os.environ["PREFECT_LOGGING_COLORS"] = "false"
    if verbose:
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"
    if version:
        print(f"labelwright {__version__}")  # noqa: T201
        raise typer.Exit
    if home is not None:
        os.environ["LABELWRIGHT_HOME"] = str(home.resolve())
