"""CSV files: columns, cells (RFC 4180), and texts that must not run as a formula in a spreadsheet.

Files of datasets, which programs read, have every text as it is, in UTF-8 without a byte order mark. Lists for people
have defused texts; copies for spreadsheets begin with BYTE_ORDER_MARK as well. Whatever reads a CSV file takes both.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager

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

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Without it, Excel takes UTF-8 for another encoding."""

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:-]*")
_ALL_PLAIN = re.compile(r"(?:[A-Za-z0-9_./][A-Za-z0-9_./:-]*\n)*+")
_NEEDS_QUOTES = re.compile(r'[",\r\n]')


@contextmanager
def large_cells() -> Iterator[None]:
    """Lets Python's `csv` read cells of more than 128 KiB within the block: a polygon is one cell."""
    limit = csv.field_size_limit(1 << 30)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def defuse(text: str) -> str:
    """The text with an apostrophe in front when it begins with = + - @ TAB or CR (or with apostrophes and then one).

    Spreadsheets take the apostrophe as "this is text". The second case is there so that `undefuse` is exact.
    """
    return "'" + text if _FORMULA.match(text) else text


def undefuse(text: str) -> str:
    """The text that was given to `defuse`."""
    return text[1:] if _DEFUSED.match(text) else text


def csv_cell(text: str) -> bytes:
    """A text cell of a CSV file in UTF-8: as it is, and quoted where RFC 4180 asks for it."""
    if _PLAIN.fullmatch(text):
        return text.encode()
    if _NEEDS_QUOTES.search(text) or text != text.strip():
        text = '"' + text.replace('"', '""') + '"'
    return text.encode()


def defused_cell(text: str) -> bytes:
    """A text cell of a list for people: see `defuse`."""
    return csv_cell(defuse(text))


def csv_cells(texts: list[str]) -> list[bytes]:
    """Cells of a column; fast when all of them are plain."""
    joined = "\n".join(texts) + "\n"
    if joined.count("\n") == len(texts) and _ALL_PLAIN.fullmatch(joined):
        return joined.encode().split(b"\n")[:-1]
    return [csv_cell(text) for text in texts]
