"""Commands for a campaign that exists: change it, or take it over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelwright.domain.commands import quoted

from .options import AsJson, Title

if TYPE_CHECKING:
    from labelwright.campaigns.adoption import Adopted

ChangedFile = Annotated[Path, typer.Argument(help="The campaign's changed YAML file.", metavar="CAMPAIGN.YAML")]


def change(
    title: Title,
    file: ChangedFile,
    ledger_only: Annotated[
        bool, typer.Option("--ledger-only", help="Only record it: the platform was changed by hand.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change a launched campaign to what its file says now: labels that are added, instructions, deadline, labeler."""
    from labelwright.campaigns import changing
    from labelwright.campaigns.spec import load_spec
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output.console import show_done

    changed = changing.change(title, load_spec(file), CONNECTIONS, ledger_only=ledger_only)
    text = f"'{title}' is changed: {'; '.join(changed.texts)}" if changed.texts else f"'{title}' is what the file says"
    show_done(f"{text}. To go on: {changed.next_command}" if changed.next_command else text, as_json)


def adopt(
    title: Title,
    file: Annotated[Path, typer.Option("--file", help="The campaign's YAML file.", metavar="CAMPAIGN.YAML")],
    as_json: AsJson = False,
) -> None:
    """Take over a campaign that exists on its platform and is not in this ledger. Uploads nothing."""
    from labelwright.campaigns import adoption
    from labelwright.campaigns.spec import load_spec
    from labelwright.prefect_integration.connections import CONNECTIONS

    from .output import console

    spec = load_spec(file)
    with console.counting("checking images") as count:
        adopted = adoption.adopt(title, spec, CONNECTIONS, count)
    console.show_done(_adopted_text(title, adopted), as_json)


def _adopted_text(title: str, adopted: Adopted) -> str:
    sentences = [
        f"'{title}' is taken over: {adopted.images} images, {adopted.done} of them labeled; it is {adopted.state.value}"
    ]
    if adopted.left_out:
        listed = ", ".join(adopted.left_out[:10]) + (" ..." if len(adopted.left_out) > 10 else "")
        sentences.append(f"{len(adopted.left_out)} files are not in the campaign and were left out: {listed}")
    if adopted.added_labels:
        labels = ", ".join(map(repr, adopted.added_labels[:10]))
        sentences.append(
            f"The platform also has the labels {labels}: add them to the file, then labelwright change "
            f"{quoted(title)} FILE"
        )
    if adopted.key_missing:
        sentences.append(f"The labeler's key is not kept: labelwright labeler-key {quoted(title)} --rotate")
    return ". ".join([*sentences, "To go on: labelwright sweep"])
