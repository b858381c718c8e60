"""`labelwright datasets`: the commands for registered datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .grouped_help import HELP_OPTIONS
from .options import AsJson

datasets = typer.Typer(
    help="Registered datasets: list, show and verify them, and trace an image to its labels.",
    context_settings=HELP_OPTIONS,
    no_args_is_help=True,
    rich_markup_mode=None,
)

Dataset = Annotated[str, typer.Argument(help="The dataset's name, such as river_labels.", metavar="DATASET")]
Version = Annotated[
    str | None, typer.Option("--version", help="[default: the newest, which is the one exported last]", metavar="V")
]


@datasets.command("list", epilog="Example: labelwright datasets list river")
def datasets_list(
    title: Annotated[str | None, typer.Argument(help="Only datasets of this campaign.", metavar="[CAMPAIGN]")] = None,
    as_json: AsJson = False,
) -> None:
    """List every registered version in the ledger, and on which machine it is."""
    from labelwright.campaigns.dataset_places import place_elsewhere
    from labelwright.campaigns.lineage import list_datasets
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output.datasets import show_datasets

    listed = list_datasets(open_ledger(settings().ledger_address()), title)
    show_datasets([dataset | {"elsewhere": place_elsewhere(dataset, settings())} for dataset in listed], as_json)


@datasets.command("show", epilog="Example: labelwright datasets show river_labels")
def datasets_show(dataset: Dataset, version: Version = None, as_json: AsJson = False) -> None:
    """Show one version and its receipt: campaign, platform, counts, files and their hashes."""
    from labelwright.tasks.export.registered import receipt_of

    from .output.datasets import show_receipt

    show_receipt(*receipt_of(dataset, version), as_json)


@datasets.command("verify", epilog="Example: labelwright datasets verify river_labels --deep")
def datasets_verify(
    dataset: Annotated[str | None, typer.Argument(help="[default: all datasets]", metavar="[DATASET]")] = None,
    version: Version = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte, not only sizes and stored MD5s.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every file and image with what was registered, and say how to repair what differs.

    Ends with 1 when anything differs, else with 2 when a version is on another machine and could not be compared.
    """
    from labelwright.tasks.export.registered import verify_registered

    from .output.datasets import show_verified

    results = verify_registered(dataset, version, deep=deep)
    show_verified(results, as_json)
    if any(result["wrong"] for result in results):
        raise typer.Exit(1)
    if any(result["elsewhere"] for result in results):
        raise typer.Exit(2)


@datasets.command("lineage", epilog="Example: labelwright datasets lineage 3f2a9c")
def datasets_lineage(
    sha256: Annotated[
        str,
        typer.Argument(
            help="SHA-256 of the image file, or its first digits; with --object a dataset: river_labels:1.",
            metavar="SHA256",
        ),
    ],
    object_id: Annotated[
        int | None, typer.Option("--object", help="Id of an annotation in the COCO file of the version.", metavar="ID")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show an image's campaign, platform, labels and datasets; or those of the image of an object."""
    from labelwright.campaigns.lineage import lineage
    from labelwright.ledger import open_ledger
    from labelwright.settings import settings

    from .output.datasets import show_lineage

    found: dict[str, Any] | None = None
    if object_id is not None:
        from labelwright.campaigns.lineage import find_dataset
        from labelwright.tasks.context import the_ledger
        from labelwright.tasks.export.statistics import object_of

        name, _, version = sha256.partition(":")
        found = object_of(find_dataset(the_ledger(), name, version or None), object_id)
        sha256 = found["sha256"]
    report = lineage(open_ledger(settings().ledger_address()), settings(), sha256)
    show_lineage(report if found is None else {"object": found, **report}, as_json)


@datasets.command("statistics", epilog="Example: labelwright datasets statistics river_labels --page labels.html")
def datasets_statistics(
    dataset: Annotated[
        str, typer.Argument(help="A dataset of labels, or one version of it: river_labels:1.", metavar="DATASET[:V]")
    ],
    page: Annotated[
        Path | None, typer.Option(help="Write all of it as one HTML page into this file.", metavar="FILE")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Draw the images with such objects into this PNG file.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show counts and sizes by label and labeler, and objects that somebody should look at."""
    from labelwright.campaigns.lineage import find_dataset
    from labelwright.tasks.context import the_ledger
    from labelwright.tasks.export.comparison import agreement_sentence, compare_with_earlier, draw_findings
    from labelwright.tasks.export.statistics import measures_of, write_page

    from .output.console import err
    from .output.datasets import show_statistics

    name, _, version = dataset.partition(":")
    record = find_dataset(the_ledger(), name, version or None)
    measures, earlier = measures_of(record), compare_with_earlier(record)
    changes = agreement_sentence(*earlier) if earlier is not None else ""
    if page is not None:
        write_page(record, measures, page, changes)
    drawn = pictures is None or draw_findings(record, measures, pictures)
    show_statistics(record, measures, earlier, changes, as_json)
    if not drawn:
        err.print("There is nothing to draw: no object is unusual.")


@datasets.command("diff", epilog="Example: labelwright datasets diff river_labels:1 river_labels:2 --check")
def datasets_diff(
    first: Annotated[
        str, typer.Argument(help="A dataset of labels, or one version of it: river_labels:1.", metavar="DATASET[:V]")
    ],
    second: Annotated[
        str | None,
        typer.Argument(help="[default: the newest version of the first one's dataset]", metavar="[DATASET[:V]]"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Pixels that a corner may move without counting as moved.", min=0)
    ] = 0.0,
    check: Annotated[bool, typer.Option("--check", help="End with exit code 1 when anything changed.")] = False,
    pictures: Annotated[
        Path | None, typer.Option(help="Draw the changed images into this PNG file.", metavar="FILE")
    ] = None,
    most: Annotated[int, typer.Option(help="Changes that --json lists one by one.", min=0)] = 1000,
    as_json: AsJson = False,
) -> None:
    """Compare two versions: images by their bytes, objects by the best assignment.

    With one name alone, the newest version is compared with the one before.
    """
    from labelwright.tasks.export.comparison import compare_versions, draw_changes, versions_to_compare

    from .output.console import err
    from .output.datasets import show_comparison

    before, after = versions_to_compare(first, second)
    result = compare_versions(before, after, tolerance=tolerance, most=most)
    drawn = pictures is None or draw_changes(after, before, result, pictures)
    show_comparison(before, after, result, as_json)
    if not drawn:
        err.print("There is nothing to draw: no change is listed.")
    if check and result.differs:
        raise typer.Exit(1)


@datasets.command("spreadsheet", epilog="Example: labelwright datasets spreadsheet river.csv")
def datasets_spreadsheet(
    file: Annotated[Path, typer.Argument(help="A CSV file of a dataset.", metavar="CSV")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="[default: NAME_spreadsheet.csv in this folder]", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Copy a CSV file for a spreadsheet: it opens with the right letters, and no text runs as a formula."""
    from labelwright.datasets.spreadsheet_copy import write_spreadsheet_copy

    from .output.datasets import show_spreadsheet

    target = output or Path(f"{file.stem}_spreadsheet.csv")
    show_spreadsheet(target, write_spreadsheet_copy(file, target), as_json)
