"""CSV files that people open in a spreadsheet: columns, cells (RFC 4180), and text that must not run as a formula."""

from __future__ import annotations

import re

LABEL_COLUMNS = (
    "image_id",
    "file_name",
    "image_width",
    "image_height",
    "label",
    "confidence",
    "xmin",
    "ymin",
    "xmax",
    "ymax",
    "polygon",
)
"""The first columns of every `<title>_labels.csv`, whoever writes it: a row an object, corners in pixels of the image
as displayed. Datasets have further ones."""

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:-]*")
_ALL_PLAIN = re.compile(r"(?:[A-Za-z0-9_./][A-Za-z0-9_./:-]*\n)*+")
_NEEDS_QUOTES = re.compile(r'[",\r\n]')


def defuse(text: str) -> str:
    """The text with an apostrophe in front when it begins with = + - @ TAB or CR (or with apostrophes and then one).

    Spreadsheets take the apostrophe as "this is text". The second case is there so that `undefuse` is exact.
    """
    return "'" + text if _FORMULA.match(text) else text


def undefuse(text: str) -> str:
    """The text that was given to `defuse`."""
    return text[1:] if _DEFUSED.match(text) else text


def csv_cell(text: str) -> bytes:
    """A text cell of a CSV file in UTF-8: defused, and quoted where RFC 4180 asks for it."""
    if _PLAIN.fullmatch(text):
        return text.encode()
    text = defuse(text)
    if _NEEDS_QUOTES.search(text) or text != text.strip():
        text = '"' + text.replace('"', '""') + '"'
    return text.encode()


def csv_cells(texts: list[str]) -> list[bytes]:
    """Cells of a column; fast when all of them are plain."""
    joined = "\n".join(texts) + "\n"
    if joined.count("\n") == len(texts) and _ALL_PLAIN.fullmatch(joined):
        return joined.encode().split(b"\n")[:-1]
    return [csv_cell(text) for text in texts]
