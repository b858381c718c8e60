"""Text that a spreadsheet would run as a formula, made harmless and given back."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")


def defuse(text: str) -> str:
    """The text with an apostrophe in front when it begins with = + - @ TAB or CR (or with apostrophes and then one).

    Spreadsheets take the apostrophe as "this is text". The second case is there so that `undefuse` is exact.
    """
    return "'" + text if _FORMULA.match(text) else text


def undefuse(text: str) -> str:
    """What `defuse` was given."""
    return text[1:] if _DEFUSED.match(text) else text


_HARMLESS = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:-]*")
_ALL_HARMLESS = re.compile(r"(?:[A-Za-z0-9_./][A-Za-z0-9_./:-]*\n)*+")
_QUOTED = re.compile(r'[",\r\n]')


def cell(text: str) -> bytes:
    """A text cell of a CSV file (RFC 4180), defused, in UTF-8."""
    if _HARMLESS.fullmatch(text):
        return text.encode()
    text = defuse(text)
    if _QUOTED.search(text) or text != text.strip():
        text = '"' + text.replace('"', '""') + '"'
    return text.encode()


def cells(texts: list[str]) -> list[bytes]:
    """Cells of a column: one look at all of them when none needs care."""
    together = "\n".join(texts) + "\n"
    if together.count("\n") == len(texts) and _ALL_HARMLESS.fullmatch(together):
        return together.encode().split(b"\n")[:-1]
    return [cell(text) for text in texts]
