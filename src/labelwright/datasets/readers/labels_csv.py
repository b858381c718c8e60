"""Reads a `<title>_labels.csv` into a pandas table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelwright.domain.spreadsheets import undefuse

if TYPE_CHECKING:
    import pandas as pd

_TEXT = (
    "file_name",
    "label",
    "polygon",
    "attributes",
    "labeler",
    "labeled_at",
    "origin",
    "model_version",
    "platform",
    "video",
)
_FLOATS = ("confidence", "xmin", "ymin", "xmax", "ymax")
_DEFUSED = ("file_name", "label", "labeler")


def read_labels_csv(path: Path | str, *, defused: bool | None = None) -> pd.DataFrame:
    """The labels as they were written: exact floats, and texts such as "NA", "null", "-1" or "=x" as texts.

    An image without objects is a row with the label "" and NaN corners. What is not known is an empty text. Files of
    earlier versions have no columns from `attributes` on.

    Args:
        path: a labels CSV of a dataset or of the embedded service, with or without a byte order mark; or a URL of one
            that pandas opens.
        defused: whether the file has an apostrophe in front of texts that a spreadsheet would run as a formula, as
            datasets of earlier versions and copies for spreadsheets have. By default its columns and the receipt beside
            it decide.
    """
    import pandas as pd

    source = path if "://" in str(path) else Path(path)
    # From 3.1 on the default is exact, and the option is deprecated.
    old = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    exact: Any = {"float_precision": "round_trip"} if old else {}
    table = pd.read_csv(
        source,
        encoding="utf-8-sig",
        dtype={**dict.fromkeys(_TEXT, str), **dict.fromkeys(_FLOATS, "float64")},
        keep_default_na=False,
        na_values={name: [""] for name in _FLOATS},
        **exact,
    )
    if defused is None:
        defused = "attributes" not in table.columns or (isinstance(source, Path) and is_defused(source))
    if defused:
        for name in table.columns.intersection(list(_DEFUSED)):
            table[name] = table[name].map(undefuse)
    return table


def is_defused(path: Path) -> bool:
    """Whether the receipt beside a dataset's CSV file is of an earlier version, which changed formulas in its texts."""
    try:
        receipt = json.loads(path.with_name("receipt.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(receipt, dict) and "csv_texts" not in receipt
