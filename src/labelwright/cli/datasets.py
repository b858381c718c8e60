"""`labelwright datasets`: the commands for registered datasets."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import AsJson

datasets = typer.Typer(
    help="Registered datasets: list, show and verify them, and trace an image to its labels.", no_args_is_help=True
)

Dataset = Annotated[str, typer.Argument(help="The dataset's name, such as river_labels.", metavar="DATASET")]
Version = Annotated[
    str | None, typer.Option("--version", help="[default: the newest, which is the one exported last]", metavar="V")
]


@datasets.command("list")
def datasets_list(
    title: Annotated[str | None, typer.Argument(help="Only datasets of this campaign.", metavar="[CAMPAIGN]")] = None,
    as_json: AsJson = False,
) -> None:
    """List every registered version in the ledger."""
    from labelwright.campaigns.lineage import list_datasets
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output.datasets import show_datasets

    show_datasets(list_datasets(open_ledger(settings().ledger_address()), title), as_json)


@datasets.command("show")
def datasets_show(dataset: Dataset, version: Version = None, as_json: AsJson = False) -> None:
    """Show one version and its receipt: campaign, platform, counts, files and their hashes."""
    from .output.datasets import show_receipt

    show_receipt(*receipt_of(dataset, version), as_json)


@datasets.command("verify")
def datasets_verify(
    dataset: Annotated[str | None, typer.Argument(help="[default: all datasets]", metavar="[DATASET]")] = None,
    version: Version = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte, not only sizes and stored MD5s.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every file and image with what was registered. Exit code 1 when anything differs; says how to repair."""
    from .output.datasets import show_verified

    results = verify_registered(dataset, version, deep=deep)
    show_verified(results, as_json)
    if any(result["wrong"] for result in results):
        raise typer.Exit(1)


@datasets.command("lineage")
def datasets_lineage(
    sha256: Annotated[str, typer.Argument(help="SHA-256 of the image file, or its first digits.", metavar="SHA256")],
    as_json: AsJson = False,
) -> None:
    """Show an image's campaign, platform, labels and datasets."""
    from labelwright.campaigns.lineage import lineage
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output.datasets import show_lineage

    show_lineage(lineage(open_ledger(settings().ledger_address()), settings(), sha256), as_json)


def receipt_of(name: str, version: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the ledger's record of a version, and its receipt. Raises CannotRun, DatasetGone, PlatformError."""
    from labelwright.campaigns.lineage import find_dataset
    from labelwright.tasks.context import CampaignContext, the_ledger
    from labelwright.tasks.export import registration

    dataset = find_dataset(the_ledger(), name, version)
    context = CampaignContext(dataset["campaign"])
    return dataset, registration.receipt_of(context, dataset["name"], dataset["version"])


def verify_registered(name: str | None, version: str | None, *, deep: bool = False) -> list[dict[str, Any]]:
    """Compares one version, or every registered one, with its receipt.

    Returns the ledger's record of each, with what is `wrong`, what was `unchecked`, and how to `repair` it. `deep`
    reads every byte.

    Raises as `receipt_of` when a single version cannot be compared. Of several, one whose store cannot be reached is
    reported as wrong.
    """
    from labelwright.campaigns.lineage import find_dataset, list_datasets
    from labelwright.platforms import PlatformError
    from labelwright.settings import SettingsError
    from labelwright.tasks.context import CampaignContext, the_ledger
    from labelwright.tasks.export.verification import Findings, Verifier

    ledger, verifier = the_ledger(), Verifier(deep=deep)
    records = list_datasets(ledger) if name is None else [find_dataset(ledger, name, version)]
    results = []
    for record in records:
        try:
            checked = verifier.verify(CampaignContext(record["campaign"]), record)
        except (PlatformError, SettingsError) as error:
            if len(records) == 1:
                raise
            checked = Findings(wrong=[f"could not be compared: {error}"])
        results.append(record | {"wrong": checked.wrong, "unchecked": checked.unchecked, "repair": checked.repair})
    return results
