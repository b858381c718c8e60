"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
File = Annotated[Path, typer.Argument(help="The campaign's YAML file.", metavar="CAMPAIGN.YAML")]
Title = Annotated[str, typer.Argument(help="The campaign's title.", metavar="CAMPAIGN")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop when any file has to be left out.")]

PrefectPort = Annotated[
    int | None, typer.Option(help="Of Prefect, when it is started. [default: 4200 when it is free]", min=1, max=65535)
]
ServicePort = Annotated[
    int | None,
    typer.Option(
        help="Of the labeling service, when it is started. [default: the one it had before, or 8080]", min=1, max=65535
    ),
]
