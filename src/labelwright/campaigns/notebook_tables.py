"""Tables in which notebooks show campaigns, plans and datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any


def facts_as_html(title: str, facts: Mapping[str, Any]) -> str:
    """A table of two columns, without the facts that are empty."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in (None, "", [], {})
    )
    return f"<table><caption style='text-align:left'><b>{escape(title)}</b></caption>{rows}</table>"


def rows_as_html(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table with a heading for each column."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
