"""The command line: parses and prints. What a command does is imported when it runs, so that help is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from labelwright import __version__
from labelwright.network.proxies import keep_loopback_direct

from .datasets import datasets
from .exit_codes import INTERRUPTED
from .options import AsJson, File, Strict, Title

app = typer.Typer(
    name="labelwright",
    help="From a folder of images to a versioned, labeled dataset, through whichever labeling platform you use.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.add_typer(datasets, name="datasets")


def main() -> None:
    """The program's entry: every failure becomes a sentence and an exit code."""
    keep_loopback_direct()
    try:
        code = app(standalone_mode=False)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the last place where it can be told well
        from .exit_codes import tell

        sys.exit(tell(error))
    if code == INTERRUPTED:  # Typer makes an exit code of Ctrl+C and of SIGTERM, without a word
        from .exit_codes import tell

        sys.exit(tell(KeyboardInterrupt()))
    sys.exit(code if isinstance(code, int) else 0)


@app.callback(invoke_without_command=True)
def _about(
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


@app.command()
def plan(
    file: File,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Show what would be uploaded, created and exported. Does nothing."""
    from labelwright.campaigns.plan import make_plan
    from labelwright.campaigns.spec import load_spec
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import settings

    from .output import campaigns as printing_campaigns
    from .output import console as printing

    spec = load_spec(file)
    with printing.counting("checking images") as count:
        made = make_plan(spec, settings(), CONNECTIONS, count)
    printing_campaigns.show_plan(made, as_json)
    if not made.images or made.refusal or (made.rejects and (strict or spec.images.strict)):
        raise typer.Exit(1)


@app.command()
def launch(file: File, as_json: AsJson = False) -> None:
    """Check and upload the images, create the campaign and activate it. Run again, it does only what is missing."""
    from labelwright.campaigns.spec import load_spec

    spec = load_spec(file)
    _in_prefect(lambda flows: flows.launch_campaign(spec), spec.title, as_json)


@app.command()
def sweep(
    finish: Annotated[bool, typer.Option(help="Also finish and export what is completely labeled.")] = True,
    as_json: AsJson = False,
) -> None:
    """Look once at every open campaign; finish and export what is completely labeled."""
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output import campaigns as printing_campaigns
    from .output import images as printing_images

    states = _in_prefect(
        lambda flows: flows.sweep_campaigns(go_on="here" if finish else "no"), None, as_json, silent=True
    )
    ledger = open_ledger(settings().ledger_address())
    printing_images.show_states(states, ledger, as_json)
    printing_campaigns.show_left_out_of(ledger, states, as_json)


@app.command()
def finish(title: Title, as_json: AsJson = False) -> None:
    """Close a labeled campaign on its platform, after a look at its labels."""
    _in_prefect(lambda flows: flows.finish_campaign(title), title, as_json)


@app.command()
def export(title: Title, as_json: AsJson = False) -> None:
    """Write the files of a labeled campaign and register its datasets."""
    _in_prefect(lambda flows: flows.export_campaign(title), title, as_json)


@app.command()
def failed(
    title: Title,
    resend: Annotated[bool, typer.Option("--resend", help="Put new ones in their place.")] = False,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Go on without them.")] = False,
    as_json: AsJson = False,
) -> None:
    """List images that the platform could not have labeled, with the reasons; send them again, or leave them out."""
    from labelwright.campaigns import interventions
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output import images as printing_images

    if resend and leave_out:
        raise typer.BadParameter("failed images are sent again (--resend) or left out (--leave-out), not both")
    rows = interventions.failed_images(title, CONNECTIONS)
    if rows and (resend or leave_out):
        rows = _in_prefect(
            lambda flows: flows.settle_failed_images(title, send_again=resend, leave_out=leave_out),
            title,
            as_json,
            silent=True,
        )
    done = "sent again" if resend else "left out" if leave_out else ""
    printing_images.show_failed(title, rows, done if rows else "", as_json)


@app.command()
def run(
    source: Annotated[Path, typer.Argument(help="A folder of images, or a campaign's YAML file.", metavar="SOURCE")],
    labels: Annotated[str, typer.Option(help="For a folder: names, separated by commas.", metavar="A,B")] = "",
    labeler: Annotated[str, typer.Option(help="For a folder: the labeler's e-mail address.", metavar="X@Y.Z")] = "",
    title: Annotated[str, typer.Option(help="For a folder: the campaign's title. [default: its name]")] = "",
    geometry: Annotated[str, typer.Option(help="For a folder: box, polygon, image or any.")] = "any",
    instructions: Annotated[str, typer.Option(help="For a folder: what labelers read.")] = "",
    output: Annotated[Path, typer.Option(help="For a folder: where datasets go.")] = Path("datasets"),
    strict: Strict = False,
    wait_hours: Annotated[float, typer.Option(help="How long to wait for the labels.", min=0)] = 24,
    look_every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.2)] = 15,
    keep: Annotated[bool, typer.Option("--keep", help="Leave service and Prefect running at the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """From images to labeled datasets in one go: launch, wait for the labels, finish, export.

    Starts the embedded labeling service and Prefect's server when none is configured. Run again, it goes on.
    """
    from labelwright.campaigns.spec import load_spec

    from .running import run_here, spec_for_folder

    if source.is_dir():
        spec = spec_for_folder(source, title, labels, labeler, geometry, instructions, output, strict)
    else:
        spec = load_spec(source)
    run_here(spec, wait_hours, look_every, keep=keep, as_json=as_json)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where everything of the demo goes.")] = Path("labelwright-demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave service and Prefect UI running, to look around.")] = False,
    as_json: AsJson = False,
) -> None:
    """Label real photographs from beginning to end on this machine, and show what came out."""
    from .running import run_demo

    run_demo(folder.resolve(), keep=keep, as_json=as_json)


@app.command()
def status(
    title: Annotated[str | None, typer.Argument(help="One campaign, in detail.", metavar="[CAMPAIGN]")] = None,
    as_json: AsJson = False,
) -> None:
    """What the ledger knows: every campaign, or one with its effects, rejects and datasets."""
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output import campaigns as printing_campaigns

    ledger = open_ledger(settings().ledger_address())
    if title is None:
        printing_campaigns.show_campaigns(ledger, as_json)
    else:
        printing_campaigns.show_campaign(ledger, title, as_json)


@app.command()
def resume(title: Title, as_json: AsJson = False) -> None:
    """Take up a campaign that needed attention, or whose run broke off, and do what it waits for."""
    from labelwright.campaigns.interventions import take_up
    from labelwright.domain import Work

    spec, due = take_up(title)
    if due is Work.LAUNCH:
        _in_prefect(lambda flows: flows.launch_campaign(spec), title, as_json)
    elif due is Work.FINISH:
        _in_prefect(lambda flows: flows.finish_campaign(title, export=True), title, as_json)
    else:
        status(title, as_json)


@app.command()
def cancel(
    title: Title,
    delete: Annotated[bool, typer.Option("--delete", help="Also take it off its platform.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a campaign up. Nothing more is done with it."""
    from labelwright.campaigns import interventions
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output import console as printing

    printing.show_done(f"'{title}' is cancelled; {interventions.cancel(title, CONNECTIONS, delete=delete)}", as_json)


@app.command()
def reopen(title: Title, as_json: AsJson = False) -> None:
    """Give a labeled campaign back to its labelers. It is finished and exported anew when they are done."""
    from labelwright.campaigns import interventions
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output import console as printing

    interventions.reopen(title, CONNECTIONS)
    printing.show_done(f"'{title}' is with its labelers again", as_json)


@app.command()
def forget(
    title: Title,
    force: Annotated[bool, typer.Option("--force", help="Also one that is under way.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a campaign out of the ledger. Platform and datasets are left as they are."""
    from labelwright.campaigns import interventions

    from .output import console as printing

    interventions.forget(title, force=force)
    printing.show_done(f"'{title}' is forgotten; its platform and its datasets are left as they are", as_json)


@app.command("labeler-key")
def labeler_key(
    title: Title,
    rotate: Annotated[bool, typer.Option("--rotate", help="Have a new one made: the old one ends at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the labeler's key, and the link to the labeling page that holds it. Hand it over on a safe way."""
    from labelwright.campaigns.spec import stored_spec
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output import campaigns as printing_campaigns

    found = settings()
    record = open_ledger(found.ledger_address()).campaigns.get(title)
    spec = stored_spec(record.spec)
    if rotate:
        from .running import rotate_labeler_key

        rotate_labeler_key(spec)
    printing_campaigns.show_labeler_key(found, spec, record.remote_id, as_json)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8080,
    data_dir: Annotated[Path | None, typer.Option(help="[default: service in the home folder]")] = None,
) -> None:
    """Run the embedded labeling service."""
    from .running import serve_here

    serve_here(host, port, data_dir)


@app.command()
def backup(
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    folder: Annotated[Path, typer.Argument(help="An empty folder, or that of an earlier backup of it.")],
    connection: Annotated[str, typer.Option(help="Name of the credentials.")] = "geti",
    verify: Annotated[bool, typer.Option(help="Compare all of it with the server at the end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Save a project of Sonoma Creek or Geti into a folder. Run again, it does only what is missing."""
    from .output import console as printing

    place = str(folder.resolve())
    found = _in_prefect(lambda flows: flows.backup_project(project, place, connection, verify), None, as_json)
    printing.show_project_copy(found, as_json)


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A backup; or a folder of geti-sdk, or the older tool.", exists=True)],
    name: Annotated[str | None, typer.Option(help="Of the new project. [default: the old one's]")] = None,
    connection: Annotated[str, typer.Option(help="Name of the credentials.")] = "geti",
    auto_train: Annotated[
        bool | None, typer.Option(help="Whether it trains by itself then. [default: as in the backup]")
    ] = None,
    verify: Annotated[bool, typer.Option(help="Compare all of it with the backup at the end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make a new project of a backup, on any Sonoma Creek or Geti. Run again, it does only what is missing."""
    from .output import console as printing

    place = str(folder.resolve())
    found = _in_prefect(lambda flows: flows.restore_project(place, name, connection, auto_train, verify), None, as_json)
    printing.show_project_copy(found, as_json)


@app.command()
def up(
    prefect_port: Annotated[int | None, typer.Option(help="[default: 4200 when it is free]", min=1, max=65535)] = None,
    service_port: Annotated[
        int | None, typer.Option(help="[default: the one it had before, or 8080]", min=1, max=65535)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start everything on this machine, until Ctrl+C: Prefect, the labeling service, the deployments, a worker.

    What is configured elsewhere (PREFECT_API_URL, another labeling service) is used and not started.
    """
    from labelwright.local.up import run_up

    run_up(prefect_port, service_port, as_json=as_json)


@app.command()
def receive(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one. [default: 8090]", min=0, max=65535)] = None,
) -> None:
    """Take platforms' webhooks and Azure Event Grid's notes about new blobs, and tell Prefect of them."""
    from .running import receive_here

    receive_here(host, port)


@app.command()
def doctor(
    deadline: Annotated[float, typer.Option(help="Seconds that each check may take.", min=0.1)] = 60,
    as_json: AsJson = False,
) -> None:
    """Look whether everything that campaigns need is there and allowed, and say what to do. Changes nothing."""
    from labelwright.doctor.deadlines import anything_hangs
    from labelwright.doctor.report import examine, is_well
    from labelwright.local import interruptions

    from .output import console as printing

    found = examine(deadline, None if as_json else printing.show_finding)
    printing.show_findings(found, as_json)
    if anything_hangs():
        interruptions.wait_for_no_thread()
    if not is_well(found):
        raise typer.Exit(1)


@app.command("prepare-ledger")
def prepare_ledger(
    worker: Annotated[str | None, typer.Option(help="Database role of workers, to be granted its rights.")] = None,
    receiver: Annotated[str | None, typer.Option(help="Database role of the receiver, likewise.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the ledger's tables, or bring them to this version, as their owner: others then need no right to do so."""
    from labelwright.ledger.roles import prepare
    from labelwright.settings import settings

    from .output import console as printing

    granted = prepare(settings().ledger_address(), worker, receiver)
    printing.show_done("; ".join(["the ledger's tables are there", *granted]), as_json)


@app.command()
def blocks(as_json: AsJson = False) -> None:
    """Register the blocks that hold credentials, one a platform and store, with the configured Prefect server."""
    from labelwright.prefect_integration.blocks import register_blocks

    from .output import console as printing

    printing.show_deployed(register_blocks(), as_json)


@app.command()
def notify(
    block: Annotated[str, typer.Argument(help="A notification block in Prefect.", metavar="TYPE/NAME")],
    write: Annotated[Path | None, typer.Option(help="Write the automations there, and do nothing else.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have people told of campaigns that stall, are overdue, fail or are finished: Slack, Teams, e-mail."""
    from labelwright.prefect_integration.automations import register_notifications, write_notifications

    from .output import console as printing

    if write is not None:
        write_notifications(block, write)
    else:
        printing.show_deployed(register_notifications(block), as_json)


@app.command()
def deploy(
    file: Annotated[
        Path | None, typer.Option(help="A prefect.yaml of your own. [default: the one that comes with Labelwright]")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Copy the one that comes with Labelwright there, and do nothing else."),
    ] = None,
    pool_type: Annotated[str, typer.Option(help="Of the work pool, when it is made.")] = "process",
    as_json: AsJson = False,
) -> None:
    """Register one deployment a flow with the Prefect server that is configured."""
    from labelwright.prefect_integration.deployments import deploy as register
    from labelwright.prefect_integration.deployments import write_prefect_file

    from .output import console as printing

    if write is not None:
        write_prefect_file(write)
    else:
        printing.show_deployed(register(file, pool_type), as_json)


def _in_prefect(work: Callable[[Any], Any], title: str | None, as_json: bool, *, silent: bool = False) -> Any:
    """Run a flow where Prefect is configured, or on a server of our own for as long as it takes."""
    from .output import campaigns as printing_campaigns
    from .output import console as printing
    from .running import prefect_runtime

    with prefect_runtime() as flows, printing.progress():
        answer = work(flows)
    if not silent and title is not None:
        from labelwright.ledger import open_ledger
        from labelwright.settings import settings

        printing_campaigns.show_campaign(open_ledger(settings().ledger_address()), title, as_json)
    return answer
