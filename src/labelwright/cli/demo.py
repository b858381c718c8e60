"""`labelwright demo`: a whole campaign on this machine, labeled by a script."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, PrefectPort, ServicePort

if TYPE_CHECKING:
    from labelwright.campaigns.spec import CampaignSpec

    from .local_servers import Ports
    from .output.console import Bars

_TITLE = "demo-photographs"
_FLOWS = ("launch_campaign", "sweep_campaigns", "export_campaign")


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything of the demo goes.")] = Path("labelwright-demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave service and Prefect UI running, to look around.")] = False,
    prefect_port: PrefectPort = None,
    service_port: ServicePort = None,
    as_json: AsJson = False,
) -> None:
    """Run a whole campaign with real photographs on this machine; a script labels them."""
    from labelwright.settings import forget_settings

    from .local_servers import Ports

    folder = folder.resolve()
    # The demo uses its own home and servers, whatever this machine is configured for.
    os.environ["LABELWRIGHT_HOME"] = str(folder / "home")
    for name in list(os.environ):
        if name.startswith("LABELWRIGHT_CONNECTIONS__") or name == "PREFECT_API_URL":
            del os.environ[name]
    forget_settings()
    _run_demo(_demo_spec(folder), folder, Ports(prefect_port, service_port), keep=keep, as_json=as_json)


def _demo_spec(folder: Path) -> CampaignSpec:
    from labelwright.campaigns.spec import validate_spec
    from labelwright.demo.photographs import demo_schema, photo_folder

    document = {
        "title": _TITLE,
        "images": {"folder": str(photo_folder()), "include": ["*.jpg"]},
        "labels": demo_schema(),
        "labeler": "partner@example.com",
        "instructions": "Draw a tight box around each object; follow the outline where the label asks for a polygon.",
        "export": {"folder": str(folder / "datasets")},
        "metadata": {"purpose": "demo"},
    }
    return validate_spec(document, "the demo")


def _run_demo(spec: CampaignSpec, folder: Path, ports: Ports, *, keep: bool, as_json: bool) -> None:
    """Launches the campaign, labels it by script, exports it and prints the result. Raises what any campaign raises."""
    from labelwright.domain import State
    from labelwright.ledger import open_ledger
    from labelwright.prefect_integration.runtime import prefect_runtime
    from labelwright.settings import settings

    from .local_servers import local_servers
    from .output import campaigns, console

    with local_servers(spec, ports, *_FLOWS, keep=keep) as servers:
        console.show_addresses(servers.service_url, servers.prefect_url, as_json)
        ledger = open_ledger(settings().ledger_address())
        with prefect_runtime(servers.prefect), console.progress() as show_progress:
            from labelwright.flows.export_campaign import export_campaign
            from labelwright.flows.launch_campaign import launch_campaign
            from labelwright.flows.sweep_campaigns import sweep_campaigns

            launch_campaign(spec)
            record = ledger.campaigns.get(spec.title)
            if record.state is State.ACTIVE and record.remote_id is not None:
                _label_by_script(spec, record.remote_id, folder, show_progress)
            sweep_campaigns()
            if record.state is State.EXPORTED:  # by an earlier demo: a sweep passes over such a campaign
                export_campaign(spec.title)
        campaigns.show_campaign(ledger, spec.title, as_json)
        console.show_demo_end(folder, servers.service_url, servers.prefect_url, keep, as_json)


def _label_by_script(spec: CampaignSpec, campaign_id: str, folder: Path, show_progress: Bars) -> None:
    """Labels every image through the platform's API, with the labeler's key. Raises CannotRun when the key is gone."""
    from labelwright.campaigns.kept_keys import KeptKeys
    from labelwright.demo.partner import label_campaign
    from labelwright.domain.errors import CannotRun
    from labelwright.ledger import open_ledger
    from labelwright.prefect_integration.connections import CONNECTIONS
    from labelwright.settings import settings

    keys = KeptKeys(settings(), open_ledger(settings().ledger_address()), CONNECTIONS)
    access = keys.find("campaign_api", spec.labeler)
    if access is None:
        raise CannotRun(f"the labeler's key is missing: delete {folder} and run the demo again")
    connection = settings().connection("campaign_api")
    label_campaign(
        connection.url or "",
        campaign_id,
        access,
        lambda done, total: show_progress(spec.title, "labeling", done, total),
        connection.identity,
    )
