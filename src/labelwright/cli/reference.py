"""`labelwright explain` and `labelwright schema`: the reference at hand, without a connection."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import AsJson


def explain(
    code: Annotated[str | None, typer.Argument(help="As at the end of the message.", metavar="[LW1234]")] = None,
    as_json: AsJson = False,
) -> None:
    """Explain an error code: its messages, the cause and the remedy. Without a code, list all of them."""
    from labelwright.domain.error_table import ERRORS
    from labelwright.domain.errors import CannotRun

    from .output.reference import show_errors

    if code is None:
        show_errors(list(ERRORS.values()), as_json, in_full=False)
        return
    entry = ERRORS.get(code.strip("[]").upper())
    if entry is None:
        raise CannotRun(f"there is no error code {code}: all of them are listed by labelwright explain")
    show_errors([entry], as_json, in_full=True)


def schema(
    command: Annotated[
        list[str] | None, typer.Argument(help="A command with --json, such as: datasets list", metavar="[COMMAND]")
    ] = None,
) -> None:
    """Print the JSON Schema of what a command prints with --json. Without a command, list those that have one."""
    from labelwright.domain.errors import CannotRun

    from .output.console import out, show_json
    from .output.json_schemas import SCHEMAS, schema_of

    if not command:
        for name in sorted(SCHEMAS):
            out.print(name)
        return
    name = " ".join(command)
    if name not in SCHEMAS:
        raise CannotRun(f"there is no command '{name}' with --json: they are listed by labelwright schema")
    show_json(schema_of(name))
