"""Commands that set up and check this machine, its ledger and its Prefect server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, PrefectPort, ServicePort


def up(
    prefect_port: PrefectPort = None,
    service_port: ServicePort = None,
    as_json: AsJson = False,
) -> None:
    """Start everything on this machine, until Ctrl+C: Prefect, the labeling service, the deployments, a worker.

    What is configured elsewhere (PREFECT_API_URL, another labeling service) is used and not started.
    """
    from labelwright.local.up import PrefectSetup, Reporter, run_up
    from labelwright.prefect_integration.deployments import POOL, is_worker_online
    from labelwright.prefect_integration.deployments import deploy as deploy_all

    from .output import console

    reporter = Reporter(
        note=console.note,
        waiting=console.waiting,
        ready=lambda addresses, home: console.show_up(addresses, home, as_json),
    )
    run_up(prefect_port, service_port, PrefectSetup(POOL, deploy_all, is_worker_online), reporter)


def doctor(
    deadline: Annotated[float, typer.Option(help="Seconds that each check may take.", min=0.1)] = 60,
    as_json: AsJson = False,
) -> None:
    """Check that everything campaigns need is there and allowed, and say what to do. Changes nothing."""
    from labelwright.doctor.deadlines import anything_hangs
    from labelwright.doctor.report import examine, is_well
    from labelwright.local import interruptions

    from .output import console

    findings = examine(deadline, None if as_json else console.show_finding)
    console.show_findings(findings, as_json)
    if anything_hangs():
        interruptions.wait_for_no_thread()
    if not is_well(findings):
        raise typer.Exit(1)


def prepare_ledger(
    worker: Annotated[str | None, typer.Option(help="Database role of workers, to be granted its rights.")] = None,
    receiver: Annotated[
        str | None, typer.Option(help="Database role of the receiver, to be granted its rights.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create or upgrade the ledger's tables as their owner: other roles then need no right to do so."""
    from labelwright.ledger.roles import prepare
    from labelwright.settings import settings

    from .output.console import show_done

    granted = prepare(settings().ledger_address(), worker, receiver)
    show_done("; ".join(["the ledger's tables are there", *granted]), as_json)


def blocks(as_json: AsJson = False) -> None:
    """Register the block types for credentials, one a platform and store, with the configured Prefect server."""
    from labelwright.prefect_integration.blocks import register_blocks

    from .output.console import show_deployed

    show_deployed(register_blocks(), as_json)


def notify(
    block: Annotated[str, typer.Argument(help="A notification block in Prefect.", metavar="TYPE/NAME")],
    write: Annotated[Path | None, typer.Option(help="Write the automations there, and do nothing else.")] = None,
    as_json: AsJson = False,
) -> None:
    """Notify people of campaigns that stall, are overdue, fail or are finished: Slack, Teams, e-mail."""
    from labelwright.prefect_integration.automations import register_notifications, write_notifications

    from .output.console import show_deployed

    if write is not None:
        write_notifications(block, write)
    else:
        show_deployed(register_notifications(block), as_json)


def deploy(
    file: Annotated[
        Path | None, typer.Option(help="A prefect.yaml of your own. [default: the one that comes with Labelwright]")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Copy the one that comes with Labelwright there, and do nothing else."),
    ] = None,
    pool_type: Annotated[str, typer.Option(help="Type of the work pool, when it is created.")] = "process",
    as_json: AsJson = False,
) -> None:
    """Register one deployment a flow with the configured Prefect server."""
    from labelwright.prefect_integration.deployments import deploy as deploy_all
    from labelwright.prefect_integration.deployments import write_prefect_file

    from .output.console import show_deployed

    if write is not None:
        write_prefect_file(write)
    else:
        show_deployed(deploy_all(file, pool_type), as_json)
