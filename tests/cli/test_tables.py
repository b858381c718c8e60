"""Tables show every value in full: in a pipe a line for each row, on a narrow terminal one for each field."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from labelwright.cli.output import console

LONG = "a-campaign-whose-title-is-long-and-has-no-place-to-break-it-" * 3
ROWS = [(LONG, "needs attention", "partner@example.com"), ("river", "active", "x@y.z")]


@pytest.fixture
def printed(monkeypatch):
    def show(table: Table, width: int, *, terminal: bool) -> str:
        file = io.StringIO()
        out = Console(file=file, width=width, force_terminal=terminal, no_color=True, highlight=False, soft_wrap=True)
        monkeypatch.setattr(console, "out", out)
        console.show_table(table)
        return file.getvalue()

    return show


def campaigns() -> Table:
    table = Table("campaign", "state", "labeler", box=None)
    for row in ROWS:
        table.add_row(*row)
    return table


def fields() -> Table:
    table = Table(show_header=False, box=None)
    table.add_row("where", LONG)
    table.add_row("empty", "")
    return table


@pytest.mark.parametrize("width", [20, 40, 80, 500])
def test_a_piped_row_is_one_line_of_full_values(printed, width):
    lines = printed(campaigns(), width, terminal=False).splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == ["campaign", LONG, "river"]
    assert lines[1].split() == [LONG, "needs", "attention", "partner@example.com"]
    assert "…" not in "".join(lines)


def test_a_narrow_terminal_gets_a_line_for_each_field(printed):
    text = printed(campaigns(), 40, terminal=True)
    assert text.splitlines() == [
        f"campaign: {LONG}",
        "state: needs attention",
        "labeler: partner@example.com",
        "",
        "campaign: river",
        "state: active",
        "labeler: x@y.z",
    ]
    assert printed(fields(), 40, terminal=True).splitlines() == [f"where: {LONG}"]


def test_a_wide_terminal_gets_a_table(printed):
    lines = printed(campaigns(), 500, terminal=True).splitlines()
    assert len(lines) == 3
    assert LONG in lines[1]


def test_a_progress_bar_shows_count_rate_and_rest(monkeypatch):
    file, seconds = io.StringIO(), [0.0]
    monkeypatch.setattr(console, "err", Console(file=file, width=200, force_terminal=True, no_color=True))
    bars = console._bars()
    monkeypatch.setattr(bars, "get_time", lambda: seconds[0])
    task = bars.add_task("checking images", total=100)
    for done in (20, 40, 60):
        seconds[0] += 1
        bars.update(task, completed=done)
    console.err.print(bars.get_renderable())
    shown = file.getvalue()
    assert "checking images" in shown
    assert "60/100 20/s 0:00:02" in shown
