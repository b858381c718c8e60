"""Prints the results of checks of campaign files."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape

from labelwright.domain.commands import quoted
from labelwright.domain.errors import with_code

from .console import note, out, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from labelwright.campaigns.file_checks import FileCheck


def show_checks(checks: Sequence[FileCheck], as_json: bool) -> None:
    """Prints a line for each fault, and one for each file without any."""
    if as_json:
        show_json([{"valid": check.valid, **asdict(check)} for check in checks])
        return
    for check in checks:
        for warning in check.warnings:
            note(f"warning: {warning}")
        for fault in check.faults:
            out.print(escape(with_code(fault.message, fault.code)))
        if check.valid:
            out.print(escape(f"{check.file}: valid"))


def show_written(file: Path, as_json: bool) -> None:
    if as_json:
        show_json({"file": str(file)})
    else:
        out.print(escape(f"{file} is written. Check what it would do: labelwright plan {quoted(str(file))}"))
