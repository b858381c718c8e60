"""`labelwright run`: from images to labeled datasets in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, PrefectPort, ServicePort, Strict

if TYPE_CHECKING:
    from labelwright.campaigns.spec import CampaignSpec

    from .local_servers import Ports


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
    look_every: Annotated[float, typer.Option(help="Seconds between two checks.", min=0.2)] = 15,
    keep: Annotated[bool, typer.Option("--keep", help="Leave service and Prefect running at the end.")] = False,
    prefect_port: PrefectPort = None,
    service_port: ServicePort = None,
    as_json: AsJson = False,
) -> None:
    """From images to labeled datasets in one go: launch, wait for the labels, finish, export.

    Starts the embedded labeling service and Prefect's server when none is configured. Run it again to continue.
    """
    from labelwright.campaigns.spec import load_spec
    from labelwright.domain.paths import is_folder

    from .local_servers import Ports, needs_embedded_service
    from .preflight import check_campaign

    if is_folder(source):
        spec = spec_for_folder(source, title, labels, labeler, geometry, instructions, output, strict)
    else:
        spec = load_spec(source)
    check_campaign(spec, service_follows=needs_embedded_service(spec))
    _run_campaign(spec, wait_hours, look_every, Ports(prefect_port, service_port), keep=keep, as_json=as_json)


def spec_for_folder(
    folder: Path, title: str, labels: str, labeler: str, geometry: str, instructions: str, output: Path, strict: bool
) -> CampaignSpec:
    """Returns the campaign that ``labelwright run FOLDER`` describes. Raises SpecError, CannotRun."""
    from labelwright.campaigns.spec import validate_spec
    from labelwright.domain.errors import CannotRun

    names = [name.strip() for name in labels.split(",") if name.strip()]
    if not names or not labeler:
        raise CannotRun(
            f"say what to label and who does it: labelwright run {folder} --labels cat,dog --labeler you@example.com"
        )
    document = {
        "title": title or folder.resolve().name,
        "images": {"folder": str(folder.resolve()), "strict": strict},
        "labels": [{"name": name, "geometry": geometry} for name in names],
        "labeler": labeler,
        "instructions": instructions,
        "export": {"folder": str(output.resolve())},
    }
    return validate_spec(document, "the command line")


def _run_campaign(
    spec: CampaignSpec, wait_hours: float, look_every: float, ports: Ports, *, keep: bool, as_json: bool
) -> None:
    """Launches, waits for the labels, finishes, exports, and prints the campaign."""
    from labelwright.domain import OPEN
    from labelwright.ledger import open_ledger
    from labelwright.prefect_integration.runtime import prefect_runtime
    from labelwright.settings import settings

    from .local_servers import local_servers
    from .output import campaigns, console
    from .output.labelers import show_where_to_label

    with local_servers(spec, ports, "launch_campaign", "run_campaign", keep=keep) as servers:
        console.show_addresses(servers.service_url, servers.prefect_url, as_json)
        ledger = open_ledger(settings().ledger_address())
        with prefect_runtime(servers.prefect), console.progress():
            from labelwright.flows.launch_campaign import launch_campaign
            from labelwright.flows.run_campaign import run_campaign

            launch_campaign(spec)
            record = ledger.campaigns.get(spec.title)
            if record.state in OPEN:
                show_where_to_label(record, as_json)
            run_campaign(spec, wait_hours=wait_hours, look_every=look_every)
        campaigns.show_campaign(ledger, spec.title, as_json)
        if keep:
            console.show_kept(servers.service_url, servers.prefect_url, as_json)
