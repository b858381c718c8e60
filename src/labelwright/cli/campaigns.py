"""Commands for campaigns: plan, launch, check, decide, finish, export and deliver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, File, Strict, Title

if TYPE_CHECKING:
    from labelwright.campaigns.spec import CampaignSpec


def plan(file: File, strict: Strict = False, as_json: AsJson = False) -> None:
    """Show what would be uploaded, created and exported. Does nothing."""
    from labelwright.campaigns.plan import make_plan
    from labelwright.campaigns.spec import load_spec
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import settings

    from .output import console
    from .output.plans import show_plan

    spec = load_spec(file)
    with console.counting("checking images") as count:
        result = make_plan(spec, settings(), CONNECTIONS, count)
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
    """Check all open campaigns now; finish and export those that are completely labeled."""
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .in_prefect import in_prefect
    from .output import campaigns, images

    ledger = open_ledger(settings().ledger_address())

    def start_sweep() -> dict[str, str]:
        from labelwright.flows.sweep_campaigns import sweep_campaigns

        return sweep_campaigns(go_on="here" if finish else "no")

    states = in_prefect(start_sweep)
    images.show_states(states, ledger, as_json)
    campaigns.show_left_out_of(ledger, states, as_json)


def finish(title: Title, as_json: AsJson = False) -> None:
    """Check the labels of a labeled campaign and close it on its platform."""
    from .in_prefect import show_result
    from .preflight import check_launched

    check_launched(title)
    _finish(title)
    show_result(title, as_json)


def export(title: Title, as_json: AsJson = False) -> None:
    """Write the files of a labeled campaign and register its datasets."""
    from .in_prefect import in_prefect, show_result
    from .preflight import check_launched

    check_launched(title)

    def start_export() -> None:
        from labelwright.flows.export_campaign import export_campaign

        export_campaign(title)

    in_prefect(start_export)
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

    check_launched(title)

    def start_delivery() -> None:
        from labelwright.flows.deliver_campaign import deliver_campaign

        deliver_campaign(title, accept_partial=accept_partial)

    in_prefect(start_delivery)
    show_result(title, as_json)


def failed(
    title: Title,
    resend: Annotated[bool, typer.Option("--resend", help="Upload them again in place of the failed ones.")] = False,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Go on without them.")] = False,
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

    rows = in_prefect(start_settling)
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
    from .preflight import check_launched

    check_launched(title)
    spec, work = retry_blocked(title)
    if work is Work.LAUNCH:
        _launch(spec)
    elif work is Work.FINISH:
        _finish(title, export=True)
    show_result(title, as_json)


def cancel(
    title: Title,
    delete: Annotated[bool, typer.Option("--delete", help="Also delete it on its platform.")] = False,
    as_json: AsJson = False,
) -> None:
    """Cancel a campaign. Nothing more is done with it."""
    from labelwright.campaigns import interventions
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output.console import show_done

    show_done(f"'{title}' is cancelled; {interventions.cancel(title, CONNECTIONS, delete=delete)}", as_json)


def reopen(title: Title, as_json: AsJson = False) -> None:
    """Return a labeled campaign to its labelers. It is finished and exported again when they are done."""
    from labelwright.campaigns import interventions
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output.console import show_done

    interventions.reopen(title, CONNECTIONS)
    show_done(f"'{title}' is reopened: its labelers can go on", as_json)


def forget(
    title: Title,
    force: Annotated[bool, typer.Option("--force", help="Also one that is under way.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete Labelwright's record of a campaign; platform and datasets are not touched."""
    from labelwright.campaigns import interventions

    from .output.console import show_done

    interventions.forget(title, force=force)
    show_done(f"the record of '{title}' is deleted; its platform and its datasets were not touched", as_json)


def labeler_key(
    title: Title,
    rotate: Annotated[bool, typer.Option("--rotate", help="Create a new key: the old one ends at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the labeler's key, and the link to the labeling page that contains it. Send it by a safe channel."""
    from labelwright.campaigns.spec import stored_spec
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output.labelers import show_labeler_key

    record = open_ledger(settings().ledger_address()).campaigns.get(title)
    spec = stored_spec(record.spec)
    if rotate:
        rotate_labeler_key(spec)
    show_labeler_key(settings(), spec, record.remote_id, as_json)


def rotate_labeler_key(spec: CampaignSpec) -> None:
    """Has the platform create a new key for the campaign's labeler, and stores it. Raises CannotRun, PlatformError."""
    from labelwright.campaigns.labeler_keys import LabelerKeys
    from labelwright.domain.errors import CannotRun
    from labelwright.platforms.protocol import RotatesLabelerKeys
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import settings

    platform = CONNECTIONS.platform_for(spec)
    if not isinstance(platform, RotatesLabelerKeys):
        raise CannotRun(f"{platform.name} makes no new keys: ask its operator")
    keys = LabelerKeys(settings().home)
    try:  # before the platform makes a key that could not be stored
        keys.check_writable(spec.connection_name, spec.labeler)
    except OSError as error:
        path = keys.path(spec.connection_name, spec.labeler)
        raise CannotRun(f"{path} cannot be written ({error.strerror}): the old key still holds") from None
    keys.keep(spec.connection_name, platform.rotate_labeler_key(spec.labeler))


def _launch(spec: CampaignSpec) -> None:
    from .in_prefect import in_prefect

    def start_launch() -> None:
        from labelwright.flows.launch_campaign import launch_campaign

        launch_campaign(spec)

    in_prefect(start_launch)


def _finish(title: str, export: bool = False) -> None:
    from .in_prefect import in_prefect

    def start_finish() -> None:
        from labelwright.flows.finish_campaign import finish_campaign

        finish_campaign(title, export=export)

    in_prefect(start_finish)
