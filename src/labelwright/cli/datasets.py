"""`labelwright datasets`: the commands for what was registered."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import AsJson

datasets = typer.Typer(
    help="What was registered: show it, verify it, and follow an image to its labels.", no_args_is_help=True
)

Dataset = Annotated[str, typer.Argument(help="The dataset's name, such as river_labels.", metavar="DATASET")]
Version = Annotated[
    str | None, typer.Option("--version", help="[default: the newest, which is the one exported last]", metavar="V")
]


@datasets.command("list")
def datasets_list(
    title: Annotated[str | None, typer.Argument(help="Only this campaign's.", metavar="[CAMPAIGN]")] = None,
    as_json: AsJson = False,
) -> None:
    """Every registered version that the ledger knows."""
    from labelwright.campaigns.lineage import list_datasets
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output import datasets as printing_datasets

    printing_datasets.show_datasets(list_datasets(open_ledger(settings().ledger_address()), title), as_json)


@datasets.command("show")
def datasets_show(dataset: Dataset, version: Version = None, as_json: AsJson = False) -> None:
    """One version and its receipt: campaign, platform, counts, files and their hashes."""
    from .output import datasets as printing_datasets
    from .running import receipt_of

    printing_datasets.show_receipt(*receipt_of(dataset, version), as_json)


@datasets.command("verify")
def datasets_verify(
    dataset: Annotated[str | None, typer.Argument(help="[default: every one]", metavar="[DATASET]")] = None,
    version: Version = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte, not only sizes and stored MD5s.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every file and image with what was registered. Exit code 1 when anything differs; says how to repair."""
    from .output import datasets as printing_datasets
    from .running import verify_registered

    found = verify_registered(dataset, version, deep=deep)
    printing_datasets.show_verified(found, as_json)
    if any(one["wrong"] for one in found):
        raise typer.Exit(1)


@datasets.command("lineage")
def datasets_lineage(
    sha256: Annotated[str, typer.Argument(help="Of the image's file; its first digits do.", metavar="IMAGE_SHA256")],
    as_json: AsJson = False,
) -> None:
    """An image's campaign, platform, labels and datasets."""
    from labelwright.campaigns.lineage import lineage
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output import datasets as printing_datasets

    found = settings()
    printing_datasets.show_lineage(lineage(open_ledger(found.ledger_address()), found, sha256), as_json)
