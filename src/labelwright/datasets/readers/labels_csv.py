"""Reads a `<title>_labels.csv` into a pandas table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelwright.domain.spreadsheets import undefuse

if TYPE_CHECKING:
    import pandas as pd

_TEXT = ("file_name", "label", "polygon", "attributes", "labeler", "labeled_at", "origin")
_FLOATS = ("confidence", "xmin", "ymin", "xmax", "ymax")


def read_labels_csv(path: Path) -> pd.DataFrame:
    """The labels as they were written: exact floats, formulas without the apostrophe, "NA" as a label.

    An image without objects is a row with the label "" and NaN corners. What is not known is an empty text. Files of
    earlier versions have no columns from `attributes` on.
    """
    import pandas as pd

    # From 3.1 on the default is exact, and the option is deprecated.
    old = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    exact: Any = {"float_precision": "round_trip"} if old else {}
    table = pd.read_csv(
        path,
        encoding="utf-8",
        dtype={**dict.fromkeys(_TEXT, str), **dict.fromkeys(_FLOATS, "float64")},
        keep_default_na=False,
        na_values={name: [""] for name in _FLOATS},
        **exact,
    )
    for name in table.columns.intersection(["file_name", "label", "labeler"]):
        table[name] = table[name].map(undefuse)
    return table
