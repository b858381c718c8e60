"""Commands for campaigns: plan, launch, check, decide, finish, export and deliver."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, File, Strict, Title

if TYPE_CHECKING:
    from labelwright.campaigns.spec import CampaignSpec


def plan(file: File, strict: Strict = False, as_json: AsJson = False) -> None:
    """Show what would be uploaded, created and exported, and whether the platform can be reached. Changes nothing."""
    from contextlib import nullcontext

    from labelwright.campaigns.plan import add_access, make_plan
    from labelwright.campaigns.spec import load_spec
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import settings

    from .output import console
    from .output.plans import show_plan

    spec = load_spec(file)
    with console.counting("checking images") as count:
        result = make_plan(spec, settings(), CONNECTIONS, count)
    with console.waiting(f"asking {spec.platform}") if console.err.is_terminal else nullcontext():
        add_access(result, spec, settings(), CONNECTIONS)
    show_plan(result, as_json)
    if not result.images or result.refusal or (result.rejects and (strict or spec.images.strict)):
        raise typer.Exit(1)


def launch(file: File, as_json: AsJson = False) -> None:
    """Check and upload the images, create the campaign and activate it. Run again, it does only what is missing."""
    from labelwright.campaigns.spec import load_spec

    from .in_prefect import show_result
    from .preflight import check_campaign

    spec = load_spec(file)
    check_campaign(spec)
    _launch(spec)
    show_result(spec.title, as_json)


def sweep(
    finish: Annotated[bool, typer.Option(help="Also finish and export what is completely labeled.")] = True,
    as_json: AsJson = False,
) -> None:
    """Check all open campaigns now; finish and export those that are completely labeled.

    Ends with 1 when a campaign needs attention, else with 4 when one could not be checked.
    """
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .in_prefect import in_prefect
    from .output import campaigns, sweeps

    ledger = open_ledger(settings().ledger_address())

    def start_sweep() -> sweeps.Report:
        from labelwright.flows.sweep_campaigns import sweep_campaigns
        from labelwright.tasks.sweep.overview import SweepDenied

        try:
            report = sweep_campaigns(go_on="here" if finish else "no")
        except SweepDenied as denied:
            report = denied.report
        return sweeps.Report(report, report.failures, report.refused)

    report = in_prefect("sweep_campaigns", start_sweep)
    rows = sweeps.rows_of(report, ledger)
    sweeps.show_rows(rows, as_json)
    campaigns.show_left_out_of(ledger, report.states, as_json)
    code = sweeps.exit_code_of(rows)
    if code:
        raise typer.Exit(code)


def finish(title: Title, as_json: AsJson = False) -> None:
    """Check the labels of a labeled campaign and close it on its platform."""
    from .in_prefect import show_result
    from .preflight import check_launched

    _finish(title, check_launched(title))
    show_result(title, as_json)


def export(title: Title, as_json: AsJson = False) -> None:
    """Write the files of a labeled campaign and register its datasets."""
    from .in_prefect import in_prefect, show_result
    from .preflight import check_launched

    campaign = check_launched(title)

    def start_export() -> None:
        from labelwright.flows.export_campaign import export_campaign

        export_campaign(title)

    in_prefect("export_campaign", start_export, campaign)
    show_result(title, as_json)


def deliver(
    title: Title,
    accept_partial: Annotated[
        bool, typer.Option("--accept-partial", help="Deliver what is ready, and list every other image.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register what is labeled and valid now as a version of the datasets, also while labelers are at work."""
    from .in_prefect import in_prefect, show_result
    from .preflight import check_launched

    campaign = check_launched(title)

    def start_delivery() -> None:
        from labelwright.flows.deliver_campaign import deliver_campaign

        deliver_campaign(title, accept_partial=accept_partial)

    in_prefect("deliver_campaign", start_delivery, campaign)
    show_result(title, as_json)


def failed(
    title: Title,
    resend: Annotated[bool, typer.Option("--resend", help="Upload the failed images again.")] = False,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Continue without the failed images.")] = False,
    as_json: AsJson = False,
) -> None:
    """List images that failed on the platform, with the reasons; send them again, or leave them out."""
    from labelwright.campaigns import interventions
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .in_prefect import in_prefect
    from .output.images import show_failed

    if resend and leave_out:
        raise typer.BadParameter("failed images are sent again (--resend) or left out (--leave-out), not both")
    rows = interventions.failed_images(title, CONNECTIONS)
    if not rows or not (resend or leave_out):
        show_failed(title, rows, "", as_json)
        return

    def start_settling() -> list[dict[str, str]]:
        from labelwright.flows.settle_failed_images import settle_failed_images

        return settle_failed_images(title, send_again=resend, leave_out=leave_out)

    rows = in_prefect("settle_failed_images", start_settling)
    show_failed(title, rows, ("sent again" if resend else "left out") if rows else "", as_json)


def status(
    title: Annotated[str | None, typer.Argument(help="One campaign, in detail.", metavar="[CAMPAIGN]")] = None,
    as_json: AsJson = False,
) -> None:
    """Show campaign status: every campaign, or one with its steps, rejected files and datasets."""
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output import campaigns

    ledger = open_ledger(settings().ledger_address())
    if title is None:
        campaigns.show_campaigns(ledger, as_json)
    else:
        campaigns.show_campaign(ledger, title, as_json)


def resume(title: Title, as_json: AsJson = False) -> None:
    """Retry a blocked campaign, or one whose run was interrupted."""
    from labelwright.campaigns.interventions import retry_blocked
    from labelwright.domain import Work

    from .in_prefect import show_result
    from .preflight import NOTHING_TO_RESUME, check_launched

    check_launched(title, NOTHING_TO_RESUME)
    spec, work = retry_blocked(title)
    if work is Work.LAUNCH:
        _launch(spec)
    elif work is Work.FINISH:
        _finish(title, spec, export=True)
    show_result(title, as_json)


def pause(title: Title, as_json: AsJson = False) -> None:
    """Start no run for a campaign until it is resumed. Labelers at work are not affected."""
    from labelwright.campaigns import interventions

    from .output.console import show_done

    show_done(interventions.pause(title), as_json)


def cancel(
    title: Title,
    delete: Annotated[bool, typer.Option("--delete", help="Also delete the campaign on its platform.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a campaign. Nothing more is done with it."""
    from labelwright.campaigns import interventions
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output.console import show_done

    show_done(f"'{title}' is cancelled; {interventions.cancel(title, CONNECTIONS, delete=delete)}", as_json)


def reopen(
    title: Title,
    images: Annotated[
        str | None, typer.Option(help="Only these: a text file with one image name a line, or - for standard input.")
    ] = None,
    wrong: Annotated[
        bool, typer.Option("--wrong", help="Only images with shapes that a dataset must not have.")
    ] = False,
    reason: Annotated[str, typer.Option(help="What its labelers are to correct; they see it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Return a campaign, or some of its images, to its labelers. It is finished and exported again afterwards."""
    from labelwright.campaigns import interventions
    from labelwright.campaigns.reopening import LONGEST_REASON, Selection
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output.console import show_done

    if images is not None and wrong:
        raise typer.BadParameter("name the images (--images), or have them found (--wrong), not both")
    if len(reason) > LONGEST_REASON:
        raise typer.BadParameter(f"--reason has {len(reason):,} characters: at most {LONGEST_REASON:,} are sent")
    names = None if images is None else _read_names(images)
    show_done(interventions.reopen(title, CONNECTIONS, Selection(names, wrong, reason.strip())), as_json)


def _read_names(file: str) -> tuple[str, ...]:
    """Returns the lines of a text file, without empty ones."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise typer.BadParameter(f"--images {file}: {reason}") from None
    return tuple(dict.fromkeys(line.rstrip("\r") for line in text.split("\n") if line.strip()))


def forget(
    title: Title,
    force: Annotated[bool, typer.Option("--force", help="Also of a campaign that is not finished.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete Labelwright's record of a campaign; platform and datasets are not touched."""
    from labelwright.campaigns import interventions

    from .output.console import show_done

    interventions.forget(title, force=force)
    show_done(f"the record of '{title}' is deleted; its platform and its datasets were not touched", as_json)


def labeler_key(
    title: Title,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Create a new key; the old one stops working at once.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the labeler's key, and the link to the labeling page that contains it. Send it by a safe channel."""
    from labelwright.campaigns.interventions import rotate_labeler_key
    from labelwright.campaigns.kept_keys import KeptKeys
    from labelwright.campaigns.spec import stored_spec
    from labelwright.ledger import open_ledger
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import settings

    from .output.labelers import show_labeler_key

    ledger = open_ledger(settings().ledger_address())
    record = ledger.campaigns.get(title)
    spec, keys = stored_spec(record.spec), KeptKeys(settings(), ledger, CONNECTIONS)
    if rotate:
        rotate_labeler_key(spec, keys, CONNECTIONS)
    show_labeler_key(settings(), spec, keys, record.remote_id, as_json)
    specs = [stored_spec(campaign.spec) for campaign in ledger.campaigns.all()]
    keys.share((campaign.connection_name, campaign.labeler) for campaign in specs)


def _launch(spec: CampaignSpec) -> None:
    from .in_prefect import in_prefect

    def start_launch() -> None:
        from labelwright.flows.launch_campaign import launch_campaign

        launch_campaign(spec)

    in_prefect("launch_campaign", start_launch, spec)


def _finish(title: str, campaign: CampaignSpec, export: bool = False) -> None:
    from .in_prefect import in_prefect

    def start_finish() -> None:
        from labelwright.flows.finish_campaign import finish_campaign

        finish_campaign(title, export=export)

    in_prefect("finish_campaign", start_finish, campaign)
