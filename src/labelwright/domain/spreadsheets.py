"""Labels as people open them in a spreadsheet: the columns, and text that must not run as a formula."""

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
"""Of every `<title>_labels.csv`, whoever writes it: a row an object, corners in pixels of the image as displayed."""

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
