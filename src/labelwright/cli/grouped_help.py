"""Help that lists commands by group."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

HELP_OPTIONS: dict[Any, Any] = {"help_option_names": ["-h", "--help"]}

_COMMAND_WIDTH = 18
"""Columns that the longest name takes, with the space behind it."""


class GroupedCommands(TyperGroup):
    """Lists its commands under the headings of their groups (`rich_help_panel`), without Rich, which takes time."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                heading = panel if isinstance(panel, str) else "Commands"
                line = command.get_short_help_str(formatter.width - _COMMAND_WIDTH)
                groups.setdefault(heading, []).append((name.ljust(_COMMAND_WIDTH - 4), line))
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
