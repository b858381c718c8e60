"""Takes a folder of images to a versioned, labeled dataset, through whichever labeling platform a team uses."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Campaign, Dataset
    from .datasets.readers.labels_csv import read_labels_csv

__version__ = "0.2.0"

_MODULES = {"Campaign": "api", "Dataset": "api", "read_labels_csv": "datasets.readers.labels_csv"}
"""Where each public name is. Imported when it is first used: commands start without what they do not need."""

__all__ = ["Campaign", "Dataset", "__version__", "read_labels_csv"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
