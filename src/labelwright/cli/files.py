"""Commands for campaign files: write a new one, and check some."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson


def validate(
    files: Annotated[list[Path], typer.Argument(help="Campaign files.", metavar="CAMPAIGN.YAML...")],
    as_json: AsJson = False,
) -> None:
    """Check campaign files and list all their faults. Needs no platform, no Prefect and no images.

    Ends with 2 when a file has a fault.
    """
    from labelwright.campaigns.file_checks import check_files

    from .output.files import show_checks

    checks = check_files(files)
    show_checks(checks, as_json)
    if not all(check.valid for check in checks):
        raise typer.Exit(2)


def init(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.", metavar="[FILE]")] = Path(
        "campaign.yaml"
    ),
    title: Annotated[str, typer.Option(help="The campaign's title.")] = "",
    images: Annotated[str, typer.Option(help="The folder of the images.", metavar="FOLDER")] = "",
    labels: Annotated[str, typer.Option(help="Names, separated by commas.", metavar="A,B")] = "",
    labeler: Annotated[str, typer.Option(help="The labeler's e-mail address.", metavar="X@Y.Z")] = "",
    platform: Annotated[str, typer.Option(help="The labeling platform. [default: campaign_api]")] = "",
    geometry: Annotated[str, typer.Option(help="box, polygon, image or any.")] = "box",
    instructions: Annotated[str, typer.Option(help="What labelers read.")] = "",
    deadline: Annotated[str, typer.Option(help="When the labels are needed.", metavar="DATE")] = "",
    formats: Annotated[str, typer.Option(help="Of the datasets, separated by commas.", metavar="A,B")] = "csv,coco",
    as_json: AsJson = False,
) -> None:
    """Write a campaign file with comments, after a few questions on a terminal, or from options."""
    from labelwright.campaigns.new_file import NewCampaign, write_campaign_file
    from labelwright.domain.errors import CannotRun, PathUnusable

    from .output.files import show_written

    if file.exists():
        raise PathUnusable(f"{file} exists and is not overwritten: give another name, or delete it first")
    if sys.stdin.isatty() and sys.stderr.isatty():
        title, images, labels, labeler, platform = _ask(title, images, labels, labeler, platform)
    missing = [
        option
        for option, value in (("--title", title), ("--images", images), ("--labels", labels), ("--labeler", labeler))
        if not value
    ]
    if missing:
        raise CannotRun(f"{', '.join(missing)}: give these options, or run the command on a terminal, where it asks")
    campaign = NewCampaign(
        title,
        images,
        _names(labels),
        labeler,
        platform or "campaign_api",
        geometry,
        instructions,
        deadline,
        _names(formats),
    )
    write_campaign_file(file, campaign)
    show_written(file, as_json)


def _ask(title: str, images: str, labels: str, labeler: str, platform: str) -> tuple[str, str, str, str, str]:
    """Asks on standard error for what no option gave, and again after an answer that no campaign can have."""
    from labelwright.campaigns.new_file import fault_of_answer
    from labelwright.platforms.registry import PLATFORMS

    def ask(field: str, question: str, default: str | None = None) -> str:
        def check(answer: str) -> str:
            if fault := fault_of_answer(field, _names(answer) if field == "labels" else answer):
                raise typer.BadParameter(fault)
            return answer

        return str(typer.prompt(question, default=default, value_proc=check, err=True))

    images = images or ask("images", "Folder of the images", "photos")
    title = title or ask("title", "Title of the campaign", Path(images).resolve().name)
    labels = labels or ask("labels", "Labels, separated by commas")
    labeler = labeler or ask("labeler", "E-mail address of the labeler")
    platform = platform or ask("platform", f"Platform ({', '.join(PLATFORMS)})", "campaign_api")
    return title, images, labels, labeler, platform


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
