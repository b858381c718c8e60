"""The command line: its commands and its entry. What a command does is imported when it runs, so that help is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from labelwright import __version__
from labelwright.local.interruptions import INTERRUPTED
from labelwright.network.proxies import keep_loopback_direct

from . import campaigns, changes, demo, machine, projects, receive, run, serve
from .datasets import datasets

app = typer.Typer(
    name="labelwright",
    help="From a folder of images to a versioned, labeled dataset, through whichever labeling platform you use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

app.command()(campaigns.plan)
app.command()(campaigns.launch)
app.command()(campaigns.sweep)
app.command()(campaigns.finish)
app.command()(campaigns.export)
app.command()(campaigns.deliver)
app.command()(campaigns.failed)
app.command()(run.run)
app.command()(demo.demo)
app.command()(campaigns.status)
app.command()(campaigns.resume)
app.command()(campaigns.cancel)
app.command()(campaigns.reopen)
app.command()(campaigns.forget)
app.command()(changes.change)
app.command()(changes.adopt)
app.command("labeler-key")(campaigns.labeler_key)
app.command()(serve.serve)
app.command()(projects.backup)
app.command()(projects.restore)
app.command()(machine.up)
app.command()(receive.receive)
app.command()(machine.doctor)
app.command("prepare-ledger")(machine.prepare_ledger)
app.command()(machine.blocks)
app.command()(machine.notify)
app.command()(machine.deploy)
app.add_typer(datasets, name="datasets")


def main() -> None:
    """Runs the command line and exits. A failure is printed as one sentence and becomes an exit code."""
    keep_loopback_direct()
    try:
        code = app(standalone_mode=False)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - every failure gets a sentence and an exit code
        from .exit_codes import print_error

        sys.exit(print_error(error))
    if code == INTERRUPTED:  # Typer turns Ctrl+C and SIGTERM into this code and prints nothing
        from .exit_codes import print_error

        sys.exit(print_error(KeyboardInterrupt()))
    sys.exit(code if isinstance(code, int) else 0)


@app.callback(invoke_without_command=True)
def _global_options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    home: Annotated[
        Path | None, typer.Option("--home", help="Ledger, keys and files under way. [default: ~/.labelwright]")
    ] = None,
) -> None:
    if version:
        print(f"labelwright {__version__}")  # noqa: T201
        raise typer.Exit
    if home is not None:
        os.environ["LABELWRIGHT_HOME"] = str(home.resolve())
