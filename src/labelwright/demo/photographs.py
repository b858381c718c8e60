"""The photographs that come with Labelwright, and the labels that a person drew on them.

Where each photograph comes from, and under which licence it may be passed on, is in photos/PROVENANCE.md.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

_LABELS = "labels.json"


def photo_folder() -> Path:
    """The folder with the photographs, for reading only. Beside the JPEG files it holds labels.json and PROVENANCE.md.

    Works wherever pip puts the package; not from a zip file that was never unpacked.
    """
    return Path(str(files("labelwright.demo") / "photos"))


def drawn_labels() -> dict[str, list[dict[str, Any]]]:
    """File name of a photograph -> its objects; an empty list says: looked at, nothing here.

    An object is ``{"label", "bounding_box": {"xmin", "xmax", "ymin", "ymax"}, "confidence"}`` and, where an outline was
    drawn, ``"polygon": [[x, y], ...]``, whose bounds the bounding box is. Pixels of the image as displayed.
    """
    return cast("dict[str, list[dict[str, Any]]]", _document()["images"])


def demo_schema() -> list[dict[str, Any]]:
    """The labels in their order: ``{"name", "geometry", "color": "#rrggbb", "translations": {"nl", "de"}}``."""
    return cast("list[dict[str, Any]]", _document()["labels"])


def _document() -> dict[str, Any]:
    # Read anew at every call, so that a caller who changes what it was given changes nothing for the next one.
    return cast("dict[str, Any]", json.loads((photo_folder() / _LABELS).read_text(encoding="utf-8")))
