"""Commands for whole projects of Sonoma Creek and Geti: backup and restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import AsJson


def backup(
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    folder: Annotated[Path, typer.Argument(help="An empty folder, or that of an earlier backup of it.")],
    connection: Annotated[str, typer.Option(help="Name of the credentials.")] = "geti",
    verify: Annotated[bool, typer.Option(help="Compare everything with the server at the end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Save a project of Sonoma Creek or Geti into a folder. Run again, it does only what is missing."""
    from .in_prefect import in_prefect
    from .output.console import show_project_copy
    from .preflight import check_connection

    check_connection(connection, "geti")
    target = str(folder.resolve())

    def start_backup() -> dict[str, Any]:
        from labelwright.flows.platforms.geti_backup import backup_project

        return backup_project(project, target, connection, verify)

    show_project_copy(in_prefect("platforms.geti_backup", start_backup), as_json)


def restore(
    folder: Annotated[Path, typer.Argument(help="A backup; or a folder of geti-sdk, or the older tool.", exists=True)],
    name: Annotated[str | None, typer.Option(help="Name of the new project. [default: that of the backup]")] = None,
    connection: Annotated[str, typer.Option(help="Name of the credentials.")] = "geti",
    auto_train: Annotated[
        bool | None, typer.Option(help="Switch auto-training of the new project on or off. [default: as in the backup]")
    ] = None,
    verify: Annotated[bool, typer.Option(help="Compare everything with the backup at the end.")] = True,
    as_json: AsJson = False,
) -> None:
    """Create a new project from a backup, on any Sonoma Creek or Geti. Run again, it does only what is missing."""
    from .in_prefect import in_prefect
    from .output.console import show_project_copy
    from .preflight import check_connection

    check_connection(connection, "geti")
    source = str(folder.resolve())

    def start_restore() -> dict[str, Any]:
        from labelwright.flows.platforms.geti_restore import restore_project

        return restore_project(source, name, connection, auto_train, verify)

    show_project_copy(in_prefect("platforms.geti_restore", start_restore), as_json)
